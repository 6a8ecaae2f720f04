use std::sync::Arc;

use crds::{JwtPolicy, PolicyStatus, RateLimitPolicy};
use gateway_routes::{Guard, Objects, Table, View};
use http::Method;

use crate::support::{at, gateway_name, objects, route, yaml};

fn jwt(name: &str, created: u8, target: &str, more: &str) -> Arc<JwtPolicy> {
    yaml(&format!(
        "apiVersion: storefront.dev/v1alpha1\nkind: JwtPolicy\n\
         metadata: {{name: {name}, namespace: shop, creationTimestamp: '2026-01-0{created}T00:00:00Z'}}\n\
         spec: {{targetRefs: [{{{target}}}], issuer: i, jwksUri: 'http://auth/jwks.json', mode: Required{more}}}"
    ))
}

fn with(policies: Vec<Arc<JwtPolicy>>) -> Objects {
    let mut all = objects(vec![route(
        "r",
        "{parentRefs: [{name: demo}], rules: [{name: one, matches: [{path: {value: /1}}]}, {name: two, matches: [{path: {value: /2}}]}]}",
    )]);
    all.jwt_policies = policies;
    all
}

/// The policy in force at `/1` and `/2`.
fn guards(all: &Objects) -> Vec<String> {
    let table = Table::compile(all, &gateway_name());
    ["/1", "/2"]
        .iter()
        .map(|path| {
            let headers = http::HeaderMap::new();
            let head = gateway_routes::RequestHead {
                host: "x",
                path,
                query: None,
                method: &Method::GET,
                headers: &headers,
            };
            let found = table
                .port(80)
                .and_then(|port| port.listener("x")?.find(&head));
            match &found.expect("a rule").rule.guard {
                None => "none".to_owned(),
                Some(Guard::Jwt(settings)) => settings.policy.name.clone(),
                Some(Guard::Refuse(policy)) => format!("refuse {}", policy.name),
            }
        })
        .collect()
}

const GATEWAY: &str = "kind: Gateway, name: demo";
const LISTENER: &str = "kind: Gateway, name: demo, sectionName: http";
const ROUTE: &str = "kind: HTTPRoute, name: r";
const RULE: &str = "kind: HTTPRoute, name: r, sectionName: one";

#[test]
fn the_most_specific_policy_wins_then_the_oldest() {
    let gateway = || jwt("gateway", 1, GATEWAY, "");
    assert_eq!(guards(&with(vec![])), ["none", "none"]);
    assert_eq!(guards(&with(vec![gateway()])), ["gateway", "gateway"]);
    assert_eq!(
        guards(&with(vec![gateway(), jwt("l", 2, LISTENER, "")])),
        ["l", "l"]
    );
    assert_eq!(
        guards(&with(vec![
            gateway(),
            jwt("l", 2, LISTENER, ""),
            jwt("r", 3, ROUTE, ""),
            jwt("one", 4, RULE, "")
        ])),
        ["one", "r"]
    );
    assert_eq!(
        guards(&with(vec![
            jwt("young", 2, ROUTE, ""),
            jwt("old", 1, ROUTE, "")
        ])),
        ["old", "old"]
    );
    assert_eq!(
        guards(&with(vec![jwt("b", 1, ROUTE, ""), jwt("a", 1, ROUTE, "")])),
        ["a", "a"]
    );
}

#[test]
fn a_policy_that_cannot_be_honoured_refuses_instead_of_opening() {
    let names = [
        "Authorization",
        "host",
        "Idempotency-Key",
        "X-Request-ID",
        "x-internal-token",
        "Forwarded",
        "X-Forwarded-Proto",
        "Cookie",
        "Content-Type",
        "If-Match",
        "TE",
        "Proxy-Connection",
        "traceparent",
    ];
    for name in names {
        let more = format!(", claimToHeaders: [{{claim: sub, header: {name}}}]");
        let odd = jwt("odd", 1, ROUTE, &more);
        let all = with(vec![odd.clone()]);
        assert_eq!(guards(&all), ["refuse odd", "refuse odd"], "{name}");
        // Nothing is taken from what clients send, on this route or any other.
        let table = Table::compile(&all, &crate::support::gateway_name());
        assert!(table.identity_headers().is_empty(), "{name}");
        let told = View::new(&all).jwt_policy_status(&odd, at(0));
        let message = &told.ancestors[0].conditions[0].message;
        assert!(
            message.contains(name) && message.contains("choose a name of your own"),
            "{message}"
        );
    }
}

