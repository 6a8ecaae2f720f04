//! How rotations end that something comes in the way of, and how bindings end in the middle of one.

use serde_json::json;
use sqlx::Executor;

use super::chaos::{Moment, Plan};
use super::kill::only_looks;
use super::life::{database, owner_of};
use super::postgres::Postgres;
use super::rotation::{assert_refused, number};
use super::scenarios::made;
use super::world::{World, log_in_with};

#[tokio::test]
async fn a_secret_that_is_lost_never_comes_back_under_its_name() {
    let mut world = World::new();
    let shop = database(&world);
    made(&mut world, "own", owner_of(&shop, &[])).await;
    let mut used = vec![world.secret_of("own")];
    let mut pods = Vec::new();
    for loss in [
        "deleted",
        "deleted in the overlap",
        "somebody else's",
        "edited",
    ] {
        let name = world.secret_of("own");
        let path = world.secret_path(&name);
        let old = world.secret(&name);
        pods.push(log_in_with(&old).await.expect("they work"));
        let secret = world.api.get(&path).expect("the Secret");
        world.api.delete(&path);
        if loss == "somebody else's" || loss == "edited" {
            // An immutable one is edited by deleting it and making another of its name.
            let mut other = secret;
            if loss == "edited" {
                other["data"]["password"] = "c3RvbGVu".into();
            } else {
                other["metadata"]["ownerReferences"] = json!([]);
            }
            world.api.put(&path, other);
        }
        world.settle("own").await;
        assert_eq!(
            world.ready("own").0,
            "True",
            "{loss}: {}",
            world.message("own")
        );
        let new = world.secret_of("own");
        assert!(!used.contains(&new), "{loss}: {new} was in use before");
        world.log_in(&new).await.expect("the new ones work");
        // Pods that have the old ones go on until they are replaced.
        log_in_with(&old).await.expect("the old ones still do");
        let pod = pods.last_mut().expect("one");
        pod.execute("select 1").await.expect("its session goes on");
        used.push(new);
        // A Secret of somebody else stays; no other one that was ours does.
        let left = world.api.paths("secrets").len();
        assert!(left <= 4, "{loss}: {:?}", world.api.paths("secrets"));
        assert_rest(&mut world, loss).await;
    }
    world.clean().await;
}

async fn assert_rest(world: &mut World, context: &str) {
    let writes = (world.api.writes(), world.chaos.changes());
    world.settle("own").await;
    let after = (world.api.writes(), world.chaos.changes());
    assert_eq!(after, writes, "{context}: at rest");
}

#[tokio::test]
async fn a_binding_of_the_same_name_made_again_has_a_secret_of_another_name() {
    let mut world = World::new();
    let shop = database(&world);
    made(&mut world, "own", owner_of(&shop, &[])).await;
    let first = world.secret_of("own");
    world.api.delete(&world.binding_path("own"));
    world.settle("own").await;
    made(&mut world, "own", owner_of(&shop, &[])).await;
    assert_ne!(world.secret_of("own"), first);
    world.clean().await;
}

/// A binding that is made, and whose data are to be dumped when it ends.
async fn dumped_at_its_end() -> World {
    let mut world = World::new();
    let shop = database(&world);
    let mut spec = owner_of(&shop, &[]);
    spec["reclaimPolicy"] = "BackupThenDelete".into();
    made(&mut world, "own", spec).await;
    world
}

/// The Job of the dump uses this Secret, which works; once it has ended, so has the binding.
async fn assert_ends_with_its_dump(world: &mut World, secret: &str) {
    let path = world.api.paths("jobs").pop().expect("a Job");
    let job = world.api.get(&path).expect("a Job").to_string();
    let mount = format!("\"secretName\":\"{secret}\"");
    assert!(job.contains(&mount), "{job}");
    world.log_in(secret).await.expect("the Job can log in");
    world.api.edit(&path, |job| {
        job["status"] = json!({ "conditions": [{ "type": "Complete", "status": "True" }] });
    });
    world.settle("own").await;
    assert!(world.binding("own").is_none(), "{}", world.message("own"));
    assert_eq!(world.roles().await, [""; 0]);
    assert_eq!(world.databases().await, [""; 0]);
    assert_eq!(world.api.paths("secrets"), [world.secret_path("server")]);
}

