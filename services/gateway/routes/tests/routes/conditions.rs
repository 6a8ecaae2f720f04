use std::sync::Arc;

use gateway_routes::api::{
    CONTROLLER_NAME, Gateway, GatewayClass, HTTPRoute, HTTPRouteStatus, RouteParentStatus,
};
use gateway_routes::{ObjectName, Scope, Table, View, gateway_class_status};
use serde_json::json;

use crate::support::{at, brief, gateway, objects, plane, route, yaml};

fn said(spec: &str) -> Vec<String> {
    let route = route("r", spec);
    let all = objects(vec![route.clone()]);
    let status = View::new(&all).route_status(&route, at(0));
    status
        .parents
        .iter()
        .flat_map(|parent| brief(&parent.conditions))
        .collect()
}

#[test]
fn a_route_says_why_it_is_not_attached() {
    let cases = [
        ("[{name: demo}]", "Accepted=True/Accepted"),
        (
            "[{name: demo, sectionName: http, port: 80}]",
            "Accepted=True/Accepted",
        ),
        (
            "[{name: demo, sectionName: nowhere}]",
            "Accepted=False/NoMatchingParent",
        ),
        (
            "[{name: demo, port: 81}]",
            "Accepted=False/NoMatchingParent",
        ),
    ];
    for (parents, expected) in cases {
        assert_eq!(
            said(&format!("{{parentRefs: {parents}, rules: [{{}}]}}"))[0],
            expected,
            "{parents}"
        );
    }
    for foreign in [
        "[{name: other}]",
        "[{name: demo, kind: Service, group: ''}]",
        "[{name: demo, namespace: x}]",
    ] {
        assert!(
            said(&format!("{{parentRefs: {foreign}, rules: [{{}}]}}")).is_empty(),
            "{foreign}"
        );
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "most of it is the table of cases")]
fn a_route_must_share_a_hostname_and_be_allowed() {
    let listener = |more: &str| format!("[{{name: http, port: 80, protocol: HTTP, {more}}}]");
    let cases = [
        (
            listener("hostname: a.example"),
            "[b.example]",
            "shop",
            "Accepted=False/NoMatchingListenerHostname",
        ),
        (
            listener("hostname: '*.example'"),
            "[b.example]",
            "shop",
            "Accepted=True/Accepted",
        ),
        (
            listener("allowedRoutes: {namespaces: {from: Same}}"),
            "[]",
            "other",
            "Accepted=False/NotAllowedByListeners",
        ),
        (
            listener("allowedRoutes: {namespaces: {from: None}}"),
            "[]",
            "shop",
            "Accepted=False/NotAllowedByListeners",
        ),
        (
            listener("allowedRoutes: {namespaces: {from: All}}"),
            "[]",
            "other",
            "Accepted=True/Accepted",
        ),
        (
            listener("allowedRoutes: {kinds: [{kind: TLSRoute}]}"),
            "[]",
            "shop",
            "Accepted=False/NotAllowedByListeners",
        ),
        (
            listener(
                "allowedRoutes: {namespaces: {from: Selector, selector: {matchLabels: {team: a}}}}",
            ),
            "[]",
            "other",
            "Accepted=True/Accepted",
        ),
        (
            listener(
                "allowedRoutes: {namespaces: {from: Selector, selector: {matchExpressions: [{key: team, operator: NotIn, values: [a]}]}}}",
            ),
            "[]",
            "other",
            "Accepted=False/NotAllowedByListeners",
        ),
    ];
    for (listeners, hostnames, namespace, expected) in cases {
        let spec = format!(
            "{{parentRefs: [{{name: demo, namespace: shop}}], hostnames: {hostnames}, rules: [{{}}]}}"
        );
        let mut own = HTTPRoute::clone(&route("r", &spec));
        own.metadata.namespace = Some(namespace.to_owned());
        let own = Arc::new(own);
        let mut all = objects(vec![own.clone()]);
        all.scope = Scope::Cluster;
        all.namespaces = [(
            "other".to_owned(),
            [("team".to_owned(), "a".to_owned())].into(),
        )]
        .into();
        all.gateways = vec![gateway(&listeners)];
        let status = View::new(&all).route_status(&own, at(0));
        assert_eq!(
            brief(&status.parents[0].conditions)[0],
            expected,
            "{listeners} {namespace}"
        );
        // With a namespaced Role, what is elsewhere cannot be served, whatever the listener allows.
        all.scope = Scope::Namespace;
        let status = View::new(&all).route_status(&own, at(0));
        let narrow = brief(&status.parents[0].conditions)[0].clone();
        assert_eq!(
            narrow.starts_with("Accepted=True"),
            namespace == "shop" && expected.contains("True")
        );
    }
}

