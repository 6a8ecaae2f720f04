use gateway_routes::api::{GatewayStatus, ListenerStatus};
use gateway_routes::{
    CertificateState, DataPlane, ObjectName, Table, View, certificate_names, container_port,
};

use crate::support::{at, brief, gateway, gateway_name, goes_to, objects, plane, route};

fn status(listeners: &str) -> GatewayStatus {
    let mut all = objects(Vec::new());
    all.gateways = vec![gateway(listeners)];
    let bad = CertificateState::Malformed("tls.crt holds no PEM certificate chain".to_owned());
    all.certificates.insert(ObjectName::new("shop", "bad"), bad);
    View::new(&all).gateway_status(&all.gateways[0], &plane(), at(0))
}

fn listener<'a>(status: &'a GatewayStatus, name: &str) -> &'a ListenerStatus {
    status
        .listeners
        .iter()
        .flatten()
        .find(|listener| listener.name == name)
        .expect("a listener")
}

#[test]
fn a_good_gateway_is_programmed_as_soon_as_it_has_address_and_pods() {
    let all = objects(Vec::new());
    let view = View::new(&all);
    let say = |plane: &DataPlane| {
        brief(
            &view
                .gateway_status(&all.gateways[0], plane, at(0))
                .conditions,
        )
    };
    assert_eq!(
        say(&DataPlane::default()),
        [
            "Accepted=True/Accepted",
            "Programmed=False/AddressNotAssigned"
        ]
    );
    let waiting = DataPlane {
        is_available: false,
        ..plane()
    };
    assert_eq!(
        say(&waiting),
        ["Accepted=True/Accepted", "Programmed=False/NoResources"]
    );
    assert_eq!(
        say(&plane()),
        ["Accepted=True/Accepted", "Programmed=True/Programmed"]
    );
    let message = |plane: &DataPlane| {
        let status = view.gateway_status(&all.gateways[0], plane, at(0));
        let found = status
            .conditions
            .into_iter()
            .find(|c| c.type_ == "Programmed");
        found.expect("Programmed").message
    };
    let told = DataPlane {
        trouble: Some("no node takes it".into()),
        ..waiting
    };
    assert!(message(&told).ends_with("available yet: no node takes it"));
    // Whatever runs meanwhile is not what the Gateway asks for.
    let refused = DataPlane {
        refused: Some("a quota".into()),
        ..plane()
    };
    assert_eq!(message(&refused), "a quota");
    let status = view.gateway_status(&all.gateways[0], &plane(), at(0));
    assert_eq!(
        brief(&listener(&status, "http").conditions),
        [
            "Accepted=True/Accepted",
            "Programmed=True/Programmed",
            "ResolvedRefs=True/ResolvedRefs",
            "Conflicted=False/NoConflicts",
        ]
    );
    assert_eq!(
        listener(&status, "http").supported_kinds[0].kind,
        "HTTPRoute"
    );
}

#[test]
fn listeners_that_cannot_be_served_say_why_and_cost_only_themselves() {
    let tls = |names: &str| format!("protocol: HTTPS, tls: {{certificateRefs: [{names}]}}");
    let cases = [
        (
            "protocol: TCP".to_owned(),
            "Accepted=False/UnsupportedProtocol",
        ),
        (
            "protocol: HTTPS".to_owned(),
            "ResolvedRefs=False/InvalidCertificateRef",
        ),
        (
            tls("{name: missing}"),
            "ResolvedRefs=False/InvalidCertificateRef",
        ),
        (
            tls("{name: bad}"),
            "ResolvedRefs=False/InvalidCertificateRef",
        ),
        (
            tls("{name: tls, kind: ConfigMap}"),
            "ResolvedRefs=False/InvalidCertificateRef",
        ),
        (
            tls("{name: tls, namespace: other}"),
            "ResolvedRefs=False/RefNotPermitted",
        ),
        (
            "protocol: HTTP, allowedRoutes: {kinds: [{kind: GRPCRoute}]}".to_owned(),
            "ResolvedRefs=False/InvalidRouteKinds",
        ),
    ];
    for (spec, expected) in cases {
        let status = status(&format!(
            "[{{name: good, port: 80, protocol: HTTP}}, {{name: odd, port: 443, {spec}}}]"
        ));
        let odd = brief(&listener(&status, "odd").conditions);
        assert!(
            odd.iter().any(|condition| condition == expected),
            "{spec}: {odd:?}"
        );
        assert!(
            odd.contains(&"Programmed=False/Invalid".to_owned()),
            "{spec}: {odd:?}"
        );
        let good = brief(&listener(&status, "good").conditions);
        assert!(
            good.contains(&"Programmed=True/Programmed".to_owned()),
            "{spec}: {good:?}"
        );
    }
}

#[test]
fn listeners_in_each_others_way_are_conflicted_and_not_served() {
    let cases = [
        (
            "port: 80, protocol: HTTP",
            "Conflicted=True/HostnameConflict",
        ),
        (
            "port: 80, protocol: HTTPS, tls: {certificateRefs: [{name: tls}]}",
            "Conflicted=True/ProtocolConflict",
        ),
    ];
    for (second, expected) in cases {
        let both = format!("[{{name: a, port: 80, protocol: HTTP}}, {{name: b, {second}}}]");
        let status = status(&both);
        for name in ["a", "b"] {
            let said = brief(&listener(&status, name).conditions);
            assert!(
                said.iter().any(|condition| condition == expected),
                "{said:?}"
            );
        }
        assert_eq!(
            brief(&status.conditions),
            [
                "Accepted=False/ListenersNotValid",
                "Programmed=False/Invalid"
            ]
        );
        let mut all = objects(Vec::new());
        all.gateways = vec![gateway(&both)];
        assert_eq!(Table::compile(&all, &gateway_name()).ports().count(), 0);
    }
}

