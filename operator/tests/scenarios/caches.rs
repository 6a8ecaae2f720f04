//! A shop whose cache is its own, then its owner's, then its own again.

use serde_json::json;

use crate::fake::{Fake, Id};
use crate::world::{is_ready, ours, ready_shop};

#[tokio::test(start_paused = true)]
async fn a_shop_goes_over_to_its_owners_cache_and_back() {
    let world = ready_shop("Delete").await;
    let theirs = json!({ "apiVersion": "v1", "kind": "Secret", "metadata": {},
        "data": { "uri": "cmVkaXM6Ly86c2VjcmV0QGNhY2hlLmV4YW1wbGU=" } });
    // Each workload has a login of its own at the shop's server; that of the owner has one login.
    let own = Id::new("", "secrets", "shops", "demo-product-cache");
    let owners = Id::new("", "secrets", "shops", "demo-redis-auth");
    let keys = |fake: &Fake, binding: &Id| {
        let found = fake.with(|store| store.get(binding).cloned());
        let data = found.expect("a binding")["data"].clone();
        let keys = data.as_object().expect("keys").keys().cloned();
        keys.collect::<Vec<_>>()
    };
    let server = Id::new("apps", "deployments", "shops", "demo-redis");
    let before = keys(&world.fake, &own);
    world
        .fake
        .with(|store| store.create(&Id::new("", "secrets", "shops", "cache"), theirs))
        .expect("made");
    let wish = |cache: serde_json::Value| {
        let change = |shop: &mut serde_json::Value| shop["spec"]["cache"] = cache;
        world
            .fake
            .with(|store| store.update(&ours("storefronts", "demo"), false, change))
            .expect("changed");
    };
    wish(json!({ "external": { "secretRef": { "name": "cache" } } }));
    world
        .until("its own server is gone", |fake| {
            fake.with(|store| store.get(&server).is_none())
        })
        .await;
    world.rest().await;
    assert_eq!(
        keys(&world.fake, &owners),
        ["host", "password", "port", "provider", "type", "uri"]
    );
    assert!(is_ready(&world.fake, "demo"));
    let is_left = world.fake.with(|store| store.get(&own).is_some());
    assert!(!is_left, "the login at a server that is gone");

    wish(json!({ "redis": {} }));
    world
        .until("its own server is back", |fake| {
            fake.with(|store| store.get(&server).is_some())
        })
        .await;
    world.rest().await;
    assert_eq!(keys(&world.fake, &own), before);
    assert!(is_ready(&world.fake, "demo"));
}

#[tokio::test(start_paused = true)]
async fn a_shop_keeps_its_own_cache_until_the_secret_of_the_other_one_is_there() {
    let world = ready_shop("Delete").await;
    let own = [
        Id::new("apps", "deployments", "shops", "demo-redis"),
        Id::new("", "services", "shops", "demo-redis"),
        Id::new(
            "networking.k8s.io",
            "networkpolicies",
            "shops",
            "demo-redis",
        ),
        Id::new(
            "networking.k8s.io",
            "networkpolicies",
            "shops",
            "demo-redis-clients",
        ),
        Id::new("", "secrets", "shops", "demo-redis-config"),
    ];
    let left = |fake: &Fake| {
        own.iter()
            .filter(|id| fake.with(|store| store.get(id).is_some()))
            .count()
    };
    let external = json!({ "external": { "secretRef": { "name": "cache" } } });
    world
        .fake
        .with(|store| {
            store.update(&ours("storefronts", "demo"), false, |shop| {
                shop["spec"]["cache"] = external;
            })
        })
        .expect("changed");
    world
        .until("the shop waits", |fake| !is_ready(fake, "demo"))
        .await;
    world.rest().await;
    assert_eq!(left(&world.fake), own.len());
    let theirs = json!({ "apiVersion": "v1", "kind": "Secret", "metadata": {},
        "data": { "uri": "cmVkaXM6Ly86c2VjcmV0QGNhY2hlLmV4YW1wbGU=" } });
    world
        .fake
        .with(|store| store.create(&Id::new("", "secrets", "shops", "cache"), theirs))
        .expect("made");
    world
        .until("its own server is gone", |fake| left(fake) == 0)
        .await;
    world
        .until("the shop is ready", |fake| is_ready(fake, "demo"))
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_login_that_is_no_longer_used_stays_until_the_pods_that_use_it_are_replaced() {
    let world = ready_shop("Delete").await;
    let login = Id::new("", "secrets", "shops", "demo-product-cache");
    let product = Id::new("apps", "deployments", "shops", "demo-product");
    let theirs = json!({ "apiVersion": "v1", "kind": "Secret", "metadata": {},
        "data": { "uri": "cmVkaXM6Ly86c2VjcmV0QGNhY2hlLmV4YW1wbGU=" } });
    let external = json!({ "external": { "secretRef": { "name": "cache" } } });
    world.fake.with(|store| {
        store.set_sick(&product, true);
        let cache = Id::new("", "secrets", "shops", "cache");
        store.create(&cache, theirs).expect("made");
        let change = |shop: &mut serde_json::Value| shop["spec"]["cache"] = external;
        let shop = ours("storefronts", "demo");
        store.update(&shop, false, change).expect("changed");
    });
    let is_left = |fake: &Fake| fake.with(|store| store.get(&login).is_some());
    let is_rolling = |fake: &Fake| {
        let found = fake.with(|store| store.get(&product).cloned());
        found.is_some_and(|it| {
            it["spec"]["template"]
                .to_string()
                .contains("demo-redis-auth")
        })
    };
    world.until("product rolls out", is_rolling).await;
    world.rest().await;
    assert!(is_left(&world.fake));

    world.fake.with(|store| store.set_sick(&product, false));
    world.until("it is gone", |fake| !is_left(fake)).await;
}