#[test]
fn references_are_resolved_or_say_why_not() {
    let cases = [
        ("{name: web, port: 80}", "ResolvedRefs=True/ResolvedRefs"),
        (
            "{name: gone, port: 80}",
            "ResolvedRefs=False/BackendNotFound",
        ),
        (
            "{name: web, port: 99}",
            "ResolvedRefs=False/BackendNotFound",
        ),
        ("{name: web}", "ResolvedRefs=False/BackendNotFound"),
        (
            "{name: web, port: 80, kind: Bucket}",
            "ResolvedRefs=False/InvalidKind",
        ),
        (
            "{name: web, port: 80, namespace: other}",
            "ResolvedRefs=False/RefNotPermitted",
        ),
        (
            "{name: web, port: 81}",
            "ResolvedRefs=False/UnsupportedProtocol",
        ),
    ];
    for (backend, expected) in cases {
        let said = said(&format!(
            "{{parentRefs: [{{name: demo}}], rules: [{{backendRefs: [{backend}]}}]}}"
        ));
        assert_eq!(said, ["Accepted=True/Accepted", expected], "{backend}");
    }
}

#[test]
fn a_grant_opens_another_namespace_in_cluster_scope_only() {
    let own = route(
        "r",
        "{parentRefs: [{name: demo}], rules: [{backendRefs: [{name: web, port: 80, namespace: other}]}]}",
    );
    let mut all = objects(vec![own.clone()]);
    all.services.push(yaml(
        "metadata: {name: web, namespace: other}\nspec: {ports: [{port: 80}]}",
    ));
    let resolved = |all: &gateway_routes::Objects| {
        brief(&View::new(all).route_status(&own, at(0)).parents[0].conditions)[1].clone()
    };
    all.scope = Scope::Cluster;
    assert_eq!(resolved(&all), "ResolvedRefs=False/RefNotPermitted");
    let grant = |name: &str| {
        yaml(&format!(
            "metadata: {{name: g, namespace: other}}\n\
             spec: {{from: [{{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: shop}}], \
             to: [{{group: '', kind: Service, name: {name}}}]}}"
        ))
    };
    all.reference_grants = vec![grant("elsewhere")];
    assert_eq!(resolved(&all), "ResolvedRefs=False/RefNotPermitted");
    all.reference_grants = vec![grant("web")];
    assert_eq!(resolved(&all), "ResolvedRefs=True/ResolvedRefs");
    all.scope = Scope::Namespace;
    assert_eq!(resolved(&all), "ResolvedRefs=False/RefNotPermitted");
}

#[test]
fn what_is_not_supported_is_told_for_a_part_or_for_the_whole() {
    let odd = [
        "{matches: [{path: {type: RegularExpression, value: '/a.*'}}]}",
        "{matches: [{headers: [{type: RegularExpression, name: a, value: b}]}]}",
        "{filters: [{type: RequestMirror}]}",
        "{filters: [{type: ExtensionRef}]}",
        "{timeouts: {request: soon}}",
        "{filters: [{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: transfer-encoding, value: x}]}}]}",
    ];
    for rule in odd {
        let whole = said(&format!(
            "{{parentRefs: [{{name: demo}}], rules: [{rule}]}}"
        ));
        assert_eq!(whole[0], "Accepted=False/UnsupportedValue", "{rule}");
        let part = said(&format!(
            "{{parentRefs: [{{name: demo}}], rules: [{{}}, {rule}]}}"
        ));
        assert_eq!(part[0], "Accepted=True/Accepted", "{rule}");
        assert_eq!(part[2], "PartiallyInvalid=True/UnsupportedValue", "{rule}");
    }
}

