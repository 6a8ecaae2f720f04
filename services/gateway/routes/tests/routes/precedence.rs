//! The table against the standard, and against a matcher too simple to be wrong.

use std::sync::Arc;

use gateway_routes::api::HTTPRoute;
use gateway_routes::{RequestHead, Table, Target, Timeout};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::support::{gateway_name, goes_to, objects, route};

fn compile(routes: Vec<Arc<HTTPRoute>>) -> Table {
    Table::compile(&objects(routes), &gateway_name())
}

fn simple(name: &str, hosts: &str, path: &str) -> Arc<HTTPRoute> {
    route(
        name,
        &format!(
            "{{parentRefs: [{{name: demo}}], hostnames: {hosts}, rules: [{{matches: [{{path: {path}}}]}}]}}"
        ),
    )
}

#[test]
fn prefixes_match_whole_segments_and_the_longest_wins() {
    let table = compile(vec![
        simple("root", "[]", "{value: /}"),
        simple("a", "[]", "{value: /a}"),
        simple("ab", "[]", "{value: /a/b/}"),
        simple("exact", "[]", "{type: Exact, value: /a/b}"),
    ]);
    let cases = [
        ("/", "root"),
        ("/x", "root"),
        ("/ab", "root"),
        ("/a", "a"),
        ("/a/", "a"),
        ("/a/bc", "a"),
        ("/a//b", "a"),
        ("/a/b", "exact"),
        ("/a/b/", "ab"),
        ("/a/b/c", "ab"),
    ];
    for (path, expected) in cases {
        assert_eq!(
            goes_to(&table, "x", path).as_deref(),
            Some(expected),
            "{path}"
        );
    }
}

#[test]
fn hosts_come_first_and_less_specific_hosts_are_asked_when_nothing_fits() {
    let table = compile(vec![
        simple("any", "[]", "{value: /}"),
        simple("wild", "['*.example']", "{value: /w}"),
        simple("deep", "['*.b.example']", "{value: /w}"),
        simple("exact", "['a.b.example']", "{value: /e}"),
    ]);
    let cases = [
        ("a.b.example", "/e", "exact"),
        ("a.b.example", "/w", "deep"),
        ("c.example", "/w", "wild"),
        ("c.example", "/e", "any"),
        ("example", "/w", "any"),
        ("other", "/e", "any"),
    ];
    for (host, path, expected) in cases {
        assert_eq!(
            goes_to(&table, host, path).as_deref(),
            Some(expected),
            "{host}{path}"
        );
    }
}

#[test]
fn a_listener_with_a_narrower_host_keeps_requests_from_the_others() {
    let mut all = objects(vec![
        route(
            "narrow",
            "{parentRefs: [{name: demo, sectionName: narrow}], rules: [{matches: [{path: {value: /n}}]}]}",
        ),
        route(
            "wide",
            "{parentRefs: [{name: demo, sectionName: wide}], rules: [{}]}",
        ),
    ]);
    all.gateways = vec![crate::support::gateway(
        "[{name: narrow, port: 80, protocol: HTTP, hostname: a.example}, \
          {name: wide, port: 80, protocol: HTTP}]",
    )];
    let table = Table::compile(&all, &gateway_name());
    assert_eq!(
        goes_to(&table, "a.example", "/n").as_deref(),
        Some("narrow")
    );
    assert_eq!(goes_to(&table, "a.example", "/x"), None);
    assert_eq!(goes_to(&table, "b.example", "/x").as_deref(), Some("wide"));
}

#[test]
fn ties_go_to_the_oldest_then_to_the_first_name() {
    let older = |name: &str, created: &str| {
        let mut route = HTTPRoute::clone(&simple(name, "[]", "{value: /}"));
        route.metadata.creation_timestamp =
            Some(serde_json::from_value(json!(created)).expect("a time"));
        Arc::new(route)
    };
    let young = "2026-02-01T00:00:00Z";
    let old = "2026-01-01T00:00:00Z";
    let table = compile(vec![older("b", young), older("a", young)]);
    assert_eq!(goes_to(&table, "x", "/").as_deref(), Some("a"));
    let table = compile(vec![older("a", young), older("z", old)]);
    assert_eq!(goes_to(&table, "x", "/").as_deref(), Some("z"));
}

#[test]
fn only_ready_endpoints_get_requests_and_backends_that_lead_nowhere_keep_their_share() {
    let table = compile(vec![route(
        "all",
        "{parentRefs: [{name: demo}], rules: [{backendRefs: [{name: web, port: 80}, {name: gone, port: 80}]}]}",
    )]);
    let cluster = &table.clusters()[0];
    let addresses: Vec<String> = cluster.endpoints.iter().map(ToString::to_string).collect();
    assert_eq!(addresses, ["10.0.0.1:8080", "10.0.0.4:8080"]);
    let rule = table.rules().next().expect("a rule");
    let targets: Vec<_> = (0..4)
        .filter_map(|_| Some(rule.backends.pick()?.target))
        .collect();
    assert_eq!(
        targets
            .iter()
            .filter(|target| **target == Target::Invalid)
            .count(),
        2
    );
}

