//! The Gateway of a shop: its own routes are not to be taken by anybody else's.

use std::sync::Arc;

use crds::{JwtPolicy, RateLimitPolicy};
use gateway_routes::api::{BackendTLSPolicy, Gateway, HTTPRoute};
use gateway_routes::{
    Guard, Objects, OwnRoutes, RequestHead, RouteRule, Table, Target, View, settings,
};
use http::{HeaderMap, Method};

use crate::support::{at, brief, gateway, gateway_name, goes_to, objects, route, yaml};

/// The Gateway of a shop with two services of its own.
fn shops_gateway(listeners: &str) -> Arc<Gateway> {
    let mut own = OwnRoutes::default();
    own.add("demo-order", "demo-order-required", "/v1/orders");
    own.add("demo-auth", "demo-auth-public", "/v1/users/login");
    own.add("demo-auth", "demo-auth-public", "/.well-known");
    own.add("demo-web", "demo-web-public", "/");
    let mut shops = Gateway::clone(&gateway(listeners));
    let annotation = (settings::OWN_ROUTES.to_owned(), own.annotation());
    shops.metadata.annotations = Some([annotation].into());
    Arc::new(shops)
}

/// A route of the shop, younger than those of others.
fn own(service: &str, kind: &str, hostnames: &str, paths: &[&str]) -> Arc<HTTPRoute> {
    let matches: Vec<String> = paths
        .iter()
        .map(|path| format!("{{path: {{value: {path}}}}}"))
        .collect();
    yaml(&format!(
        "metadata: {{name: demo-{service}-{kind}, namespace: shop, creationTimestamp: '2026-06-01T00:00:00Z', \
         ownerReferences: [{{apiVersion: storefront.dev/v1alpha1, kind: ServiceDeployment, name: demo-{service}, \
         uid: u, controller: true}}]}}\n\
         spec: {{parentRefs: [{{name: demo}}], hostnames: {hostnames}, rules: [{{matches: [{}]}}]}}",
        matches.join(", ")
    ))
}

fn shop(hostnames: &str, others: Vec<Arc<HTTPRoute>>) -> Objects {
    let mut all = objects(others);
    all.http_routes.extend([
        own("order", "required", hostnames, &["/v1/orders"]),
        own(
            "auth",
            "public",
            hostnames,
            &["/v1/users/login", "/.well-known"],
        ),
        own("web", "public", hostnames, &["/"]),
    ]);
    all.gateways = vec![shops_gateway(
        "[{name: http, port: 80, protocol: HTTP, hostname: demo.localhost}, {name: any, port: 80, protocol: HTTP}]",
    )];
    all
}

fn foreign(hostnames: &str, paths: &str) -> Arc<HTTPRoute> {
    route(
        "thief",
        &format!(
            "{{parentRefs: [{{name: demo}}], hostnames: {hostnames}, rules: [{{matches: {paths}}}]}}"
        ),
    )
}

fn told(all: &Objects, route: &HTTPRoute) -> (Vec<String>, String) {
    let status = View::new(all).route_status(route, at(0));
    let conditions = &status.parents[0].conditions;
    let messages = conditions.iter().map(|it| it.message.clone());
    (brief(conditions), messages.collect::<Vec<_>>().join(" "))
}

const ORDERS: &str = "/v1/orders/7";

