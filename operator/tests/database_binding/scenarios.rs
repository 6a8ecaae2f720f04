//! What a binding promises, one promise a test.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use super::life::{database, owner_of};
use super::postgres::postgres;
use super::world::World;
use operator::next::Next;
use operator_plan::database_binding::{FINALIZER, Server};
use serde_json::{Value, json};
use sqlx::{Connection, Executor, PgConnection};

/// Makes `name` with a spec and reconciles it until it is settled.
pub async fn made(world: &mut World, name: &str, spec: Value) {
    world.create(name, spec);
    world.settle(name).await;
}

async fn allowed(user: &mut PgConnection, sql: &'static str) -> bool {
    match user.execute(sql).await {
        Ok(_) => true,
        Err(error) => {
            let code = error
                .as_database_error()
                .and_then(|e| e.code().map(|c| c.to_string()));
            assert_eq!(code.as_deref(), Some("42501"), "{sql}: {error}");
            false
        }
    }
}

fn holds_finalizer(world: &World, name: &str) -> bool {
    let binding = world.binding(name).expect("the binding");
    binding
        .metadata
        .finalizers
        .unwrap_or_default()
        .iter()
        .any(|held| held == FINALIZER)
}

/// A server that nobody answers at.
pub fn silent(world: &World) -> (TcpListener, Server) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("its address").port();
    (
        listener,
        Server {
            port,
            ..world.server.clone()
        },
    )
}

#[tokio::test]
async fn each_access_can_do_what_it_says_and_no_more() {
    let mut world = World::new();
    let shop = database(&world);
    made(&mut world, "own", owner_of(&shop, &["pg_trgm"])).await;
    made(
        &mut world,
        "write",
        json!({ "database": shop, "access": "ReadWrite" }),
    )
    .await;
    made(
        &mut world,
        "read",
        json!({ "database": shop, "access": "ReadOnly" }),
    )
    .await;
    let mut owner = world
        .log_in(&world.secret_of("own"))
        .await
        .expect("the owner logs in");
    let mut writer = world
        .log_in(&world.secret_of("write"))
        .await
        .expect("the writer logs in");
    let mut reader = world
        .log_in(&world.secret_of("read"))
        .await
        .expect("the reader logs in");
    // Made after the grants: default privileges have to reach them.
    let schema = "create schema sales; create table sales.orders (id serial primary key); \
                  create table public.notes (id int); create view sales.seen as select * from sales.orders";
    assert!(allowed(&mut owner, schema).await);
    assert!(allowed(&mut writer, "insert into sales.orders default values").await);
    assert!(
        allowed(
            &mut writer,
            "update sales.orders set id = id; delete from public.notes"
        )
        .await
    );
    assert!(
        allowed(
            &mut reader,
            "select * from sales.orders, public.notes, sales.seen"
        )
        .await
    );
    assert!(!allowed(&mut writer, "create table sales.more (id int)").await);
    assert!(!allowed(&mut writer, "truncate sales.orders").await);
    assert!(!allowed(&mut reader, "insert into public.notes values (1)").await);
    assert!(!allowed(&mut reader, "create table public.more (id int)").await);
    let tables = "select distinct tableowner::text from pg_tables where schemaname = 'sales'";
    assert_eq!(world.sql(&shop, tables).await, [format!("{shop}_owner")]);
    drop((owner, writer, reader));

    let other = format!("{}_other", world.namespace);
    made(&mut world, "stranger", owner_of(&other, &[])).await;
    let role = world.keys_of("stranger")["username"].clone();
    let connect = format!("select has_database_privilege('{role}', '{shop}', 'connect')::text");
    assert_eq!(world.sql("postgres", &connect).await, ["false"]);
    world.clean().await;
}

