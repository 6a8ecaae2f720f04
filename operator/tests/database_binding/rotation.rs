//! What a rotation promises to those who use the credentials.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use operator::next::Next;
use operator_plan::database_binding::{Server, Wanted};
use serde_json::json;
use sqlx::error::DatabaseError;
use sqlx::{Executor, PgConnection};
use tokio::sync::watch;
use tokio::time::timeout;

use super::api::{Api, instant, path};
use super::life::{database, owner_of};
use super::postgres::postgres;
use super::scenarios::made;
use super::world::{Keys, World, keys, log_in_with};

/// The number of the credentials in use.
pub fn number(world: &World, name: &str) -> i64 {
    let status = world.binding(name).and_then(|binding| binding.status);
    let rotation = status.and_then(|status| status.rotation);
    rotation.map_or(0, |rotation| rotation.number)
}

/// Logging in is refused, and for no other reason than the credentials.
pub async fn assert_refused(old: &Keys) {
    let error = log_in_with(old)
        .await
        .expect_err("the old ones are refused");
    let code = error.as_database_error().and_then(DatabaseError::code);
    let code = code.map(|code| code.to_string()).unwrap_or_default();
    assert!(["28P01", "28000"].contains(&code.as_str()), "{error}");
}

/// How many events of this reason there were.
pub fn events(world: &World, reason: &str) -> usize {
    let all = world.api.events();
    all.iter().filter(|event| *event == reason).count()
}

#[tokio::test]
async fn old_credentials_work_through_the_overlap_and_no_longer() {
    let mut world = World::new();
    let shop = database(&world);
    made(&mut world, "own", owner_of(&shop, &[])).await;
    let first = world.secret_of("own");
    let mut pod = world.log_in(&first).await.expect("the first ones work");
    pod.execute("create table kept (id int)")
        .await
        .expect("its group owns the database");
    world.ask_to_rotate("own");
    world.settle("own").await;

    let secret = world.secret_of("own");
    assert_ne!(secret, first, "what a pod has mounted does not change");
    assert_eq!(world.secret(&first), world.old);
    pod.execute("insert into kept values (1)")
        .await
        .expect("the session lives on");
    log_in_with(&world.old)
        .await
        .expect("a restarted pod comes in");
    let mut new = world.log_in(&secret).await.expect("the new ones work");
    new.execute("insert into kept values (2); create table later (id int)")
        .await
        .expect("both roles have one group");
    let owners = "select distinct tableowner::text from pg_tables where schemaname = 'public'";
    assert_eq!(world.sql(&shop, owners).await, [format!("{shop}_owner")]);
    assert_eq!(world.ready("own").0, "True");
    assert!(
        !postgres()
            .log()
            .contains(&world.secret(&secret)["password"])
    );

    world.expire("own");
    world.settle("own").await;
    pod.execute("select 1")
        .await
        .expect_err("its session was ended");
    assert_refused(&world.old).await;
    assert_eq!(world.secret(&first), Keys::new(), "its Secret is deleted");
    new.execute("insert into kept values (3)")
        .await
        .expect("nothing happened to the new ones");
    assert_eq!(events(&world, "Rotated"), 1);
    assert_eq!(events(&world, "OldCredentialsRetired"), 1);
    assert_eq!(events(&world, "DriftRepaired"), 0);
    world.clean().await;
}

/// A user of a binding: reads again which Secret it is to use, and asks the database something, over
/// and over. Tells which Secret the last answer came with.
async fn use_binding(api: Api, namespace: String, told: watch::Sender<String>, done: &AtomicUsize) {
    let binding = path("databasebindings", &namespace, "own");
    let mut open: Option<(String, PgConnection)> = None;
    loop {
        let status = api.get(&binding).expect("the binding")["status"].clone();
        let name = status["binding"]["name"]
            .as_str()
            .expect("a Secret")
            .to_owned();
        let mut connection = match open.take() {
            Some((used, connection)) if used == name => connection,
            _ => {
                let secret = api.get(&path("secrets", &namespace, &name));
                let keys = keys(&secret.expect("the Secret that the status names"));
                log_in_with(&keys).await.expect("what is in it works")
            }
        };
        connection
            .execute("insert into kept values (1)")
            .await
            .expect("every query works");
        done.fetch_add(1, Ordering::Relaxed);
        open = Some((name.clone(), connection));
        told.send_replace(name);
    }
}