#[test]
fn ports_that_the_process_cannot_bind_are_unavailable() {
    assert_eq!((container_port(80), container_port(8080)), (10_080, 8080));
    for (listeners, odd) in [
        ("[{name: odd, port: 9090, protocol: HTTP}]", "odd"),
        (
            "[{name: a, port: 80, protocol: HTTP}, {name: odd, port: 10080, protocol: HTTP}]",
            "odd",
        ),
    ] {
        let status = status(listeners);
        let said = brief(&listener(&status, odd).conditions);
        assert_eq!(said[0], "Accepted=False/PortUnavailable");
    }
}

#[test]
fn one_bad_listener_of_several_is_told_without_refusing_the_gateway() {
    let status =
        status("[{name: a, port: 80, protocol: HTTP}, {name: b, port: 90, protocol: TCP}]");
    assert_eq!(
        brief(&status.conditions),
        [
            "Accepted=True/ListenersNotValid",
            "Programmed=True/Programmed"
        ]
    );
}

#[test]
fn attached_routes_are_counted_once_even_with_broken_backends() {
    let mut all = objects(vec![
        route(
            "a",
            "{parentRefs: [{name: demo}, {name: demo, sectionName: http}], rules: [{}]}",
        ),
        route(
            "b",
            "{parentRefs: [{name: demo, sectionName: http}], rules: [{backendRefs: [{name: gone, port: 1}]}]}",
        ),
        route("c", "{parentRefs: [{name: other}], rules: [{}]}"),
        route(
            "d",
            "{parentRefs: [{name: demo, sectionName: more}], rules: [{}]}",
        ),
    ]);
    all.gateways = vec![gateway(
        "[{name: http, port: 80, protocol: HTTP}, {name: more, port: 81, protocol: HTTP}]",
    )];
    let status = View::new(&all).gateway_status(&all.gateways[0], &plane(), at(0));
    assert_eq!(listener(&status, "http").attached_routes, 2);
    assert_eq!(listener(&status, "more").attached_routes, 2);
}

#[test]
fn a_listener_without_hostname_serves_other_hosts_to_routes_without_hostnames_only() {
    let mut all = objects(vec![
        route("any", "{parentRefs: [{name: demo}], rules: [{}]}"),
        route(
            "named",
            "{parentRefs: [{name: demo}], hostnames: [demo.localhost], \
             rules: [{matches: [{path: {value: /named}}]}]}",
        ),
    ]);
    all.gateways = vec![gateway(
        "[{name: http, port: 80, protocol: HTTP, hostname: demo.localhost}, \
          {name: http-other, port: 80, protocol: HTTP}]",
    )];
    let status = View::new(&all).gateway_status(&all.gateways[0], &plane(), at(0));
    for name in ["http", "http-other"] {
        assert_eq!(listener(&status, name).attached_routes, 2, "{name}");
        let conditions = brief(&listener(&status, name).conditions);
        assert!(
            conditions.contains(&"Conflicted=False/NoConflicts".to_owned()),
            "{conditions:?}"
        );
    }
    let table = Table::compile(&all, &gateway_name());
    for host in ["demo.localhost", "127.0.0.1", "localhost", "[::1]"] {
        assert_eq!(goes_to(&table, host, "/").as_deref(), Some("any"), "{host}");
    }
    assert_eq!(
        goes_to(&table, "demo.localhost", "/named").as_deref(),
        Some("named")
    );
    assert_eq!(
        goes_to(&table, "127.0.0.1", "/named").as_deref(),
        Some("any")
    );
}

#[test]
fn addresses_that_cannot_be_had_are_told() {
    let mut gateway =
        gateway_routes::api::Gateway::clone(&gateway("[{name: http, port: 80, protocol: HTTP}]"));
    let all = objects(Vec::new());
    let mut say = |type_: &str, value: &str| {
        gateway.spec.addresses =
            serde_json::from_value(serde_json::json!([{"type": type_, "value": value}]))
                .expect("addresses");
        brief(
            &View::new(&all)
                .gateway_status(&gateway, &plane(), at(0))
                .conditions,
        )
    };
    assert_eq!(
        say("example.dev/odd", "x")[0],
        "Accepted=False/UnsupportedAddress"
    );
    assert_eq!(
        say("IPAddress", "1.2.3.4")[1],
        "Programmed=False/AddressNotUsable"
    );
    assert_eq!(
        say("IPAddress", "10.96.0.10")[1],
        "Programmed=True/Programmed"
    );
}

#[test]
fn the_secrets_to_watch_are_those_of_tls_listeners() {
    let gateway = gateway(
        "[{name: a, port: 443, protocol: HTTPS, tls: {certificateRefs: [{name: x}, {name: y}]}}, \
          {name: b, port: 444, protocol: HTTPS, tls: {certificateRefs: [{name: x}, {name: z, kind: Odd}]}}, \
          {name: c, port: 80, protocol: HTTP, tls: {certificateRefs: [{name: w}]}}]",
    );
    let names: Vec<_> = certificate_names(&gateway)
        .into_iter()
        .map(|name| name.name)
        .collect();
    assert_eq!(names, ["x", "y"]);
}