#[tokio::test]
async fn the_secret_is_what_servicebinding_asks_for() {
    let mut world = World::new();
    let shop = database(&world);
    made(&mut world, "own", owner_of(&shop, &[])).await;
    let secret = world
        .api
        .get(&world.secret_path(&world.secret_of("own")))
        .expect("the Secret");
    assert_eq!(secret["type"], "servicebinding.io/postgresql");
    assert_eq!(secret["immutable"], true);
    assert_eq!(secret["metadata"]["ownerReferences"][0]["controller"], true);
    let keys = world.keys_of("own");
    let names: Vec<&str> = keys.keys().map(String::as_str).collect();
    let expected = [
        "database", "host", "password", "port", "provider", "type", "uri", "username",
    ];
    assert_eq!(names, expected);
    let uri = keys["uri"]
        .parse::<sqlx::postgres::PgConnectOptions>()
        .expect("a uri");
    let options = uri.ssl_mode(sqlx::postgres::PgSslMode::Disable);
    PgConnection::connect_with(&options)
        .await
        .expect("the uri connects");
    let status = world
        .binding("own")
        .and_then(|b| b.status)
        .expect("a status");
    let name = status.binding.expect("a binding").name;
    assert!(name.starts_with("own-db-"), "{name}");
    world.clean().await;
}

#[tokio::test]
async fn no_password_reaches_the_servers_log_or_the_object() {
    let mut world = World::new();
    let shop = database(&world);
    made(&mut world, "own", owner_of(&shop, &["citext"])).await;
    let password = world.keys_of("own")["password"].clone();
    let role = world.keys_of("own")["username"].clone();
    world
        .sql("postgres", &format!("alter role {role} password 'stolen'"))
        .await;
    world.settle("own").await;
    let log = postgres().log();
    assert!(log.contains("create role"), "the server logs statements");
    assert!(!log.contains(&password));
    let object = world
        .api
        .get(&world.binding_path("own"))
        .expect("the binding")
        .to_string();
    assert!(!object.contains(&password));
    assert!(
        world.api.events().contains(&"DriftRepaired".to_owned()),
        "{:?}",
        world.api.events()
    );
    world.clean().await;
}

#[tokio::test]
async fn what_is_not_ours_is_neither_adopted_nor_dropped() {
    let mut world = World::new();
    let shop = database(&world);
    world
        .sql("postgres", &format!("create database {shop}"))
        .await;
    made(&mut world, "own", owner_of(&shop, &[])).await;
    assert_eq!(world.ready("own"), ("False".into(), "NotOurs".into()));
    assert!(
        world.message("own").contains(&shop),
        "{}",
        world.message("own")
    );
    assert!(
        !holds_finalizer(&world, "own"),
        "nothing was made, so nothing is to be ended"
    );
    assert_eq!(world.api.paths("secrets"), [world.secret_path("server")]);
    world.api.delete(&world.binding_path("own"));
    assert!(world.binding("own").is_none());
    assert_eq!(world.databases().await, [shop.as_str()]);

    world
        .sql("postgres", &format!("drop database {shop}"))
        .await;
    world
        .sql("postgres", &format!("create role {shop}_owner"))
        .await;
    made(&mut world, "own", owner_of(&shop, &[])).await;
    assert_eq!(world.ready("own").1, "NotOurs");
    assert_eq!(world.databases().await, [""; 0]);
    world
        .sql("postgres", &format!("drop role {shop}_owner"))
        .await;
    world.settle("own").await;
    assert_eq!(world.ready("own").0, "True", "the remedy helps");
    world.clean().await;
}

#[tokio::test]
async fn a_second_owner_is_refused_and_its_end_harms_nobody() {
    let mut world = World::new();
    let shop = database(&world);
    made(&mut world, "first", owner_of(&shop, &[])).await;
    made(&mut world, "second", owner_of(&shop, &[])).await;
    assert_eq!(world.ready("second").1, "NotOurs");
    assert!(
        world.message("second").contains("/first"),
        "{}",
        world.message("second")
    );
    world.api.delete(&world.binding_path("second"));
    world.settle("second").await;
    world
        .log_in(&world.secret_of("first"))
        .await
        .expect("the first still works");
    world.clean().await;
}