#[test]
fn keys_that_could_not_be_fetched_again_are_told_and_the_policy_stays_in_force() {
    let policy = jwt("p", 1, ROUTE, "");
    let mut all = with(vec![policy.clone()]);
    let why = "fetching it again has failed since 2026-01-02T03:04:05Z: timed out";
    let uri = policy.spec.jwks_uri.clone();
    all.stale_key_sets = [(uri.clone(), why.to_owned())].into();
    let status = View::new(&all).jwt_policy_status(&policy, at(0));
    let wanted = ["Accepted=True/Accepted", "KeysStale=True/RefreshFailed"];
    assert_eq!(brief(&status), wanted);
    let message = &status.ancestors[0].conditions[1].message;
    assert!(message.contains(why), "{message}");

    let mut told = JwtPolicy::clone(&policy);
    told.status = Some(status.clone());
    assert_eq!(View::new(&all).jwt_policy_status(&told, at(60)), status);
    all.stale_key_sets.clear();
    let well = View::new(&all).jwt_policy_status(&told, at(60));
    assert_eq!(brief(&well), wanted[..1]);
    // Without any key there is nothing that could be old.
    all.stale_key_sets = [(uri.clone(), why.to_owned())].into();
    all.unusable_key_sets = [(uri, "refused".to_owned())].into();
    let none = View::new(&all).jwt_policy_status(&told, at(60));
    assert_eq!(brief(&none), ["Accepted=False/KeysUnavailable"]);
}

fn brief(status: &PolicyStatus) -> Vec<String> {
    let all = status
        .ancestors
        .iter()
        .flat_map(|ancestor| &ancestor.conditions);
    all.map(|condition| {
        format!(
            "{}={}/{}",
            condition.type_, condition.status, condition.reason
        )
    })
    .collect()
}

#[test]
fn each_target_of_a_policy_is_told_whether_it_is_in_force() {
    let cases = [
        (ROUTE, "", "Accepted=True/Accepted"),
        (RULE, "", "Accepted=True/Accepted"),
        (LISTENER, "", "Accepted=True/Accepted"),
        (
            "kind: HTTPRoute, name: gone",
            "",
            "Accepted=False/TargetNotFound",
        ),
        (
            "kind: HTTPRoute, name: r, sectionName: gone",
            "",
            "Accepted=False/TargetNotFound",
        ),
        (
            "kind: Gateway, name: demo, sectionName: gone",
            "",
            "Accepted=False/TargetNotFound",
        ),
        ("kind: Service, name: web", "", "Accepted=False/Invalid"),
        (
            ROUTE,
            ", claimToHeaders: [{claim: sub, header: Host}]",
            "Accepted=False/Invalid",
        ),
    ];
    for (target, more, expected) in cases {
        let policy = jwt("p", 1, target, more);
        let all = with(vec![policy.clone()]);
        let status = View::new(&all).jwt_policy_status(&policy, at(0));
        assert_eq!(brief(&status), [expected], "{target}{more}");
        let mut told = JwtPolicy::clone(&policy);
        told.status = Some(status.clone());
        assert_eq!(View::new(&all).jwt_policy_status(&told, at(60)), status);
    }
    let (old, young) = (jwt("old", 1, ROUTE, ""), jwt("young", 2, ROUTE, ""));
    let all = with(vec![young.clone(), old.clone()]);
    let view = View::new(&all);
    assert_eq!(
        brief(&view.jwt_policy_status(&old, at(0))),
        ["Accepted=True/Accepted"]
    );
    assert_eq!(
        brief(&view.jwt_policy_status(&young, at(0))),
        ["Accepted=False/Conflicted"]
    );
}

