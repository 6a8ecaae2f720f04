//! A shop that makes its own certificate: when there is a new one, and when there must not be.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::{SignedDuration, Timestamp};
use operator::certificate::{mint, read};
use operator::secrets::Data;
use operator_plan::storefront::Minted;
use rcgen::{CertificateParams, KeyPair};
use serde_json::{Value, json};

use crate::fake::{Fake, Fault, Id};
use crate::world::{World, cluster_with_shop, condition, is_ready, ours};

fn secret() -> Id {
    Id::new("", "secrets", "shops", "demo-tls")
}

/// A cluster with a shop that wants a certificate of its own making.
fn cluster() -> Fake {
    let fake = cluster_with_shop("Delete");
    edit(&fake, |shop| {
        shop["spec"]["gateway"] = json!({ "tls": { "selfSigned": {} } });
    });
    fake
}

fn edit(fake: &Fake, change: impl FnOnce(&mut Value)) {
    fake.with(|store| store.update(&ours("storefronts", "demo"), false, change))
        .expect("changed");
}

/// What is in the Secret.
fn content(fake: &Fake) -> Option<Data> {
    let found = fake.with(|store| store.get(&secret()).cloned())?;
    let data = found["data"].as_object()?.clone();
    let decoded = data.into_iter().map(|(key, text)| {
        let text = text.as_str().expect("text");
        (key, STANDARD.decode(text).expect("base64"))
    });
    Some(decoded.collect())
}

fn hostnames(fake: &Fake) -> Vec<String> {
    let known = content(fake).and_then(|data| read(&data));
    known.map_or_else(Vec::new, |known| known.hostnames.into_iter().collect())
}

async fn ready_shop() -> World {
    World::ready(cluster()).await
}

#[tokio::test(start_paused = true)]
async fn a_certificate_is_made_once_and_kept_also_by_a_new_process() {
    let world = ready_shop().await;
    let made = content(&world.fake).expect("a certificate");
    assert_eq!(hostnames(&world.fake), ["demo.example"]);
    let gateway = Id::new("gateway.networking.k8s.io", "gateways", "shops", "demo");
    let gateway = world.fake.with(|store| store.get(&gateway).cloned());
    let listener = &gateway.expect("a Gateway")["spec"]["listeners"][1];
    assert_eq!(listener["tls"]["certificateRefs"][0]["name"], "demo-tls");

    let before = world.fake.writes();
    world.look_again().await;
    let world = World::start(world.kill().await);
    world.rest().await;
    world.look_again().await;
    assert_eq!(world.fake.writes(), before);
    assert_eq!(content(&world.fake), Some(made));
}

#[tokio::test(start_paused = true)]
async fn other_hosts_get_another_certificate() {
    let world = ready_shop().await;
    for hosts in [vec!["a.example", "b.example"], vec!["b.example"]] {
        edit(&world.fake, |shop| shop["spec"]["hostnames"] = json!(hosts));
        world
            .until("the certificate is for these", |fake| {
                hostnames(fake) == hosts
            })
            .await;
        world.rest().await;
        let made = content(&world.fake);
        world.look_again().await;
        assert_eq!(content(&world.fake), made);
    }
}

#[tokio::test(start_paused = true)]
async fn a_certificate_is_renewed_by_a_routine_look_before_a_third_of_its_life_is_left() {
    let world = ready_shop().await;
    let put = |age_days: i64| {
        let then = Timestamp::now() - SignedDuration::from_hours(age_days * 24);
        let old = mint(&["demo.example".to_owned()], then).expect("minted");
        let parts = [
            ("tls.crt", &old.certificate),
            ("tls.key", &old.key),
            ("ca.crt", &old.authority),
        ];
        let data: Value = parts
            .map(|(key, text)| (key.to_owned(), json!(STANDARD.encode(text))))
            .into_iter()
            .collect();
        let put = |object: &mut Value| object["data"] = data;
        world
            .fake
            .with(|store| store.update(&secret(), false, put))
            .expect("put");
        content(&world.fake)
    };
    // The test hurries a routine look that would come within minutes.
    let younger = put(230);
    world.look_again().await;
    assert_eq!(content(&world.fake), younger, "renewed too early");
    let older = put(250);
    world.look_again().await;
    assert_ne!(content(&world.fake), older, "not renewed");
    let known = read(&content(&world.fake).expect("one")).expect("whole");
    assert!(known.not_after > Timestamp::now() + SignedDuration::from_hours(360 * 24));
    assert!(is_ready(&world.fake, "demo"));
}