#[test]
fn saying_the_same_again_changes_no_byte_and_a_change_moves_only_what_changed() {
    let own = route(
        "r",
        "{parentRefs: [{name: demo}], rules: [{backendRefs: [{name: web, port: 80}]}]}",
    );
    let mut all = objects(vec![own.clone()]);
    let mut told = HTTPRoute::clone(&own);
    told.status = Some(View::new(&all).route_status(&own, at(0)));
    let again = View::new(&all).route_status(&told, at(60));
    let bytes = |status: &HTTPRouteStatus| serde_json::to_string(status).expect("JSON");
    assert_eq!(Some(bytes(&again)), told.status.as_ref().map(bytes));

    all.services.clear();
    let changed = View::new(&all).route_status(&told, at(60));
    let times: Vec<_> = changed.parents[0]
        .conditions
        .iter()
        .map(|condition| condition.last_transition_time.0.as_second() - at(0).as_second())
        .collect();
    assert_eq!(times, [0, 60]);

    let mut gateway = Gateway::clone(&all.gateways[0]);
    gateway.status = Some(View::new(&all).gateway_status(&gateway, &plane(), at(0)));
    let again = View::new(&all).gateway_status(&gateway, &plane(), at(60));
    assert_eq!(Some(again), gateway.status);

    // What the API server gives back is what was meant: times have whole seconds.
    let text = serde_json::to_string(&gateway).expect("JSON");
    let read: Gateway = serde_json::from_str(&text).expect("a gateway");
    assert_eq!(read.status, gateway.status);
}

#[test]
fn entries_of_other_controllers_stay_and_ours_go_with_their_parents() {
    let own = route("r", "{parentRefs: [{name: demo}], rules: [{}]}");
    let all = objects(vec![own.clone()]);
    let entry = |controller: &str, parent: &str| -> RouteParentStatus {
        serde_json::from_value(json!({
            "parentRef": {"name": parent}, "controllerName": controller,
            "conditions": [{"type": "Accepted", "status": "True", "reason": "Accepted", "message": "",
                "lastTransitionTime": "2026-01-01T00:00:00Z"}],
        }))
        .expect("an entry")
    };
    let foreign = [
        entry("example.dev/other", "demo"),
        entry("example.dev/other", "gone"),
    ];
    let mut told = HTTPRoute::clone(&own);
    told.status = Some(HTTPRouteStatus {
        parents: vec![
            foreign[0].clone(),
            entry(CONTROLLER_NAME, "gone"),
            foreign[1].clone(),
        ],
    });
    let status = View::new(&all).route_status(&told, at(0));
    assert_eq!(status.parents.len(), 3);
    assert_eq!(&status.parents[..2], &foreign);
    assert_eq!(status.parents[2].controller_name, CONTROLLER_NAME);
    assert_eq!(status.parents[2].parent_ref.name, "demo");
}

#[test]
fn only_our_class_is_accepted_and_features_are_sorted() {
    let class = |controller: &str, more: &str| -> Arc<GatewayClass> {
        yaml(&format!(
            "metadata: {{name: storefront, generation: 1}}\nspec: {{controllerName: {controller}{more}}}"
        ))
    };
    assert!(gateway_class_status(&class("example.dev/other", ""), at(0)).is_none());
    let mut ours = GatewayClass::clone(&class(CONTROLLER_NAME, ""));
    let status = gateway_class_status(&ours, at(0)).expect("ours");
    assert_eq!(brief(&status.conditions), ["Accepted=True/Accepted"]);
    assert!(
        status
            .supported_features
            .as_ref()
            .expect("features")
            .is_sorted()
    );
    ours.status = Some(status.clone());
    assert_eq!(gateway_class_status(&ours, at(60)), Some(status));
    let odd = class(
        CONTROLLER_NAME,
        ", parametersRef: {group: g, kind: k, name: n}",
    );
    let status = gateway_class_status(&odd, at(0)).expect("ours");
    assert_eq!(
        brief(&status.conditions),
        ["Accepted=False/InvalidParameters"]
    );
}