#[test]
fn rate_limits_add_up_over_all_levels() {
    let limit = |name: &str, target: &str| -> Arc<RateLimitPolicy> {
        yaml(&format!(
            "apiVersion: storefront.dev/v1alpha1\nkind: RateLimitPolicy\nmetadata: {{name: {name}, namespace: shop}}\n\
             spec: {{targetRefs: [{{{target}}}], limits: [{{path: /1/, method: POST, requests: 5, window: 1m}}, {{requests: 9, window: 10s}}]}}"
        ))
    };
    let mut all = with(vec![]);
    all.rate_limit_policies = vec![limit("wide", GATEWAY), limit("narrow", RULE)];
    let table = Table::compile(&all, &gateway_name());
    let of = |index: usize| {
        let rule = table.rules().nth(index).expect("a rule");
        let mut ids: Vec<_> = rule
            .limits
            .iter()
            .map(|limit| limit.id.to_string())
            .collect();
        ids.sort();
        ids
    };
    let mut both = [of(0), of(1)];
    both.sort_by_key(Vec::len);
    assert_eq!(both[0], ["shop/wide#0", "shop/wide#1"]);
    assert_eq!(
        both[1],
        [
            "shop/narrow#0",
            "shop/narrow#1",
            "shop/wide#0",
            "shop/wide#1"
        ]
    );
    let rule = table.rules().next().expect("a rule");
    let first = rule
        .limits
        .iter()
        .find(|limit| limit.id.ends_with("#0"))
        .expect("a limit");
    assert_eq!((first.requests, first.window_secs), (5, 60));
    assert!(first.covers(&Method::POST, "/1/x") && first.covers(&Method::POST, "/1"));
    assert!(!first.covers(&Method::GET, "/1") && !first.covers(&Method::POST, "/10"));
    let status = View::new(&all).rate_limit_policy_status(&all.rate_limit_policies[0], at(0));
    assert_eq!(brief(&status), ["Accepted=True/Accepted"]);
}

#[test]
fn the_path_of_a_limit_is_compared_in_one_spelling_or_refused() {
    let limit = |path: &str| -> Arc<RateLimitPolicy> {
        yaml(&format!(
            "apiVersion: storefront.dev/v1alpha1\nkind: RateLimitPolicy\nmetadata: {{name: p, namespace: shop}}\n\
             spec: {{targetRefs: [{{{ROUTE}}}], limits: [{{path: '{path}', requests: 5, window: 1m}}]}}"
        ))
    };
    let mut all = with(vec![]);
    all.rate_limit_policies = vec![limit("/%7Elogin/caf%c3%a9/")];
    let table = Table::compile(&all, &gateway_name());
    let limits = &table.rules().next().expect("a rule").limits;
    assert!(limits[0].covers(&Method::GET, "/~login/caf%C3%A9/x"));
    let odd = limit("/a%2Fb");
    let status = View::new(&all).rate_limit_policy_status(&odd, at(0));
    assert_eq!(brief(&status), ["Accepted=False/Invalid"]);
}

#[test]
fn a_policy_whose_key_set_nobody_serves_says_that_it_lets_nobody_through() {
    let policy = |host: &str| {
        let mut policy = JwtPolicy::clone(&jwt("p", 1, ROUTE, ""));
        policy.spec.jwks_uri = format!("http://{host}:8080/.well-known/jwks.json");
        Arc::new(policy)
    };
    for (host, expected) in [
        ("web.shop.svc", "Accepted=True/Accepted"),
        ("web.shop.svc.cluster.local", "Accepted=True/Accepted"),
        ("gone.shop.svc", "Accepted=False/KeysUnavailable"),
        (
            "gone.shop.svc.cluster.local",
            "Accepted=False/KeysUnavailable",
        ),
        // Out of sight: another namespace, another network.
        ("gone.other.svc", "Accepted=True/Accepted"),
        ("issuer.example", "Accepted=True/Accepted"),
    ] {
        let policy = policy(host);
        let all = with(vec![policy.clone()]);
        let status = View::new(&all).jwt_policy_status(&policy, at(0));
        assert_eq!(brief(&status), [expected], "{host}");
    }
}
