//! Each workload has users of its own at the bus and the cache.

use crds::ServiceDeployment;
use events::EventType;
use operator_plan::{Objects, Planned, storefront};
use serde_json::json;

use crate::fixtures::{children, example, platform, seen, shop, valid_service};

/// A file in one of the Secrets of a plan.
fn file(objects: &Objects<Planned>, name: &str, key: &str) -> String {
    let mut items = objects.items.iter();
    let item = items.find(|item| item.key.kind == "Secret" && item.key.name == name);
    let item = item.unwrap_or_else(|| panic!("{name} is planned"));
    let secret: k8s_openapi::api::core::v1::Secret =
        serde_json::from_value(item.body.clone()).expect("a Secret");
    let data = secret.data.unwrap_or_default();
    let value = data.get(key).unwrap_or_else(|| panic!("{name} has {key}"));
    String::from_utf8(value.0.clone()).expect("text")
}

fn configuration(teams: &[ServiceDeployment], secret: &str, key: &str) -> String {
    let shop = shop("storefront.yaml");
    let mut seen = seen(&shop);
    seen.clients = storefront::team_clients("demo", teams);
    let valid = storefront::validate(&shop, seen, &platform());
    let valid = valid.ready().expect("valid");
    file(&storefront::desired(&valid), secret, key)
}

fn team(name: &str, spec: &serde_json::Value) -> ServiceDeployment {
    let mut service: ServiceDeployment = example("team-service-smallest.yaml").pop().expect("one");
    service.metadata.name = Some(name.into());
    let mut asked = serde_json::to_value(&service.spec).expect("JSON");
    let fields = asked.as_object_mut().expect("an object");
    fields.extend(spec.as_object().expect("an object").clone());
    service.spec = serde_json::from_value(asked).expect("a spec");
    service
}

/// The line of a user in the configuration of the bus.
fn user(config: &str, name: &str) -> Option<String> {
    let begin = format!("{{ user: \"{name}.");
    let mut lines = config.lines().map(str::trim);
    lines
        .find(|line| line.starts_with(&begin))
        .map(str::to_owned)
}

#[test]
fn each_service_publishes_its_own_events_and_no_other_one() {
    let config = configuration(&[], "demo-nats-config", "nats.conf");
    for child in children(&shop("storefront.yaml")) {
        let name = child.metadata.name.expect("a name");
        let line = user(&config, &name);
        assert_eq!(line.is_some(), name != "demo-web", "{name}");
        let line = line.unwrap_or_default();
        for event in EventType::ALL {
            let may = line.contains(&format!("\"shop.{event}\""));
            let is_its_own = name == format!("demo-{}", event.producer());
            assert_eq!(may, is_its_own, "{name} and {event}");
            let takes = event
                .consumers()
                .iter()
                .any(|it| name == format!("demo-{it}"));
            let receipts = format!("\"receipts.{}\"", event.producer());
            let publishes = line.split("subscribe:").next().unwrap_or_default();
            if takes {
                assert!(publishes.contains(&receipts), "{name} sends {receipts}");
            }
        }
    }
}

#[test]
fn the_bus_alone_allows_nothing_and_events_only_what_they_name() {
    let silent = team("silent", &json!({ "uses": ["Bus"] }));
    let events = json!({ "publishes": ["posted.v1"], "subscribes": ["order.paid.v1"] });
    let reviews = team("reviews", &json!({ "uses": ["Bus"], "events": events }));
    let config = configuration(&[reviews, silent], "demo-nats-config", "nats.conf");
    let silent = user(&config, "silent").expect("a user");
    assert!(!silent.contains("shop."), "{silent}");
    assert!(
        silent.contains("subscribe: { allow: [\"_INBOX.silent.>\"] }"),
        "{silent}"
    );
    let reviews = user(&config, "reviews").expect("a user");
    let (publish, subscribe) = reviews.split_once("subscribe:").expect("both");
    assert!(
        publish.contains("\"shop.team.reviews.posted.v1\""),
        "{publish}"
    );
    assert!(!publish.contains("\"shop.order"), "{publish}");
    assert!(subscribe.contains("\"shop.order.paid.v1\""), "{subscribe}");
}

#[test]
fn the_server_gives_no_team_an_event_that_is_private_to_the_shop() {
    let events = json!({ "subscribes": ["registration.requested.v1", "order.paid.v1"] });
    let curious = team("curious", &json!({ "uses": ["Bus"], "events": events }));
    let config = configuration(&[curious], "demo-nats-config", "nats.conf");
    let line = user(&config, "curious").expect("a user");
    assert!(line.contains("shop.order.paid.v1"), "{line}");
    assert!(!line.contains("registration"), "{line}");
}

#[test]
fn each_user_of_the_cache_has_its_own_keys() {
    let reviews = team("reviews", &json!({ "uses": ["Cache"] }));
    let config = configuration(&[reviews], "demo-redis-config", "redis.conf");
    assert!(config.contains("user default off"), "{config}");
    for (name, keys) in [
        ("demo-auth", "~auth:*"),
        ("demo-product", "~product:*"),
        ("reviews", "~team:reviews:*"),
    ] {
        let begin = format!("user {name}.");
        let mut lines = config.lines();
        let line = lines.find(|line| line.starts_with(&begin)).expect(name);
        assert_eq!(line.split('~').count(), 2, "{line}");
        assert!(line.contains(keys), "{line}");
    }
}

#[test]
fn a_service_is_bound_by_a_secret_of_its_own_with_the_login_that_the_server_knows() {
    let shop = shop("storefront.yaml");
    let mut seen = seen(&shop);
    seen.fresh
        .passwords
        .insert("demo-nats-logins".into(), "a key".into());
    let valid = storefront::validate(&shop, seen, &platform());
    let of_shop = storefront::desired(&valid.ready().expect("valid"));
    let config = file(&of_shop, "demo-nats-config", "nats.conf");
    let auth = children(&shop).remove(0);
    let plan = operator_plan::service_deployment::desired(&valid_service(&auth, &shop));
    let login = ["username", "password"].map(|key| file(&plan, "demo-auth-bus", key));
    let line = format!("{{ user: \"{}\", password: \"{}\"", login[0], login[1]);
    assert!(config.contains(&line), "{line}");
    let deployment = plan.items.iter().find(|item| item.key.kind == "Deployment");
    let pod = deployment.expect("planned").body.to_string();
    assert!(pod.contains("demo-auth-bus") && !pod.contains("nats-logins"));
}

#[test]
fn what_a_service_of_the_shop_asks_for_in_its_own_spec_gives_it_no_right() {
    let shop = shop("storefront.yaml");
    let mut auth = children(&shop).remove(0);
    auth.spec.events = serde_json::from_value(json!({ "subscribes": ["order.placed.v1"] })).ok();
    assert!(storefront::team_clients("demo", [&auth]).is_empty());
}