#[test]
fn a_route_of_somebody_else_never_takes_a_path_of_the_shop() {
    let paths = [
        "[{path: {value: /v1/orders}}]",
        "[{path: {value: /v1/orders/}}]",
        "[{path: {value: /v1/orders/7}}]",
        "[{path: {type: Exact, value: /v1/orders/7}}]",
        "[{path: {value: '/v1/%6frders'}}]",
        "[{path: {value: /}}]",
        "[{path: {type: Exact, value: /}}]",
        "[{}]",
        "[{path: {value: /v1/orders}, method: GET}]",
        "[{path: {value: /free}}, {path: {value: /v1/orders}}]",
    ];
    for hosts in ["[demo.localhost]", "['*.localhost']", "[]"] {
        for shops_hosts in ["[demo.localhost]", "[]"] {
            for path in paths {
                let thief = foreign(hosts, path);
                let all = shop(shops_hosts, vec![thief.clone()]);
                let table = Table::compile(&all, &gateway_name());
                let case = format!("{hosts} {shops_hosts} {path}");
                let to = |path: &str| goes_to(&table, "demo.localhost", path).expect("a route");
                assert_eq!(to(ORDERS), "demo-order-required", "{case}");
                assert_eq!(to("/v1/users/login"), "demo-auth-public", "{case}");
                assert_eq!(to("/"), "demo-web-public", "{case}");
                assert_eq!(to("/free"), "demo-web-public", "{case}");
                let (conditions, message) = told(&all, &thief);
                assert_eq!(conditions[0], "Accepted=False/PathTaken", "{case}");
                assert!(
                    message.contains("belongs to the shop's own HTTPRoute demo-"),
                    "{message}"
                );
            }
        }
    }
}

#[test]
fn a_shorter_path_under_a_more_specific_host_does_not_take_one_of_the_shop() {
    let thief = foreign("[demo.localhost, other.example]", "[{path: {value: /v1}}]");
    let all = shop("[]", vec![thief.clone()]);
    let table = Table::compile(&all, &gateway_name());
    for host in ["demo.localhost", "other.example"] {
        let to = |path: &str| goes_to(&table, host, path).expect("a route");
        assert_eq!(to(ORDERS), "demo-order-required", "{host}");
        assert_eq!(to("/v1/users/login"), "demo-auth-public", "{host}");
        assert_eq!(to("/v1/reviews"), "thief", "{host}");
    }
    assert_eq!(told(&all, &thief).0[0], "Accepted=True/Accepted");
}

#[test]
fn a_route_beside_the_shops_paths_is_served_and_so_is_the_rest_of_one_that_takes_some() {
    let beside = foreign("[demo.localhost]", "[{path: {value: /v1/orders-archive}}]");
    let all = shop("[demo.localhost]", vec![beside.clone()]);
    let table = Table::compile(&all, &gateway_name());
    let to = |path: &str| goes_to(&table, "demo.localhost", path);
    assert_eq!(to("/v1/orders-archive/1").as_deref(), Some("thief"));
    assert_eq!(told(&all, &beside).0[0], "Accepted=True/Accepted");

    let both = route(
        "thief",
        "{parentRefs: [{name: demo}], hostnames: [demo.localhost], rules: [{matches: [{path: {value: /blog}}]}, \
         {matches: [{path: {value: /v1/orders}}]}]}",
    );
    let all = shop("[demo.localhost]", vec![both.clone()]);
    let table = Table::compile(&all, &gateway_name());
    assert_eq!(
        goes_to(&table, "demo.localhost", "/blog").as_deref(),
        Some("thief")
    );
    let (conditions, message) = told(&all, &both);
    assert_eq!(conditions[0], "Accepted=True/Accepted");
    assert_eq!(conditions[2], "PartiallyInvalid=True/PathTaken");
    assert!(
        message.contains("Dropped Rule: rules[1]: path /v1/orders belongs to"),
        "{message}"
    );
}

#[test]
fn certificate_authorities_are_answered_by_routes_of_others() {
    let solver = foreign(
        "[demo.localhost]",
        "[{path: {type: Exact, value: /.well-known/acme-challenge/token}}]",
    );
    let all = shop("[demo.localhost]", vec![solver.clone()]);
    let table = Table::compile(&all, &gateway_name());
    let to = |path: &str| goes_to(&table, "demo.localhost", path).expect("a route");
    assert_eq!(to("/.well-known/acme-challenge/token"), "thief");
    assert_eq!(to("/.well-known/jwks.json"), "demo-auth-public");
    assert_eq!(told(&all, &solver).0[0], "Accepted=True/Accepted");
}