const HOSTS: [&str; 5] = ["a.example", "b.a.example", "*.example", "*.a.example", ""];
const PATHS: [&str; 7] = ["/", "/a", "/a/", "/a/b", "/ab", "/a/b/c", "/b"];
const REQUEST_HOSTS: [&str; 5] = ["a.example", "b.a.example", "c.b.a.example", "example", "x"];
const REQUEST_PATHS: [&str; 9] = [
    "/", "/a", "/a/", "/a/b", "/a/b/", "/ab", "/a/b/c/d", "/b/a", "/a//b",
];

fn some<T: std::fmt::Debug + Clone + 'static>(
    of: &'static [T],
    at_most: usize,
) -> impl Strategy<Value = Vec<T>> {
    proptest::sample::subsequence(of, 0..=at_most)
}

prop_compose! {
    fn a_match()(
        path in proptest::sample::select(&PATHS[..]),
        is_exact in any::<bool>(),
        method in proptest::sample::select(&[None, Some("GET"), Some("POST")][..]),
        headers in some(&["x-a", "x-b"], 2),
        query in some(&["p", "q"], 2),
    ) -> Value {
        let pairs = |names: &[&str]| {
            names.iter().map(|name| json!({"name": name, "value": "1"})).collect::<Vec<_>>()
        };
        let kind = if is_exact { "Exact" } else { "PathPrefix" };
        let mut entry = json!({
            "path": {"type": kind, "value": path},
            "headers": pairs(&headers),
            "queryParams": pairs(&query),
        });
        if let Some(method) = method {
            entry["method"] = json!(method);
        }
        entry
    }
}

prop_compose! {
    fn a_route()(
        hosts in some(&HOSTS, 2),
        rules in proptest::collection::vec(proptest::collection::vec(a_match(), 0..3), 1..3),
        created in 0..3_u8,
    ) -> (Vec<&'static str>, Vec<Vec<Value>>, u8) {
        (hosts, rules, created)
    }
}

#[derive(Debug)]
struct Asked {
    host: &'static str,
    path: &'static str,
    query: Option<&'static str>,
    method: Method,
    headers: Vec<&'static str>,
}

prop_compose! {
    fn a_request()(
        host in proptest::sample::select(&REQUEST_HOSTS[..]),
        path in proptest::sample::select(&REQUEST_PATHS[..]),
        query in proptest::sample::select(&[None, Some("p=1"), Some("q=1&p=1"), Some("p=2&p=1")][..]),
        is_get in any::<bool>(),
        headers in some(&["x-a", "x-b"], 2),
    ) -> Asked {
        Asked { host, path, query, method: if is_get { Method::GET } else { Method::POST }, headers }
    }
}

/// Specificity of a pattern for a host: exact, then length.
fn host_rank(pattern: &str, host: &str) -> Option<(bool, usize)> {
    match pattern.strip_prefix('*') {
        _ if pattern.is_empty() => Some((false, 0)),
        Some(suffix) => {
            (host.ends_with(suffix) && host.len() > suffix.len()).then_some((false, suffix.len()))
        }
        None => (pattern == host).then_some((true, pattern.len())),
    }
}

/// What decides a tie, smallest first: age, route, rule, match.
type Tie = (u8, usize, usize, usize);

/// What ranks a match, greatest first.
type Rank = ((bool, usize), bool, usize, bool, usize, usize);

