//! A shop that an earlier release made, in which all workloads shared one login at the bus and one at the
//! cache.

use serde_json::{Value, json};

use crate::fake::{Fake, Id};
use crate::world::{World, is_ready, ready_shop};

/// The Secrets that workloads were bound to, those from which logins follow now, and their servers.
const LOGINS: [(&str, &str, &str); 2] = [
    ("demo-nats-auth", "demo-nats-logins", "bus"),
    ("demo-redis-auth", "demo-redis-logins", "cache"),
];

fn secret(name: &str) -> Id {
    Id::new("", "secrets", "shops", name)
}

fn deployment(name: &str) -> Id {
    Id::new("apps", "deployments", "shops", name)
}

/// The Secret that a workload mounts for a part of the platform.
fn bound(fake: &Fake, workload: &str, part: &str) -> Option<String> {
    let found = fake.with(|store| store.get(&deployment(workload)).cloned())?;
    let volumes = found["spec"]["template"]["spec"]["volumes"].as_array()?;
    let volume = volumes.iter().find(|volume| {
        let name = volume["name"].as_str().unwrap_or_default();
        name == part || name.strip_suffix(part).is_some()
    })?;
    Some(volume["secret"]["secretName"].as_str()?.to_owned())
}

/// Makes of a shop one as the earlier release left it.
fn as_before(fake: &Fake) {
    let bound: Vec<(String, &str, &str)> = ["demo-auth", "demo-order", "demo-product"]
        .into_iter()
        .flat_map(|workload| LOGINS.map(|(old, _, part)| (workload.to_owned(), part, old)))
        .collect();
    fake.with(|store| {
        for (old, new, part) in LOGINS {
            let mut shared = store.get(&secret(new)).expect("the logins").clone();
            shared["data"] = json!({ "password": "c2hhcmVk", "type": "bmF0cw==" });
            store.delete(&secret(new), &json!({})).expect("deleted");
            store.create(&secret(old), shared).expect("created");
            let edit = |copies: &mut Value| {
                let data = copies["data"].as_object_mut().expect("copies");
                let new = new.trim_start_matches("demo-");
                data.remove(&format!("{new}.key")).expect("a copy");
                let old = old.trim_start_matches("demo-");
                data.insert(format!("{old}.password"), "c2hhcmVk".into());
            };
            let copies = secret("demo-recovery");
            store.update(&copies, false, edit).expect("edited");
            let own = store.list("", "secrets", "shops").into_iter();
            for (id, _) in own.filter(|(id, _)| id.name.ends_with(&format!("-{part}"))) {
                store.delete(&id, &json!({})).expect("deleted");
            }
        }
        for (workload, part, old) in bound {
            let own = format!("{workload}-{part}");
            let edit = |deployment: &mut Value| {
                let text = deployment["spec"]["template"].to_string();
                let text = text.replace(
                    &format!("\"secretName\":\"{own}\""),
                    &format!("\"secretName\":\"{old}\""),
                );
                deployment["spec"]["template"] = serde_json::from_str(&text).expect("JSON");
            };
            store
                .update(&deployment(&workload), false, edit)
                .expect("edited");
        }
    });
}

#[tokio::test(start_paused = true)]
async fn a_shop_whose_workloads_shared_a_login_comes_through_and_gives_each_its_own() {
    let fake = ready_shop("Delete").await.kill().await;
    as_before(&fake);
    let kept = |fake: &Fake| {
        fake.with(|store| {
            let all = store.all().iter();
            let kept = all.filter(|(id, _)| {
                ["statefulsets", "persistentvolumeclaims", "databasebindings"]
                    .contains(&id.resource.as_str())
            });
            kept.map(|(id, object)| (id.name.clone(), object["metadata"]["uid"].clone()))
                .collect::<Vec<_>>()
        })
    };
    assert_eq!(
        bound(&fake, "demo-order", "bus").as_deref(),
        Some("demo-nats-auth")
    );
    let before = kept(&fake);
    let world = World::start(fake);
    world
        .until("the logins are made", |fake| {
            fake.with(|store| {
                LOGINS
                    .iter()
                    .all(|(_, new, _)| store.get(&secret(new)).is_some())
            })
        })
        .await;
    world.rest().await;

    assert!(is_ready(&world.fake, "demo"));
    assert_eq!(kept(&world.fake), before, "nothing with data is made again");
    for (workload, part) in [
        ("demo-auth", "bus"),
        ("demo-order", "bus"),
        ("demo-product", "bus"),
        ("demo-product", "cache"),
    ] {
        let own = format!("{workload}-{part}");
        assert_eq!(bound(&world.fake, workload, part), Some(own));
    }
    let copies = world
        .fake
        .with(|store| store.get(&secret("demo-recovery")).cloned());
    let copies = copies.expect("the copies");
    for (old, new, _) in LOGINS {
        let is_left = world.fake.with(|store| store.get(&secret(old)).is_some());
        assert!(!is_left, "nobody uses {old}");
        let found = world.fake.with(|store| store.get(&secret(new)).cloned());
        let copy = format!("{}.key", new.trim_start_matches("demo-"));
        assert_eq!(copies["data"][copy], found.expect("made")["data"]["key"]);
    }
}

#[tokio::test(start_paused = true)]
async fn the_logins_of_before_stay_while_a_pod_of_before_may_have_to_start_again() {
    let fake = ready_shop("Delete").await.kill().await;
    as_before(&fake);
    let order = deployment("demo-order");
    fake.with(|store| store.set_sick(&order, true));
    let world = World::start(fake);
    let is_rolling =
        |fake: &Fake| bound(fake, "demo-order", "bus").as_deref() == Some("demo-order-bus");
    world.until("order rolls out", is_rolling).await;
    world.rest().await;
    world.look_again().await;
    let left = |fake: &Fake| {
        let olds = LOGINS.iter().map(|(old, _, _)| *old);
        olds.filter(|old| fake.with(|store| store.get(&secret(old)).is_some()))
            .collect::<Vec<_>>()
    };
    assert_eq!(left(&world.fake), ["demo-nats-auth", "demo-redis-auth"]);

    world.fake.with(|store| store.set_sick(&order, false));
    world
        .until("the shop is ready", |fake| is_ready(fake, "demo"))
        .await;
    world.rest().await;
    assert_eq!(left(&world.fake), [""; 0], "nobody can need them any more");
}