#[test]
fn the_name_of_a_route_of_the_shop_is_not_enough() {
    // Made before the shop by somebody who knew its name.
    let squatter = route(
        "demo-order-required",
        "{parentRefs: [{name: demo}], rules: [{matches: [{path: {value: /v1/orders}}]}]}",
    );
    let mut all = shop("[demo.localhost]", vec![]);
    all.http_routes
        .retain(|route| route.metadata.name.as_deref() != Some("demo-order-required"));
    all.http_routes.push(squatter.clone());
    let table = Table::compile(&all, &gateway_name());
    let to = goes_to(&table, "demo.localhost", ORDERS);
    assert_eq!(to.as_deref(), Some("demo-web-public"));
    assert_eq!(told(&all, &squatter).0[0], "Accepted=False/PathTaken");
}

#[test]
fn on_a_gateway_of_nobodys_shop_the_precedence_of_the_standard_decides() {
    let thief = foreign("[demo.localhost]", "[{path: {value: /v1/orders}}]");
    let mut all = shop("[demo.localhost]", vec![thief.clone()]);
    all.gateways = vec![gateway("[{name: http, port: 80, protocol: HTTP}]")];
    let table = Table::compile(&all, &gateway_name());
    assert_eq!(
        goes_to(&table, "demo.localhost", ORDERS).as_deref(),
        Some("thief")
    );
    assert_eq!(told(&all, &thief).0[0], "Accepted=True/Accepted");
}

fn policy(name: &str, owner: &str, target: &str) -> Arc<JwtPolicy> {
    let owners = if owner.is_empty() {
        "[]".to_owned()
    } else {
        format!(
            "[{{apiVersion: storefront.dev/v1alpha1, kind: ServiceDeployment, name: {owner}, uid: u, controller: true}}]"
        )
    };
    yaml(&format!(
        "apiVersion: storefront.dev/v1alpha1\nkind: JwtPolicy\n\
         metadata: {{name: {name}, namespace: shop, creationTimestamp: '2026-01-01T00:00:00Z', ownerReferences: {owners}}}\n\
         spec: {{targetRefs: [{{{target}}}], issuer: i, jwksUri: 'http://keys.example/', mode: Required}}"
    ))
}

fn guard(table: &Table, path: &str) -> Option<String> {
    let headers = HeaderMap::new();
    let head = RequestHead {
        host: "demo.localhost",
        path,
        query: None,
        method: &Method::GET,
        headers: &headers,
    };
    let listener = table.port(80).and_then(|port| port.listener(head.host));
    let found = listener
        .and_then(|listener| listener.find(&head))
        .expect("a rule");
    match found.rule.guard.as_ref()? {
        Guard::Jwt(settings) => Some(settings.policy.name.clone()),
        Guard::Refuse(policy) => Some(policy.name.clone()),
    }
}

#[test]
fn a_token_policy_of_somebody_else_governs_no_route_of_the_shop() {
    let orders = "kind: HTTPRoute, name: demo-order-required";
    let mut all = shop(
        "[demo.localhost]",
        vec![foreign("[demo.localhost]", "[{path: {value: /blog}}]")],
    );
    let shops = policy("demo-order-required", "demo-order", orders);
    let older = policy("a-thief", "", orders);
    let logins = policy("logins", "", "kind: HTTPRoute, name: demo-auth-public");
    let whole = policy("whole", "", "kind: Gateway, name: demo");
    all.jwt_policies = vec![shops.clone(), older.clone(), logins.clone(), whole.clone()];
    let table = Table::compile(&all, &gateway_name());
    assert_eq!(
        guard(&table, ORDERS).as_deref(),
        Some("demo-order-required")
    );
    assert_eq!(guard(&table, "/v1/users/login"), None);
    assert_eq!(guard(&table, "/blog").as_deref(), Some("whole"));

    let view = View::new(&all);
    let said = |policy: &JwtPolicy| {
        let status = view.jwt_policy_status(policy, at(0));
        let condition = status.ancestors[0].conditions[0].clone();
        (condition.reason, condition.message)
    };
    assert_eq!(said(&shops).0, "Accepted");
    assert_eq!(said(&older).0, "Conflicted");
    assert_eq!(said(&logins).0, "Conflicted");
    let (reason, message) = said(&whole);
    assert_eq!(reason, "Accepted");
    assert!(message.contains("not the shop's own"), "{message}");
}