#[tokio::test(start_paused = true)]
async fn what_is_spoilt_is_made_again() {
    let world = ready_shop().await;
    let spoil = |object: &mut Value| object["data"]["tls.key"] = json!("bm9uc2Vuc2U=");
    world
        .fake
        .with(|store| store.update(&secret(), false, spoil))
        .expect("spoilt");
    assert!(hostnames(&world.fake).is_empty());
    world.look_again().await;
    assert_eq!(hostnames(&world.fake), ["demo.example"]);
}

#[tokio::test(start_paused = true)]
async fn a_kill_after_the_certificate_was_made_finds_it_and_makes_no_other() {
    for fault in [Fault::Lost, Fault::Dead] {
        let fake = cluster();
        // The certificate is written; what comes behind it is not, or its answer never arrives.
        fake.break_by(move |request| {
            let behind = match fault {
                Fault::Lost => request.id == secret(),
                _ => request.id.resource == "gateways",
            };
            (behind && request.is_write()).then_some(fault)
        });
        let world = World::start(fake);
        world
            .until("there is a certificate", |fake| content(fake).is_some())
            .await;
        let made = content(&world.fake);
        let fake = world.kill().await;
        fake.break_by(|_| None);
        let world = World::start(fake);
        world
            .until("the shop is ready", |fake| is_ready(fake, "demo"))
            .await;
        world.rest().await;
        assert_eq!(content(&world.fake), made, "{fault:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_certificate_of_somebody_elses_is_not_written_over() {
    let fake = cluster();
    let theirs = json!({ "apiVersion": "v1", "kind": "Secret", "metadata": {},
        "type": "kubernetes.io/tls", "data": { "tls.crt": "dGhlaXJz", "tls.key": "dGhlaXJz" } });
    fake.with(|store| store.create(&secret(), theirs))
        .expect("made");
    let before = content(&fake);
    let world = World::start(fake);
    world
        .until("the shop says why", |fake| {
            let ready =
                fake.with(|store| condition(store.get(&ours("storefronts", "demo")), "Ready"));
            ready.is_some_and(|(_, reason)| reason == "NameTaken")
        })
        .await;
    assert_eq!(content(&world.fake), before);
}

#[tokio::test(start_paused = true)]
async fn a_shop_waits_for_its_issuers_certificate_and_takes_it_when_it_is_there() {
    let fake = cluster_with_shop("Delete");
    edit(&fake, |shop| {
        shop["spec"]["gateway"] = json!({ "tls": { "issuerRef": {
            "name": "letsencrypt", "kind": "ClusterIssuer" } } });
    });
    let world = World::start(fake);
    let gateway = |fake: &Fake| {
        fake.with(|store| condition(store.get(&ours("storefronts", "demo")), "GatewayProgrammed"))
    };
    world
        .until("the shop waits", |fake| {
            gateway(fake).is_some_and(|(_, reason)| reason == "CertificatePending")
        })
        .await;
    let key = KeyPair::generate().expect("a key");
    let made = CertificateParams::new(vec!["demo.example".to_owned()]).expect("parameters");
    let made = made.self_signed(&key).expect("signed");
    let issued = json!({ "apiVersion": "v1", "kind": "Secret", "metadata": {},
        "type": "kubernetes.io/tls", "data": {
            "tls.crt": STANDARD.encode(made.pem()), "tls.key": STANDARD.encode(key.serialize_pem()) } });
    world
        .fake
        .with(|store| store.create(&secret(), issued))
        .expect("issued");
    let before = content(&world.fake);
    world
        .until("the shop is ready", |fake| is_ready(fake, "demo"))
        .await;
    world.rest().await;
    assert_eq!(content(&world.fake), before, "it is the issuer's");
}

#[tokio::test(start_paused = true)]
async fn a_shop_that_waits_for_its_issuer_says_so_while_it_serves_the_certificate_of_before() {
    let world = ready_shop().await;
    let made = content(&world.fake);
    edit(&world.fake, |shop| {
        shop["spec"]["gateway"] =
            json!({ "tls": { "issuerRef": { "name": "letsencrypt", "kind": "ClusterIssuer" } } });
    });
    world
        .until("the shop says that it waits", |fake| {
            let told = fake.with(|store| {
                condition(store.get(&ours("storefronts", "demo")), "GatewayProgrammed")
            });
            told.is_some_and(|(_, reason)| reason == "CertificatePending")
        })
        .await;
    assert_eq!(content(&world.fake), made);
}

/// A Secret of the user's with a certificate for the shop.
fn given(made: &Minted, key: &str) -> Value {
    json!({ "apiVersion": "v1", "kind": "Secret", "metadata": {}, "type": "kubernetes.io/tls",
        "data": { "tls.crt": STANDARD.encode(&made.certificate), "tls.key": STANDARD.encode(key) } })
}

fn new_pair() -> Minted {
    mint(&["demo.example".to_owned()], Timestamp::now()).expect("minted")
}

fn the_listener_names_the_cause(world: &World) {
    let gateway = Id::new("gateway.networking.k8s.io", "gateways", "shops", "demo");
    let https = world.fake.with(|store| {
        let gateway = store.get(&gateway).expect("a Gateway");
        gateway["status"]["listeners"][1]["conditions"].clone()
    });
    let of = |wanted: &str| {
        let all = https.as_array().expect("conditions");
        let mut all = all.iter().filter(|condition| condition["type"] == wanted);
        all.next().expect("the condition").clone()
    };
    assert_eq!(of("Programmed")["status"], "True");
    assert_eq!(of("ResolvedRefs")["reason"], "InvalidCertificateRef");
    let why = of("ResolvedRefs")["message"].to_string();
    assert!(
        why.contains("is not the key of") && why.contains("last good"),
        "{why}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_certificate_that_cannot_be_served_is_said_and_the_last_good_one_is_kept() {
    let fake = cluster_with_shop("Delete");
    edit(&fake, |shop| {
        shop["spec"]["gateway"] = json!({ "tls": { "secretRef": { "name": "given" } } });
    });
    let id = Id::new("", "secrets", "shops", "given");
    let (first, other, second) = (new_pair(), new_pair(), new_pair());
    fake.with(|store| store.create(&id, given(&first, &first.key)))
        .expect("given");
    let world = World::ready(fake).await;
    let kept = |fake: &Fake| {
        let id = Id::new("", "secrets", "shops", "demo-kept-certificates");
        fake.with(|store| {
            store
                .get(&id)
                .map(|secret| secret["data"]["https.key"].clone())
        })
    };
    assert_eq!(kept(&world.fake), Some(json!(STANDARD.encode(&first.key))));
    let told = |fake: &Fake| {
        fake.with(|store| condition(store.get(&ours("storefronts", "demo")), "GatewayProgrammed"))
    };
    let says =
        |fake: &Fake| told(fake) == Some(("False".to_owned(), "CertificateNotUsable".to_owned()));
    let spoil = given(&first, &other.key)["data"].clone();
    world
        .fake
        .with(|store| store.update(&id, false, |secret| secret["data"] = spoil))
        .expect("spoilt");
    world.until("the shop says so", says).await;
    the_listener_names_the_cause(&world);
    world
        .fake
        .with(|store| store.delete(&id, &json!({})))
        .expect("deleted");
    world.rest().await;
    assert!(says(&world.fake));
    assert_eq!(kept(&world.fake), Some(json!(STANDARD.encode(&first.key))));
    let before = world.fake.writes();
    world.look_again().await;
    assert_eq!(
        world.fake.writes(),
        before,
        "a bad certificate costs no writes"
    );

    world
        .fake
        .with(|store| store.create(&id, given(&second, &second.key)))
        .expect("given");
    world
        .until("the shop is ready", |fake| is_ready(fake, "demo"))
        .await;
    world.rest().await;
    assert_eq!(kept(&world.fake), Some(json!(STANDARD.encode(&second.key))));

    edit(&world.fake, |shop| shop["spec"]["gateway"] = json!({}));
    world.rest().await;
    assert_eq!(kept(&world.fake), None, "nothing is kept without HTTPS");
}

#[tokio::test(start_paused = true)]
async fn the_data_plane_reads_no_secret_that_is_not_a_certificate() {
    let world = ready_shop().await;
    let role = Id::new(
        "rbac.authorization.k8s.io",
        "roles",
        "shops",
        "demo-gateway",
    );
    let names = |fake: &Fake| -> Vec<String> {
        let role = fake
            .with(|store| store.get(&role).cloned())
            .expect("a Role");
        let rules = role["rules"].as_array().expect("rules").clone();
        let names = rules
            .iter()
            .filter(|rule| rule["resources"][0] == "secrets");
        let names = names.flat_map(|rule| rule["resourceNames"].as_array().expect("names"));
        names
            .map(|name| name.as_str().expect("text").to_owned())
            .collect()
    };
    assert_eq!(names(&world.fake), ["demo-kept-certificates", "demo-tls"]);
    // A Gateway of somebody's who may not read Secrets.
    let gateway = Id::new("gateway.networking.k8s.io", "gateways", "shops", "curious");
    let tls = |name: &str| json!({ "certificateRefs": [{ "name": name }] });
    let spec = json!({ "gatewayClassName": "storefront", "listeners": [
        { "name": "a", "hostname": "a.example", "port": 443, "protocol": "HTTPS", "tls": tls("demo-signing-keys") },
        { "name": "b", "hostname": "b.example", "port": 443, "protocol": "HTTPS", "tls": tls("demo-tls") } ] });
    let made = json!({ "apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway", "metadata": {}, "spec": spec });
    world
        .fake
        .with(|store| store.create(&gateway, made))
        .expect("made");
    world.rest().await;
    let role = Id::new(
        "rbac.authorization.k8s.io",
        "roles",
        "shops",
        "curious-gateway",
    );
    let role = world.fake.with(|store| store.get(&role).cloned());
    let rules = role.expect("a Role")["rules"].to_string();
    assert!(rules.contains("\"demo-tls\""), "{rules}");
    assert!(!rules.contains("signing-keys"), "{rules}");
}

#[tokio::test(start_paused = true)]
async fn a_route_of_another_namespace_is_told_that_the_gateway_does_not_serve_it() {
    let world = ready_shop().await;
    let route = Id::new("gateway.networking.k8s.io", "httproutes", "team", "theirs");
    let made = json!({ "apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "metadata": {},
        "spec": { "parentRefs": [{ "name": "demo", "namespace": "shops" }], "rules": [{}] } });
    world
        .fake
        .with(|store| store.create(&route, made))
        .expect("made");
    let accepted = |fake: &Fake| {
        fake.with(|store| {
            let route = store.get(&route).cloned().unwrap_or_default();
            route["status"]["parents"][0]["conditions"][0].clone()
        })
    };
    world
        .until("it is told", |fake| {
            accepted(fake)["reason"] == "NotAllowedByListeners"
        })
        .await;
    assert_eq!(accepted(&world.fake)["status"], "False");
    // The entry goes with the Gateway that it is about.
    let gateway = Id::new("gateway.networking.k8s.io", "gateways", "shops", "demo");
    let foreign =
        |gateway: &mut Value| gateway["spec"]["gatewayClassName"] = json!("somebody-elses");
    edit(&world.fake, |shop| shop["spec"]["paused"] = json!(true));
    world.rest().await;
    world
        .fake
        .with(|store| store.update(&gateway, false, foreign))
        .expect("changed");
    world
        .until("nothing is said any more", |fake| accepted(fake).is_null())
        .await;
}