#[tokio::test]
async fn no_query_fails_for_who_reads_again_which_secret_to_use() {
    const ROTATIONS: i64 = 6;
    let mut world = World::new();
    let shop = database(&world);
    made(&mut world, "own", owner_of(&shop, &[])).await;
    let mut first = world
        .log_in(&world.secret_of("own"))
        .await
        .expect("the first ones work");
    first
        .execute("create table kept (id int)")
        .await
        .expect("made");
    drop(first);
    let (told, mut heard) = watch::channel(String::new());
    let done = AtomicUsize::new(0);
    let user = use_binding(world.api.clone(), world.namespace.clone(), told, &done);
    let operator = async {
        for _ in 0..ROTATIONS {
            world.ask_to_rotate("own");
            world.settle("own").await;
            let new = world.secret_of("own");
            // The overlap is as long as the user needs.
            let moved = timeout(Duration::from_secs(30), heard.wait_for(|name| *name == new)).await;
            drop(moved.expect("in time").expect("the user lives"));
            world.expire("own");
            world.settle("own").await;
        }
    };
    tokio::select! {
        () = user => unreachable!("it does not end"),
        () = operator => {}
    }
    assert_eq!(number(&world, "own"), ROTATIONS);
    let count = world.sql(&shop, "select count(*)::text from kept").await;
    let count: usize = count[0].parse().expect("a number");
    let done = done.into_inner();
    // One more may have been under way when the test was over.
    assert!(
        done >= 12 && (done..=done + 1).contains(&count),
        "{done} of {count}"
    );
    world.clean().await;
}

#[tokio::test]
async fn a_schedule_is_kept_for_every_access_and_nothing_is_written_before() {
    let mut world = World::new();
    let shop = database(&world);
    made(&mut world, "first", owner_of(&shop, &[])).await;
    let other = format!("{}_other", world.namespace);
    for (name, access, database) in [
        ("own", "Owner", &other),
        ("write", "ReadWrite", &shop),
        ("read", "ReadOnly", &shop),
    ] {
        let rotation = json!({ "every": "24h", "overlap": "1h" });
        let spec = json!({
            "access": access, "database": database, "reclaimPolicy": "Delete", "rotation": rotation,
        });
        made(&mut world, name, spec).await;
        let writes = (world.api.writes(), world.chaos.changes());
        world.settle(name).await;
        assert_eq!(
            (world.api.writes(), world.chaos.changes()),
            writes,
            "{name}: not due"
        );
        let past = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(25);
        world.old = world.secret(&world.secret_of(name));
        world.api.edit(&world.binding_path(name), |binding| {
            binding["metadata"]["creationTimestamp"] = instant(past).into();
        });
        world.settle(name).await;
        assert_eq!(number(&world, name), 1, "{name}: {}", world.message(name));
        world
            .log_in(&world.secret_of(name))
            .await
            .expect("the new ones work");
        log_in_with(&world.old)
            .await
            .expect("the old ones still do");

        // The next look is there when the overlap ends, to the second.
        let soon = jiff::Timestamp::now() - jiff::SignedDuration::from_secs(3_590);
        world.api.edit(&world.binding_path(name), |binding| {
            binding["status"]["rotation"]["rotatedAt"] = instant(soon).into();
        });
        let outcome = world
            .once(name)
            .await
            .expect("it exists")
            .expect("it works");
        let Next::Requeue(wait) = outcome else {
            panic!("it comes back by itself");
        };
        assert!(wait <= Duration::from_secs(10), "{wait:?}");
        world.expire(name);
        world.settle(name).await;
        assert_refused(&world.old).await;
        assert_eq!(number(&world, name), 1, "{name}: the next one is tomorrow");
    }
    world.clean().await;
}

