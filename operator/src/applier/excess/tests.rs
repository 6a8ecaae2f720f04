use super::*;

fn deployment(pod: &Value) -> Value {
    json!({ "apiVersion": "apps/v1", "kind": "Deployment",
        "spec": { "template": { "spec": pod } } })
}

#[test]
fn a_selector_with_one_more_key_loses_it() {
    let service = |selector: Value| json!({ "apiVersion": "v1", "spec": { "selector": selector } });
    let planned = service(json!({ "app": "order" }));
    let live = service(json!({ "app": "order", "x": "y" }));
    assert_eq!(
        excess(&live, &planned),
        Some(json!({ "spec": { "selector": { "x": null } } }))
    );
    assert_eq!(excess(&planned, &planned), None);
    let policy = |labels: Value| {
        json!({ "apiVersion": "networking.k8s.io/v1",
            "spec": { "podSelector": { "matchLabels": labels } } })
    };
    assert_eq!(
        excess(
            &policy(json!({ "a": "b", "x": "y" })),
            &policy(json!({ "a": "b" }))
        ),
        Some(json!({ "spec": { "podSelector": { "matchLabels": { "x": null } } } }))
    );
}

#[test]
fn a_policy_that_selects_all_loses_a_selector() {
    let policy = |pods: Value| json!({ "apiVersion": "networking.k8s.io/v1", "spec": { "podSelector": pods } });
    assert_eq!(
        excess(
            &policy(json!({ "matchLabels": { "x": "y" } })),
            &policy(json!({}))
        ),
        Some(json!({ "spec": { "podSelector": { "matchLabels": null } } }))
    );
}

#[test]
fn a_foreign_container_and_host_settings_go_and_defaults_stay() {
    let app = json!({ "name": "app", "image": "one", "env": [{ "name": "A", "value": "1" }] });
    let planned = deployment(&json!({ "containers": [app] }));
    let mut filled = app.clone();
    filled["terminationMessagePath"] = "/dev/termination-log".into();
    filled["imagePullPolicy"] = "IfNotPresent".into();
    let defaults = deployment(
        &json!({ "containers": [filled], "dnsPolicy": "ClusterFirst",
        "restartPolicy": "Always", "securityContext": {}, "schedulerName": "default-scheduler" }),
    );
    assert_eq!(excess(&defaults, &planned), None);
    let foreign = deployment(
        &json!({ "hostNetwork": true, "nodeSelector": { "disk": "no" },
        "containers": [filled, { "name": "spy", "image": "evil" }] }),
    );
    assert_eq!(
        excess(&foreign, &planned),
        Some(json!({ "spec": { "template": { "spec": {
            "hostNetwork": null, "nodeSelector": null, "containers": [app] } } } }))
    );
    let more = json!([{ "name": "A", "value": "1" }, { "name": "LD_PRELOAD", "value": "x" }]);
    let mut with_env = filled.clone();
    with_env["env"] = more;
    assert!(excess(&deployment(&json!({ "containers": [with_env] })), &planned).is_some());
}

#[test]
fn a_port_under_another_number_is_replaced_and_a_node_port_goes_with_the_type() {
    let service = |spec: Value| json!({ "apiVersion": "v1", "spec": spec });
    let ports = json!([{ "name": "http", "port": 8080, "protocol": "TCP", "targetPort": "http" }]);
    let planned = service(json!({ "ports": ports }));
    let moved = service(json!({ "ports": [{ "name": "http", "port": 81, "protocol": "TCP" }] }));
    assert_eq!(
        excess(&moved, &planned),
        Some(json!({ "spec": { "ports": ports } }))
    );
    let mut open = ports.clone();
    open[0]["nodePort"] = 30080.into();
    let exposed = service(json!({ "type": "NodePort", "clusterIP": "10.0.0.1", "ports": open }));
    assert_eq!(
        excess(&exposed, &planned),
        Some(json!({ "spec": { "type": null } }))
    );
}

#[test]
fn labels_annotations_and_a_restart_are_everybodys() {
    let planned = deployment(&json!({ "containers": [] }));
    let mut live = planned.clone();
    live["metadata"] = json!({ "labels": { "team": "a" } });
    live["spec"]["template"]["metadata"] =
        json!({ "annotations": { "kubectl.kubernetes.io/restartedAt": "now" } });
    assert_eq!(excess(&live, &planned), None);
}

#[test]
fn a_resource_of_ours_loses_what_nobody_planned_and_another_apis_keeps_optional_fields() {
    let binding = |spec: Value| json!({ "apiVersion": "storefront.dev/v1alpha1", "spec": spec });
    let planned = binding(json!({ "grants": ["a"] }));
    let rotated = binding(json!({ "grants": ["a"], "rotation": { "every": "720h" } }));
    assert_eq!(
        excess(&rotated, &planned),
        Some(json!({ "spec": { "rotation": null } }))
    );
    // The number of pods is not planned where an autoscaler writes it.
    let scaled = binding(json!({ "grants": ["a"], "replicas": { "min": 3 } }));
    assert_eq!(excess(&scaled, &planned), None);
    let certificate = |spec: Value| json!({ "apiVersion": "cert-manager.io/v1", "spec": spec });
    let defaulted = certificate(json!({ "secretName": "x", "revisionHistoryLimit": 1 }));
    assert_eq!(
        excess(&defaulted, &certificate(json!({ "secretName": "x" }))),
        None
    );
    let more = binding(json!({ "grants": ["a", "b"] }));
    assert_eq!(
        excess(&more, &planned),
        Some(json!({ "spec": { "grants": ["a"] } }))
    );
}

#[test]
fn a_route_loses_what_nobody_planned_and_keeps_what_its_definition_sets() {
    let route = |rule: Value| json!({ "apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "spec": { "rules": [rule] } });
    let backend = json!({ "name": "order", "port": 8080 });
    let orders = json!({ "type": "PathPrefix", "value": "/v1/orders" });
    let planned = route(json!({ "matches": [{ "path": orders }], "backendRefs": [backend] }));
    let set = json!({ "name": "order", "port": 8080, "group": "", "kind": "Service", "weight": 1 });
    let stored = json!({ "matches": [{ "path": orders }], "backendRefs": [set] });
    assert_eq!(excess(&route(stored.clone()), &planned), None);
    for (field, value) in [
        ("timeouts", json!({ "request": "1ms" })),
        (
            "matches",
            json!([{ "path": orders, "headers": [{ "name": "x", "value": "y" }] }]),
        ),
        ("filters", json!([{ "type": "RequestRedirect" }])),
    ] {
        let mut changed = stored.clone();
        changed[field] = value;
        let patch = excess(&route(changed), &planned);
        let rules = &planned["spec"]["rules"];
        assert_eq!(
            patch,
            Some(json!({ "spec": { "rules": rules } })),
            "{field}"
        );
    }
    let everything = route(json!({ "backendRefs": [backend] }));
    let path = json!({ "type": "PathPrefix", "value": "/" });
    let stored = route(json!({ "matches": [{ "path": path }], "backendRefs": [backend] }));
    assert_eq!(excess(&stored, &everything), None);
}