#[tokio::test]
async fn a_sharer_waits_for_the_owner_without_a_finalizer() {
    let mut world = World::new();
    let shop = database(&world);
    world.create("read", json!({ "database": shop, "access": "ReadOnly" }));
    let outcome = world
        .once("read")
        .await
        .expect("it exists")
        .expect("waiting is no failure");
    assert!(matches!(outcome, Next::Requeue(wait) if wait < Duration::from_secs(10)));
    assert_eq!(world.ready("read").1, "DatabaseNotFound");
    assert!(!holds_finalizer(&world, "read"));
    made(&mut world, "own", owner_of(&shop, &[])).await;
    world.settle("read").await;
    world
        .log_in(&world.secret_of("read"))
        .await
        .expect("the reader logs in");
    world.clean().await;
}

#[tokio::test]
async fn an_administrator_who_is_no_superuser_is_enough() {
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
    made(&mut world, "own", owner_of(&shop, &["pg_trgm"])).await;
    assert_eq!(world.ready("own").0, "True", "{}", world.message("own"));
    made(
        &mut world,
        "read",
        json!({ "database": shop, "access": "ReadOnly" }),
    )
    .await;
    let mut owner = world
        .log_in(&world.secret_of("own"))
        .await
        .expect("the owner logs in");
    assert!(allowed(&mut owner, "create table kept (id int)").await);
    let mut reader = world
        .log_in(&world.secret_of("read"))
        .await
        .expect("the reader logs in");
    assert!(allowed(&mut reader, "select * from kept").await);
    let writes = (world.api.writes(), world.chaos.changes());
    world.settle("own").await;
    world.settle("read").await;
    assert_eq!(
        (world.api.writes(), world.chaos.changes()),
        writes,
        "at rest"
    );
    let role = world.keys_of("own")["username"].clone();
    world
        .sql("postgres", &format!("alter role {role} password 'stolen'"))
        .await;
    world.settle("own").await;
    world
        .log_in(&world.secret_of("own"))
        .await
        .expect("a log-in told that the password was another one");
    for name in ["read", "own"] {
        world.api.delete(&world.binding_path(name));
        world.settle(name).await;
        assert!(world.binding(name).is_none(), "{}", world.message(name));
    }
    assert_eq!(world.roles().await, [admin]);
    assert_eq!(world.databases().await, [""; 0]);
    world.clean().await;
}

#[tokio::test]
async fn what_a_login_role_owns_elsewhere_does_not_hold_it_back() {
    let mut world = World::new();
    let shop = database(&world);
    let mut spec = owner_of(&shop, &[]);
    spec["reclaimPolicy"] = "Retain".into();
    made(&mut world, "own", spec).await;
    let role = world.keys_of("own")["username"].clone();
    let namespace = world.namespace.clone();
    let table = format!(
        "create table {namespace}_odd (id int); alter table {namespace}_odd owner to {role}"
    );
    world.sql("postgres", &table).await;
    world.sql(&shop, &table).await;
    world.api.delete(&world.binding_path("own"));
    world.settle("own").await;
    assert!(world.binding("own").is_none(), "{}", world.message("own"));
    assert!(!world.roles().await.contains(&role));
    let owner =
        format!("select tableowner::text from pg_tables where tablename = '{namespace}_odd'");
    assert_eq!(world.sql(&shop, &owner).await, [format!("{shop}_owner")]);
    assert_eq!(world.sql("postgres", &owner).await, ["postgres"]);
    world
        .sql("postgres", &format!("drop table {namespace}_odd"))
        .await;
    world.clean().await;
}