/// A rate limit policy with this controller, `kind/name/uid`, or nobody's.
fn limit(name: &str, owner: &str, target: &str) -> Arc<RateLimitPolicy> {
    let parts: Vec<&str> = owner.split('/').collect();
    let owners = match parts[..] {
        [kind, name, uid] => format!(
            "[{{apiVersion: storefront.dev/v1alpha1, kind: {kind}, name: {name}, uid: {uid}, controller: true}}]"
        ),
        _ => "[]".to_owned(),
    };
    yaml(&format!(
        "apiVersion: storefront.dev/v1alpha1\nkind: RateLimitPolicy\n\
         metadata: {{name: {name}, namespace: shop, ownerReferences: {owners}}}\n\
         spec: {{targetRefs: [{{{target}}}], limits: [{{requests: 1, window: 60s}}]}}"
    ))
}

/// The Gateway with the Storefront as its owner.
fn owned(gateway: &Gateway) -> Arc<Gateway> {
    let owner = serde_json::json!([{ "apiVersion": "storefront.dev/v1alpha1", "kind": "Storefront",
        "name": "demo", "uid": "s", "controller": true }]);
    let mut gateway = gateway.clone();
    gateway.metadata.owner_references = serde_json::from_value(owner).expect("an owner");
    Arc::new(gateway)
}

/// The rule for requests of the shop for a path.
fn rule<'t>(table: &'t Table, path: &str) -> &'t RouteRule {
    let headers = HeaderMap::new();
    let head = RequestHead {
        host: "demo.localhost",
        path,
        query: None,
        method: &Method::GET,
        headers: &headers,
    };
    let listener = table.port(80).and_then(|port| port.listener(head.host));
    let found = listener.and_then(|listener| listener.find(&head));
    found.expect("a rule").rule
}

/// Names of the limits of requests for a path.
fn limits(table: &Table, path: &str) -> Vec<String> {
    let limits = rule(table, path).limits.iter();
    limits.map(|it| it.name.to_string()).collect()
}

#[test]
fn a_rate_limit_of_somebody_else_limits_no_route_of_the_shop() {
    let blog = foreign("[demo.localhost]", "[{path: {value: /blog}}]");
    let mut all = shop("[demo.localhost]", vec![blog]);
    all.gateways = vec![owned(&all.gateways[0])];
    let (whole, orders) = (
        "kind: Gateway, name: demo",
        "kind: HTTPRoute, name: demo-order-required",
    );
    let own = limit("demo", "Storefront/demo/s", whole);
    let others = [
        limit("lock", "", whole),
        limit("lock-orders", "", orders),
        // Whoever may create a policy may write any owner.
        limit("forged", "Storefront/demo/s", whole),
        limit("forged-orders", "ServiceDeployment/demo-order/u", orders),
        limit(
            "listener",
            "",
            "kind: Gateway, name: demo, sectionName: http",
        ),
    ];
    all.rate_limit_policies = vec![own.clone()];
    all.rate_limit_policies.extend(others.iter().cloned());
    let table = Table::compile(&all, &gateway_name());
    let of = |path: &str| limits(&table, path);
    assert_eq!(of(ORDERS), ["demo-0"]);
    assert_eq!(of("/"), ["demo-0"]);
    assert_eq!(of("/blog"), ["listener-0", "demo-0", "lock-0", "forged-0"]);

    // One that took the name before, or that names another object as the owner, is not the shop's either.
    for owner in ["", "Storefront/demo/other", "Storefront/other/s"] {
        let mut all = all.clone();
        all.rate_limit_policies = vec![limit("demo", owner, whole)];
        let table = Table::compile(&all, &gateway_name());
        let own = table.rules().filter(|rule| rule.route.name != "thief");
        assert!(
            own.into_iter().all(|rule| rule.limits.is_empty()),
            "{owner}"
        );
    }

    let view = View::new(&all);
    let said = |policy: &RateLimitPolicy| {
        let status = view.rate_limit_policy_status(policy, at(0));
        let condition = status.ancestors[0].conditions[0].clone();
        (condition.status, condition.reason, condition.message)
    };
    let (status, _, message) = said(&own);
    assert_eq!(
        (status.as_str(), message.as_str()),
        ("True", "The policy is applied")
    );
    for refused in [&others[1], &others[3]] {
        let (status, reason, message) = said(refused);
        assert_eq!((status.as_str(), reason.as_str()), ("False", "Conflicted"));
        assert!(message.contains("spec.gateway.rateLimits"), "{message}");
    }
    for partly in [&others[0], &others[2], &others[4]] {
        let (status, _, message) = said(partly);
        assert_eq!(status, "True");
        assert!(message.contains("not the shop's own"), "{message}");
    }
}