#[tokio::test]
async fn a_binding_from_before_rotation_goes_on_with_what_it_has() {
    let mut world = World::new();
    let shop = database(&world);
    made(&mut world, "own", owner_of(&shop, &[])).await;
    // As it was named then.
    let made = world.secret_path(&world.secret_of("own"));
    let mut secret = world.api.get(&made).expect("the Secret");
    world.api.delete(&made);
    secret["metadata"]["name"] = "own-db".into();
    world.api.put(&world.secret_path("own-db"), secret);
    world.api.edit(&world.binding_path("own"), |binding| {
        binding["status"]["binding"]["name"] = "own-db".into();
    });
    world.settle("own").await;
    let (secret, roles) = (world.keys_of("own"), world.roles().await);
    let status = world.binding("own").and_then(|binding| binding.status);
    assert_eq!(
        status.and_then(|status| status.rotation),
        None,
        "as it was written before"
    );
    let mut pod = world
        .log_in(&world.secret_of("own"))
        .await
        .expect("it is in use");
    world.api.edit(&world.binding_path("own"), |binding| {
        binding["spec"]["rotation"] = json!({ "every": "24h", "overlap": "1h" });
    });
    world.settle("own").await;
    assert_eq!(world.secret_of("own"), "own-db");
    assert_eq!(world.keys_of("own"), secret);
    assert_eq!(world.roles().await, roles);
    pod.execute("select 1").await.expect("no outage");
    world.ask_to_rotate("own");
    world.settle("own").await;
    pod.execute("select 1").await.expect("nor now");
    assert_eq!(number(&world, "own"), 1);
    world.clean().await;
}

#[tokio::test]
async fn an_administrator_who_is_no_superuser_rotates_too() {
    let mut world = World::new();
    let shop = database(&world);
    let admin = format!("{}_admin", world.namespace);
    let sql = format!(
        "create role {admin} login createdb createrole password 'x'; \
         grant connect on database postgres to {admin}"
    );
    world.sql("postgres", &sql).await;
    let limited = Server {
        username: admin.clone(),
        password: "x".into(),
        ..world.server.clone()
    };
    world.put_server(&limited);
    made(&mut world, "own", owner_of(&shop, &[])).await;
    for turn in 1..=3 {
        let mut pod = world
            .log_in(&world.secret_of("own"))
            .await
            .expect("they work");
        world.ask_to_rotate("own");
        world.settle("own").await;
        assert_eq!(number(&world, "own"), turn, "{}", world.message("own"));
        world
            .log_in(&world.secret_of("own"))
            .await
            .expect("the new ones work");
        pod.execute("select 1")
            .await
            .expect("the old session lives on");
        world.expire("own");
        world.settle("own").await;
        pod.execute("select 1")
            .await
            .expect_err("its session was ended");
        assert_refused(&world.old).await;
        let writes = (world.api.writes(), world.chaos.changes());
        world.settle("own").await;
        assert_eq!(
            (world.api.writes(), world.chaos.changes()),
            writes,
            "at rest"
        );
    }
    world.api.delete(&world.binding_path("own"));
    world.settle("own").await;
    assert_eq!(world.roles().await, [admin]);
    world.clean().await;
}

#[tokio::test]
async fn a_role_that_is_not_in_use_stays_shut() {
    let mut world = World::new();
    let shop = database(&world);
    made(&mut world, "own", owner_of(&shop, &[])).await;
    world.ask_to_rotate("own");
    world.settle("own").await;
    world.expire("own");
    world.settle("own").await;
    let binding = world.binding("own").expect("the binding");
    let spare = Wanted::of(&binding, false).expect("stored").names.spare;
    assert_eq!(spare, world.old["username"]);
    let open = format!("alter role {spare} login password 'stolen'");
    world.sql("postgres", &open).await;
    let thief = Keys::from([("password".to_owned(), "stolen".to_owned())]);
    let thief: Keys = world.old.clone().into_iter().chain(thief).collect();
    let mut session = log_in_with(&thief).await.expect("the door is open");
    world.settle("own").await;
    session.execute("select 1").await.expect_err("thrown out");
    assert_refused(&thief).await;
    assert_eq!(events(&world, "DriftRepaired"), 1);
    world.clean().await;
}