#[tokio::test]
async fn a_dump_whose_credentials_were_lost_is_taken_with_others() {
    let mut world = dumped_at_its_end().await;
    let lost = world.secret_of("own");
    world.api.delete(&world.secret_path(&lost));
    world.api.delete(&world.binding_path("own"));
    for _ in 0..2 {
        drop(world.once("own").await);
    }
    assert_eq!(world.ready("own").1, "BackingUp");
    let secret = world.secret_of("own");
    assert_ne!(secret, lost);
    assert_ends_with_its_dump(&mut world, &secret).await;
}

#[tokio::test]
async fn a_request_within_the_overlap_waits_for_its_end() {
    let mut world = World::new();
    let shop = database(&world);
    made(&mut world, "own", owner_of(&shop, &[])).await;
    world.ask_to_rotate("own");
    world.settle("own").await;
    let first = world.old.clone();
    world.ask_to_rotate("own");
    world.settle("own").await;
    assert_eq!(number(&world, "own"), 1);
    log_in_with(&first)
        .await
        .expect("its overlap is not cut short");
    world.expire("own");
    world.settle("own").await;
    assert_eq!(number(&world, "own"), 2);
    assert_refused(&first).await;
    log_in_with(&world.old).await.expect("the second overlap");
    world.clean().await;
}

#[tokio::test]
async fn a_binding_that_ends_wherever_its_rotation_was_cut_off_leaves_nothing() {
    // Of its own: a turn that another test has would be no death.
    let server = Postgres::start();
    let mut world = World::on(&server);
    let shop = database(&world);
    made(&mut world, "own", owner_of(&shop, &[])).await;
    world.plan(Plan::Peace);
    world.ask_to_rotate("own");
    world.settle("own").await;
    let calls = world.chaos.calls();
    world.clean().await;
    let changes = (0..).zip(&calls).filter(|(_, call)| !only_looks(call));
    for ((at, call), policy) in changes.zip(["Delete", "Retain"].into_iter().cycle()) {
        println!("cut off after call {at}: {call}");
        let mut world = World::on(&server);
        let shop = database(&world);
        let mut spec = owner_of(&shop, &[]);
        spec["reclaimPolicy"] = policy.into();
        made(&mut world, "own", spec).await;
        world.plan(Plan::Kill(at, Moment::After));
        world.ask_to_rotate("own");
        drop(world.once("own").await);
        assert_eq!(world.deaths, 1, "{call}");
        world.api.delete(&world.binding_path("own"));
        world.settle("own").await;
        assert!(world.binding("own").is_none(), "{}", world.message("own"));
        assert_eq!(world.api.paths("secrets"), [world.secret_path("server")]);
        let groups = ["owner", "reader", "writer"].map(|group| format!("{shop}_{group}"));
        let kept = if policy == "Retain" { &groups[..] } else { &[] };
        assert_eq!(world.roles().await, kept);
        world.clean().await;
    }
}

#[tokio::test]
async fn a_dump_is_taken_with_the_credentials_in_use() {
    let mut world = dumped_at_its_end().await;
    world.ask_to_rotate("own");
    world.settle("own").await;
    let secret = world.secret_of("own");
    world.api.delete(&world.binding_path("own"));
    drop(world.once("own").await);
    assert_eq!(world.ready("own").1, "BackingUp");
    assert_ends_with_its_dump(&mut world, &secret).await;
}

#[tokio::test]
async fn a_successor_sweeps_up_both_roles_of_an_object_that_was_torn_away() {
    let mut world = World::new();
    world.put_storefront("demo", "Retain");
    let spec = json!({ "serverRef": { "storefront": "demo" } });
    made(&mut world, "own", spec.clone()).await;
    let first = world.secret_of("own");
    world.ask_to_rotate("own");
    world.settle("own").await;
    let new = world.secret_of("own");
    let roles = [&world.old, &world.secret(&new)].map(|keys| keys["username"].clone());
    let path = world.binding_path("own");
    world.api.edit(&path, |binding| {
        binding["metadata"]["finalizers"] = json!([]);
    });
    world.api.delete(&path);
    // The garbage collector's part.
    for secret in [first.as_str(), new.as_str()] {
        world.api.delete(&world.secret_path(secret));
    }
    made(&mut world, "own", spec).await;
    assert_eq!(world.ready("own").0, "True", "{}", world.message("own"));
    let left = world.roles().await;
    assert_eq!(left.len(), 4, "{left:?}");
    assert!(roles.iter().all(|role| !left.contains(role)), "{left:?}");
    world.clean().await;
}