#[test]
fn own_routes_that_cannot_be_read_are_reported_on_the_gateway() {
    let mut odd = Gateway::clone(&gateway("[{name: http, port: 80, protocol: HTTP}]"));
    let annotation = (settings::OWN_ROUTES.to_owned(), "/v1/orders".to_owned());
    odd.metadata.annotations = Some([annotation].into());
    let odd = Arc::new(odd);
    let mut all = objects(vec![]);
    all.gateways = vec![odd.clone()];
    let status = View::new(&all).gateway_status(&odd, &crate::support::plane(), at(0));
    let accepted = &status.conditions[0];
    assert_eq!(accepted.reason, "InvalidParameters");
    assert!(
        accepted.message.contains("storefront.dev/own-routes"),
        "{}",
        accepted.message
    );
}

#[test]
fn a_policy_of_somebody_else_that_asks_for_tls_takes_no_service_of_the_shop_away() {
    let backends = |route: &Arc<HTTPRoute>, service: &str| {
        let mut route = HTTPRoute::clone(route);
        let rules = route.spec.rules.as_mut().expect("rules");
        let refs = serde_json::json!([{ "name": service, "port": 80 }]);
        rules[0].backend_refs = serde_json::from_value(refs).expect("backends");
        Arc::new(route)
    };
    let mut all = shop(
        "[demo.localhost]",
        vec![backends(
            &foreign("[demo.localhost]", "[{path: {value: /blog}}]"),
            "web",
        )],
    );
    let own = all.http_routes.iter_mut();
    for route in own.filter(|it| it.metadata.name.as_deref() == Some("demo-order-required")) {
        *route = backends(route, "demo-order");
    }
    all.services.push(yaml(
        "metadata: {name: demo-order, namespace: shop}\nspec: {ports: [{name: http, port: 80}]}",
    ));
    let policy = |targets: &[&str]| {
        let targets = targets.iter();
        let targets = targets.map(|name| format!("{{group: '', kind: Service, name: {name}}}"));
        yaml::<BackendTLSPolicy>(&format!(
            "metadata: {{name: p, namespace: shop, generation: 1}}\nspec: {{targetRefs: [{}]}}",
            targets.collect::<Vec<_>>().join(", ")
        ))
    };
    let reason = |all: &Objects, policy: &BackendTLSPolicy| {
        let status = View::new(all).backend_tls_status(policy, at(0));
        brief(&status.ancestors[0].conditions).remove(0)
    };
    let target = |all: &Objects, path: &str| {
        let table = Table::compile(all, &gateway_name());
        let chosen = rule(&table, path).backends.pick();
        chosen.map(|it| it.target)
    };

    let shops = policy(&["demo-order"]);
    all.backend_tls_policies = vec![shops.clone()];
    assert_ne!(target(&all, ORDERS), Some(Target::NeedsTls));
    assert_eq!(reason(&all, &shops), "Accepted=False/Conflicted");
    let order = all.http_routes.iter();
    let mut order = order.filter(|it| it.metadata.name.as_deref() == Some("demo-order-required"));
    let (conditions, _) = told(&all, order.next().expect("a route"));
    assert_eq!(conditions[1], "ResolvedRefs=True/ResolvedRefs");

    // What is not the shop's fails closed, also beside a Service of the shop.
    let both = policy(&["demo-order", "web"]);
    all.backend_tls_policies = vec![both.clone()];
    assert_ne!(target(&all, ORDERS), Some(Target::NeedsTls));
    assert_eq!(target(&all, "/blog"), Some(Target::NeedsTls));
    assert_eq!(reason(&all, &both), "Accepted=False/Invalid");
}
