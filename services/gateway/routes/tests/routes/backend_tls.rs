use gateway_routes::api::BackendTLSPolicy;
use gateway_routes::{Objects, RequestHead, Table, Target, View};
use http::{HeaderMap, Method};

use crate::support::{at, brief, gateway_name, objects, route, yaml};

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
    assert!(ours.conditions[0].message.contains("answered with 503"));
    let mut told = BackendTLSPolicy::clone(&used);
    told.status = Some(status.clone());
    assert_eq!(View::new(&all).backend_tls_status(&told, at(60)), status);

    let unused = View::new(&all).backend_tls_status(&policy("api"), at(0));
    assert_eq!(unused.ancestors.len(), 1);
    all.http_routes.clear();
    let gone = View::new(&all).backend_tls_status(&told, at(90));
    assert_eq!(gone.ancestors.len(), 1);
}

/// Where requests go while a policy has this target.
fn targets(all: &Objects) -> Option<Target> {
    let table = Table::compile(all, &gateway_name());
    let headers = HeaderMap::new();
    let head = RequestHead {
        host: "x",
        path: "/",
        query: None,
        method: &Method::GET,
        headers: &headers,
    };
    let listener = table.port(80)?.listener(head.host)?;
    Some(listener.find(&head)?.rule.backends.pick()?.target)
}

#[test]
fn nothing_is_sent_to_a_service_for_which_a_policy_asks_for_tls_and_the_route_says_so() {
    let r = route(
        "r",
        "{parentRefs: [{name: demo}], rules: [{backendRefs: [{name: web, port: 80}]}]}",
    );
    let mut all = objects(vec![r.clone()]);
    let cases = [
        ("{group: '', kind: Service, name: web}", true),
        (
            "{group: '', kind: Service, name: web, sectionName: http}",
            true,
        ),
        (
            "{group: '', kind: Service, name: web, sectionName: h2c}",
            false,
        ),
        ("{group: '', kind: Service, name: other}", false),
        (
            "{group: multicluster.x-k8s.io, kind: ServiceImport, name: web}",
            false,
        ),
    ];
    for (target, is_refused) in cases {
        all.backend_tls_policies = vec![yaml(&format!(
            "metadata: {{name: p, namespace: shop}}\nspec: {{targetRefs: [{target}]}}"
        ))];
        let goes = targets(&all).expect("a backend");
        assert_eq!(goes == Target::NeedsTls, is_refused, "{target}");
        let status = View::new(&all).route_status(&r, at(0));
        let resolved = &status.parents[0].conditions[1];
        let expected = if is_refused {
            "UnsupportedProtocol"
        } else {
            "ResolvedRefs"
        };
        assert_eq!(resolved.reason, expected, "{target}");
        if is_refused {
            assert!(
                resolved.message.contains("BackendTLSPolicy shop/p"),
                "{}",
                resolved.message
            );
        }
    }
    // A policy of another namespace concerns the Services there.
    all.backend_tls_policies = vec![yaml(
        "metadata: {name: p, namespace: other}\nspec: {targetRefs: [{group: '', kind: Service, name: web}]}",
    )];
    assert_ne!(targets(&all), Some(Target::NeedsTls));
}