fn rank(entry: &Value, pattern: &str, asked: &Asked) -> Option<Rank> {
    let host = host_rank(pattern, asked.host)?;
    let value = entry["path"]["value"].as_str().unwrap_or("/");
    let is_exact = entry["path"]["type"] == "Exact";
    let prefix = value.trim_end_matches('/');
    let fits = if is_exact {
        value == asked.path
    } else {
        asked
            .path
            .strip_prefix(prefix)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let method = entry.get("method").and_then(Value::as_str);
    let names = |key: &str| {
        let list = entry
            .get(key)
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default();
        list.iter()
            .filter_map(|pair| Some(pair["name"].as_str()?.to_owned()))
            .collect::<Vec<_>>()
    };
    let (headers, query) = (names("headers"), names("queryParams"));
    let sent = asked.query.unwrap_or_default();
    let all = fits
        && method.is_none_or(|method| asked.method.as_str() == method)
        && headers
            .iter()
            .all(|name| asked.headers.contains(&name.as_str()))
        && query.iter().all(|name| {
            let first = sent.split('&').find(|pair| pair.starts_with(name.as_str()));
            first.is_some_and(|pair| pair == format!("{name}=1"))
        });
    let length = if is_exact { 0 } else { prefix.len() };
    all.then_some((
        host,
        is_exact,
        length,
        method.is_some(),
        headers.len(),
        query.len(),
    ))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_table_agrees_with_the_simple_matcher(
        routes in proptest::collection::vec(a_route(), 1..6),
        requests in proptest::collection::vec(a_request(), 8),
    ) {
        let built = routes.iter().enumerate().map(|(number, (hosts, rules, created))| {
            let rules: Vec<Value> = rules.iter().enumerate().map(|(rule, matches)| {
                // The timeout tells rules apart in the table.
                let mark = format!("{}s", number * 10 + rule + 1);
                json!({"matches": matches, "timeouts": {"request": mark}})
            }).collect();
            let hosts: Vec<_> = hosts.iter().filter(|host| !host.is_empty()).collect();
            Arc::new(serde_json::from_value::<HTTPRoute>(json!({
                "metadata": {"name": format!("r{number}"), "namespace": "shop",
                    "creationTimestamp": format!("2026-01-0{}T00:00:00Z", created + 1)},
                "spec": {"parentRefs": [{"name": "demo"}], "hostnames": hosts, "rules": rules},
            })).expect("a route"))
        }).collect();
        let table = compile(built);
        for asked in &requests {
            let mut best: Option<(Rank, Tie, usize)> = None;
            for (number, (hosts, rules, created)) in routes.iter().enumerate() {
                let hosts: Vec<&str> = hosts.iter().copied().filter(|host| !host.is_empty()).collect();
                let patterns = if hosts.is_empty() { vec![""] } else { hosts };
                for (rule, matches) in rules.iter().enumerate() {
                    let everything = [json!({"path": {"value": "/"}})];
                    let matches = if matches.is_empty() { &everything[..] } else { &matches[..] };
                    for (place, entry) in matches.iter().enumerate() {
                        for pattern in &patterns {
                            let Some(rank) = rank(entry, pattern, asked) else { continue };
                            let tie = (*created, number, rule, place);
                            let is_better = best.as_ref().is_none_or(|(other, other_tie, _)| {
                                rank > *other || rank == *other && tie < *other_tie
                            });
                            if is_better {
                                best = Some((rank, tie, number * 10 + rule + 1));
                            }
                        }
                    }
                }
            }
            let headers: HeaderMap = asked.headers.iter().map(|name| {
                (HeaderName::from_static(name), HeaderValue::from_static("1"))
            }).collect();
            let head = RequestHead {
                host: asked.host, path: asked.path, query: asked.query,
                method: &asked.method, headers: &headers,
            };
            let found = table.port(80).and_then(|port| port.listener(asked.host)?.find(&head));
            let found = found.map(|matched| match matched.rule.request_timeout {
                Timeout::After(mark) => usize::try_from(mark.as_secs()).expect("small"),
                other => panic!("{other:?}"),
            });
            prop_assert_eq!(found, best.map(|(_, _, mark)| mark), "{:?}", asked);
        }
    }
}

#[test]
fn a_path_with_escapes_matches_in_every_spelling() {
    let table = compile(vec![
        simple("cafe", "[]", "{value: /caf%c3%a9}"),
        simple("home", "[]", "{type: Exact, value: /%7Eadmin}"),
        simple("name", "[]", "{value: /%6Eame/x%20y/}"),
    ]);
    let goes = |path: &str| {
        let path = gateway_routes::path::normalise(path).expect("a path");
        goes_to(&table, "x", &path)
    };
    for path in ["/café/menu", "/caf%C3%A9", "/caf%c3%a9/"] {
        assert_eq!(goes(path).as_deref(), Some("cafe"), "{path}");
    }
    for path in ["/~admin", "/%7eadmin"] {
        assert_eq!(goes(path).as_deref(), Some("home"), "{path}");
    }
    assert_eq!(goes("/name/x%20y/z").as_deref(), Some("name"));
    assert_eq!(goes("/name/x+y"), None);
}

#[test]
fn a_rule_whose_path_no_request_can_have_is_refused() {
    for path in ["/a%2fb", "/a%5Cb", "/a/%2e%2e", "/100%"] {
        let odd = simple("odd", "[]", &format!("{{value: '{path}'}}"));
        let all = objects(vec![odd.clone()]);
        let status = gateway_routes::View::new(&all).route_status(&odd, crate::support::at(0));
        let accepted = &status.parents[0].conditions[0];
        assert_eq!(accepted.reason, "UnsupportedValue", "{path}");
        assert!(
            accepted.message.contains("matches no request"),
            "{}",
            accepted.message
        );
    }
}