#[test]
fn fields_that_are_not_honoured_are_refused_and_nothing_is_served_that_they_concern() {
    let served = |spec: &str, listener: &str| {
        let mut all = objects(vec![route(
            "r",
            "{parentRefs: [{name: demo}], rules: [{}]}",
        )]);
        all.gateways = vec![yaml(&format!(
            "metadata: {{name: demo, namespace: shop, generation: 1}}\n\
             spec: {{gatewayClassName: storefront, {spec} listeners: [\
             {{name: http, port: 80, protocol: HTTP}}, \
             {{name: https, port: 443, protocol: HTTPS, {listener}}}]}}"
        ))];
        let status = View::new(&all).gateway_status(&all.gateways[0], &plane(), at(0));
        let https = status.listeners.expect("listeners").remove(1).conditions;
        let ports: Vec<u16> = Table::compile(&all, &ObjectName::new("shop", "demo"))
            .ports()
            .map(|port| port.port)
            .collect();
        (
            brief(&status.conditions)[0].clone(),
            https[0].message.clone(),
            ports,
        )
    };
    let tls = "tls: {certificateRefs: [{name: tls}]}";
    let (accepted, _, ports) = served("allowedListeners: {namespaces: {from: All}},", tls);
    assert_eq!(
        (accepted.as_str(), ports),
        ("Accepted=True/Accepted", vec![80, 443])
    );
    let validation = "{default: {validation: {caCertificateRefs: [{name: ca}]}}}";
    let (accepted, why, ports) = served(&format!("tls: {{frontend: {validation}}},"), tls);
    assert_eq!(
        (accepted.as_str(), ports),
        ("Accepted=False/Invalid", vec![])
    );
    assert!(why.contains("spec.tls is not supported"), "{why}");
    for (field, name) in [
        (
            "frontendValidation: {caCertificateRefs: [{name: ca}]}",
            "tls.frontendValidation",
        ),
        ("options: {min-version: '1.3'}", "tls.options: min-version"),
    ] {
        let listener = format!("tls: {{certificateRefs: [{{name: tls}}], {field}}}");
        let (accepted, why, ports) = served("", &listener);
        assert_eq!(
            (accepted.as_str(), ports),
            ("Accepted=True/ListenersNotValid", vec![80])
        );
        assert!(why.contains(name), "{why}");
    }
}

#[test]
fn rules_with_fields_that_are_not_honoured_are_refused() {
    for (rule, name) in [
        ("retry: {attempts: 2}", "rule.retry"),
        (
            "sessionPersistence: {type: Cookie}",
            "rule.sessionPersistence",
        ),
        (
            "matches: [{path: {value: /}, cookies: []}]",
            "matches.cookies",
        ),
        (
            "backendRefs: [{name: web, port: 80, tls: {}}]",
            "backendRefs.tls",
        ),
    ] {
        let spec = format!("{{parentRefs: [{{name: demo}}], rules: [{{{rule}}}]}}");
        let route = route("r", &spec);
        let all = objects(vec![route.clone()]);
        let status = View::new(&all).route_status(&route, at(0));
        let condition = &status.parents[0].conditions[0];
        assert_eq!(condition.reason, "UnsupportedValue", "{rule}");
        assert!(condition.message.contains(name), "{}", condition.message);
    }
    let whole = said("{parentRefs: [{name: demo}], rules: [{}], mirror: {}}");
    assert_eq!(whole[0], "Accepted=False/UnsupportedValue");
    let backend =
        said("{parentRefs: [{name: demo}], rules: [{backendRefs: [{name: web, port: 80}]}]}");
    assert_eq!(
        backend,
        ["Accepted=True/Accepted", "ResolvedRefs=True/ResolvedRefs"]
    );
}

#[test]
fn a_route_of_another_namespace_is_told_that_it_is_not_served() {
    let mut route = HTTPRoute::clone(&route(
        "r",
        "{parentRefs: [{name: demo, namespace: shop}], rules: [{}]}",
    ));
    route.metadata.namespace = Some("team".to_owned());
    let all = objects(vec![Arc::new(route.clone())]);
    let status = View::new(&all).route_status(&route, at(0));
    let accepted = &status.parents[0].conditions[0];
    assert_eq!(
        (accepted.status.as_str(), accepted.reason.as_str()),
        ("False", "NotAllowedByListeners")
    );
    assert!(
        accepted.message.contains("own namespace only"),
        "{}",
        accepted.message
    );
}