#[tokio::test]
async fn a_dead_server_delays_nobody_else() {
    let world = World::new();
    let (_listener, dead) = silent(&world);
    world.put_secret("dead", &dead);
    let on_dead =
        json!({ "serverRef": { "adminSecret": { "name": "dead" } }, "reclaimPolicy": "Delete" });
    for name in ["dead-1", "dead-2", "dead-3"] {
        world.create(name, on_dead.clone());
    }
    let shop = database(&world);
    world.create("alive", owner_of(&shop, &[]));
    let start = Instant::now();
    let alive = async {
        let binding = world.binding("alive").expect("the binding");
        world.reconcile(&binding).await.expect("it is alive");
        start.elapsed()
    };
    let dead = async {
        for name in ["dead-1", "dead-2", "dead-3"] {
            let binding = world.binding(name).expect("the binding");
            world
                .reconcile(&binding)
                .await
                .expect("waiting for a server is no failure");
        }
        start.elapsed()
    };
    let (alive, dead) = tokio::join!(alive, dead);
    assert!(alive < Duration::from_secs(4), "{alive:?}");
    assert!(
        dead < Duration::from_secs(8),
        "one connect finds out for all: {dead:?}"
    );
    assert_eq!(world.ready("dead-3").1, "ServerUnreachable");
    assert!(!holds_finalizer(&world, "dead-3"));
    world.clean().await;
}

#[tokio::test]
async fn a_server_whose_name_is_not_resolved_is_not_said_to_be_silent() {
    let world = World::new();
    let (_listener, mut lost) = silent(&world);
    "nowhere.invalid".clone_into(&mut lost.host);
    world.put_secret("lost", &lost);
    world.create(
        "lost",
        json!({ "serverRef": { "adminSecret": { "name": "lost" } } }),
    );
    let binding = world.binding("lost").expect("the binding");
    let waited = world.reconcile(&binding).await;
    waited.expect("waiting for a server is no failure");
    assert_eq!(world.ready("lost").1, "ServerUnreachable");
    let message = world.message("lost");
    assert!(
        message.contains("cannot be reached: the name nowhere.invalid is not resolved: "),
        "{message}"
    );
    world.clean().await;
}

#[tokio::test]
async fn a_wrong_administrators_password_is_told_without_it() {
    let mut world = World::new();
    let shop = database(&world);
    world.put_server(&Server {
        password: "not-the-one".into(),
        ..world.server.clone()
    });
    world.create("own", owner_of(&shop, &[]));
    drop(world.once("own").await);
    assert_eq!(world.ready("own").1, "ServerDenied");
    let told = world.message("own");
    assert!(
        told.contains("correct username and password in the Secret "),
        "{told}"
    );
    assert!(!world.message("own").contains("not-the-one"));
    let right = world.server.clone();
    world.put_server(&right);
    world.settle("own").await;
    assert_eq!(world.ready("own").0, "True");
    world.clean().await;
}

#[tokio::test]
async fn a_secret_of_somebody_else_in_the_way_is_named_and_left_alone_until_it_is_gone() {
    let mut world = World::new();
    let shop = database(&world);
    world.create("own", owner_of(&shop, &[]));
    let binding = world.binding("own").expect("the binding");
    let uid = binding.metadata.uid.expect("a uid");
    let name = operator_plan::names::credentials_secret("own", &uid, 0);
    let foreign = json!({ "apiVersion": "v1", "kind": "Secret", "metadata": {}, "data": { "theirs": "eA==" } });
    world.api.put(&world.secret_path(&name), foreign);
    world.settle("own").await;
    assert_eq!(world.ready("own"), ("False".into(), "SecretNotOurs".into()));
    assert!(
        world.message("own").contains(&name),
        "{}",
        world.message("own")
    );
    let left = world
        .api
        .get(&world.secret_path(&name))
        .expect("it is there");
    assert_eq!(left["data"], json!({ "theirs": "eA==" }));
    world.api.delete(&world.secret_path(&name));
    world.settle("own").await;
    assert_eq!(world.ready("own").0, "True", "the remedy helps");
    assert!(world.log_in(&world.secret_of("own")).await.is_ok());
    world.clean().await;
}
