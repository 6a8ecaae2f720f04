//! Two workloads of a shop that want one path.

use crds::{Route, ServiceDeployment};
use operator_plan::{
    Outcome, conditions::find, service_deployment, service_deployment::are_rivals,
};
use serde_json::{Value, json};

use crate::fixtures::{applied, children, example, migrated, platform, shop, stored};

/// A team's workload with these paths, made at this second.
fn team(name: &str, made: i64, paths: &[&str]) -> ServiceDeployment {
    let mut service: ServiceDeployment = example("team-service-smallest.yaml").pop().expect("one");
    service.metadata.name = Some(name.into());
    stored(&mut service);
    let made = jiff::Timestamp::from_second(made).expect("an instant");
    service.metadata.creation_timestamp = serde_json::from_value(json!(made.to_string())).ok();
    service.spec.routes = paths.iter().map(|path| route(path)).collect();
    service
}

fn route(path: &str) -> Route {
    serde_json::from_value(json!({ "path": path, "auth": "Public" })).expect("a route")
}

/// The paths that are planned, and status, reason and message of RoutesAccepted.
fn look(service: &ServiceDeployment, others: &[&ServiceDeployment]) -> (Vec<String>, [String; 3]) {
    let mut seen = migrated(service, &shop("storefront.yaml"));
    seen.rivals = others
        .iter()
        .map(|other| std::sync::Arc::new((*other).clone()))
        .collect();
    let valid = service_deployment::validate(service, &seen, &platform());
    let valid = valid.ready().expect("valid");
    let plan = service_deployment::desired(&valid);
    let mut paths = Vec::new();
    for item in plan
        .items
        .iter()
        .filter(|item| item.key.kind == "HTTPRoute")
    {
        let matches = item.body["spec"]["rules"][0]["matches"].as_array();
        let values = matches.into_iter().flatten();
        paths.extend(values.map(|it| it["path"]["value"].as_str().unwrap_or_default().to_owned()));
    }
    let objects = applied(&plan, |item| match item.key.kind.as_str() {
        "HTTPRoute" => accepted(),
        _ => Value::Null,
    });
    let outcome = Outcome::Applied {
        valid: &valid,
        objects: &objects,
    };
    let now = jiff::Timestamp::UNIX_EPOCH;
    let status = service_deployment::status(service, &outcome, now);
    let told = find(&status.conditions, "RoutesAccepted").expect("it has routes");
    let told = [&told.status, &told.reason, &told.message].map(Clone::clone);
    (paths, told)
}

fn accepted() -> Value {
    let condition = |type_| {
        json!({ "type": type_, "status": "True", "reason": "Test", "message": "",
            "observedGeneration": 1, "lastTransitionTime": "1970-01-01T00:00:00Z" })
    };
    json!({ "parents": [{ "parentRef": { "name": "demo" }, "controllerName": "test",
        "conditions": [condition("Accepted"), condition("ResolvedRefs")] }] })
}

#[test]
fn the_older_one_has_the_path_and_the_younger_one_is_told_who() {
    let old = team("zebra", 1, &["/v1/reviews"]);
    let young = team("ant", 2, &["/v1/reviews/", "/v1/ants"]);
    let (paths, told) = look(&old, &[&young]);
    assert_eq!(paths, ["/v1/reviews"]);
    assert_eq!(told[0], "True");
    let (paths, told) = look(&young, &[&old]);
    assert_eq!(paths, ["/v1/ants"]);
    assert_eq!([told[0].as_str(), told[1].as_str()], ["False", "PathTaken"]);
    assert_eq!(
        told[2],
        "spec.routes: /v1/reviews/ belongs to ServiceDeployment zebra, which is older; choose another path"
    );
}

#[test]
fn of_two_made_in_one_second_the_first_by_name_is_the_older() {
    let (a, b) = (team("a", 1, &["/v1/x"]), team("b", 1, &["/v1/x"]));
    assert_eq!(look(&a, &[&b]).1[0], "True");
    assert_eq!(look(&b, &[&a]).1[1], "PathTaken");
}

#[test]
fn a_workload_whose_only_path_is_taken_has_no_route() {
    let (a, b) = (team("a", 1, &["/v1/x"]), team("b", 2, &["/v1/x"]));
    assert!(look(&b, &[&a]).0.is_empty());
}

#[test]
fn a_path_below_anothers_is_free_and_so_is_one_of_another_shop() {
    let old = team("a", 1, &["/v1/reviews"]);
    let below = team("b", 2, &["/v1/reviews/best"]);
    assert!(!are_rivals(&old, &below));
    assert_eq!(look(&below, &[&old]).1[0], "True");
    let mut elsewhere = team("c", 2, &["/v1/reviews"]);
    elsewhere.spec.storefront_ref.name = "other".into();
    assert!(!are_rivals(&old, &elsewhere));
    let mut far = team("d", 2, &["/v1/reviews"]);
    far.metadata.namespace = Some("elsewhere".into());
    assert!(!are_rivals(&old, &far));
}

#[test]
fn one_that_is_going_or_refused_takes_nothing() {
    let young = team("young", 9, &["/v1/x"]);
    let mut going = team("going", 1, &["/v1/x"]);
    going.metadata.deletion_timestamp = going.metadata.creation_timestamp.clone();
    let refused = team("refused", 1, &["/v1/x", "/v1/orders"]);
    assert_eq!(look(&young, &[&going, &refused]).1[0], "True");
}

#[test]
fn the_shops_own_services_ask_nobody() {
    let shop = shop("storefront.yaml");
    let auth = children(&shop).remove(0);
    let path = auth.spec.routes[0].path.clone();
    let cheeky = team("cheeky", 1, &[&path]);
    assert_eq!(look(&auth, &[&cheeky]).1[0], "True");
}
