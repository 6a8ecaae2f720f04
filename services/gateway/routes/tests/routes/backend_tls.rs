use gateway_routes::View;
use gateway_routes::api::BackendTLSPolicy;

use crate::support::{at, brief, objects, route, yaml};

#[test]
fn a_policy_that_asks_for_tls_towards_a_backend_is_refused_where_a_gateway_of_ours_leads_to_it() {
    let policy = |service: &str| {
        yaml::<BackendTLSPolicy>(&format!(
            "metadata: {{name: p, namespace: shop, generation: 3}}\n\
             spec: {{targetRefs: [{{group: '', kind: Service, name: {service}}}], \
             validation: {{hostname: x, wellKnownCACertificates: System}}}}\n\
             status: {{ancestors: [{{ancestorRef: {{name: other}}, controllerName: somebody.else, conditions: []}}]}}"
        ))
    };
    let mut all = objects(vec![route(
        "r",
        "{parentRefs: [{name: demo}], rules: [{backendRefs: [{name: web, port: 80}]}]}",
    )]);
    let used = policy("web");
    let status = View::new(&all).backend_tls_status(&used, at(0));
    assert_eq!(status.ancestors.len(), 2);
    assert_eq!(status.ancestors[0].controller_name, "somebody.else");
    let ours = &status.ancestors[1];
    assert_eq!(ours.ancestor_ref.name, "demo");
    assert_eq!(brief(&ours.conditions), ["Accepted=False/Invalid"]);
    assert!(ours.conditions[0].message.contains("plain HTTP"));
    let mut told = BackendTLSPolicy::clone(&used);
    told.status = Some(status.clone());
    assert_eq!(View::new(&all).backend_tls_status(&told, at(60)), status);

    let unused = View::new(&all).backend_tls_status(&policy("api"), at(0));
    assert_eq!(unused.ancestors.len(), 1);
    all.http_routes.clear();
    let gone = View::new(&all).backend_tls_status(&told, at(90));
    assert_eq!(gone.ancestors.len(), 1);
}
