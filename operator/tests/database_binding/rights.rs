//! What those who share a shop's own server cannot do to each other.

use futures::future::join_all;
use serde_json::json;
use sqlx::{AssertSqlSafe, Executor};

use operator_plan::database_binding::Server;

use super::life::{database, owner_of};
use super::postgres::Postgres;
use super::scenarios::made;
use super::world::{Keys, World, log_in_with};

#[tokio::test]
async fn a_reader_of_a_shops_own_server_fills_no_disk_and_sees_no_other_database() {
    let server = Postgres::start();
    let mut world = World::on(&server);
    world.put_storefront("demo", "Retain");
    let of_demo = json!({ "storefront": "demo" });
    let shop = format!("{}_shop", world.namespace);
    let grants = json!([{ "binding": "read" }]);
    let owner = json!({ "serverRef": of_demo, "database": shop, "grants": grants });
    made(&mut world, "own", owner).await;
    let reader = json!({ "serverRef": of_demo, "database": shop, "access": "ReadOnly" });
    made(&mut world, "read", reader).await;
    assert_eq!(world.ready("read").0, "True", "{}", world.message("read"));
    let mut reader = world
        .log_in(&world.secret_of("read"))
        .await
        .expect("the reader logs in");
    for sql in [
        "select lo_create(0)",
        "select lo_creat(-1)",
        "select lo_from_bytea(0, 'x')",
        "create temporary table t (id int)",
    ] {
        reader.execute(sql).await.expect_err(sql);
    }
    for database in ["postgres", "template1"] {
        let mut keys: Keys = world.keys_of("read");
        keys.insert("database".into(), database.into());
        log_in_with(&keys).await.expect_err(database);
    }
    let mut owner = world
        .log_in(&world.secret_of("own"))
        .await
        .expect("the owner logs in");
    owner
        .execute("select lo_create(0)")
        .await
        .expect("it is the owner's disk");
    let limit = format!("select datconnlimit::text from pg_database where datname = '{shop}'");
    assert_eq!(world.sql("postgres", &limit).await, ["100"]);
    let writes = (world.api.writes(), world.chaos.changes());
    world.settle("own").await;
    assert_eq!((world.api.writes(), world.chaos.changes()), writes);
}

#[tokio::test]
async fn bindings_that_begin_together_on_a_shops_new_server_are_ready_at_once() {
    let server = Postgres::start();
    let world = World::on(&server);
    world.put_storefront("demo", "Retain");
    let names = [
        "auth",
        "user",
        "product",
        "order",
        "payment",
        "notification",
    ];
    for name in names {
        let database = format!("{}_{name}", world.namespace);
        let spec = json!({ "serverRef": { "storefront": "demo" }, "database": database });
        world.create(name, spec);
    }
    let bindings = names.map(|name| world.binding(name).expect("made"));
    let first = join_all(bindings.iter().map(|it| world.reconcile(it))).await;
    for (name, outcome) in names.into_iter().zip(first) {
        outcome.unwrap_or_else(|error| panic!("{name}: {}", error.chain()));
        assert_eq!(world.ready(name).0, "True", "{}", world.message(name));
    }
    let calls = world.chaos.calls();
    let closed = calls
        .iter()
        .filter(|call| call.ends_with("close the server's own databases"));
    assert_eq!(closed.count(), 1, "{calls:#?}");
}

#[tokio::test]
async fn an_owner_cannot_make_its_database_somebody_elses_by_a_comment() {
    let mut world = World::new();
    let shop = database(&world);
    made(&mut world, "own", owner_of(&shop, &[])).await;
    let reader = json!({ "database": shop, "access": "ReadOnly" });
    made(&mut world, "read", reader).await;
    let mut owner = world
        .log_in(&world.secret_of("own"))
        .await
        .expect("the owner logs in");
    let forged = "storefront.dev: binding=elsewhere/other uid=u0 hold=bound";
    owner
        .execute(AssertSqlSafe(format!(
            "comment on database {shop} is '{forged}'"
        )))
        .await
        .expect("its owner may");
    for name in ["read", "own"] {
        world.settle(name).await;
        assert_eq!(world.ready(name).0, "True", "{}", world.message(name));
    }
    owner
        .execute(AssertSqlSafe(format!(
            "comment on database {shop} is '{forged}'"
        )))
        .await
        .expect("its owner may");
    drop(owner);
    for name in ["read", "own"] {
        world.api.delete(&world.binding_path(name));
        world.settle(name).await;
    }
    assert_eq!(world.databases().await, [""; 0]);
    assert_eq!(world.roles().await, [""; 0]);
}

#[tokio::test]
async fn an_administrator_without_the_rights_is_told_with_what_it_lacks() {
    let mut world = World::new();
    let admin = format!("{}_admin", world.namespace);
    // Another test takes this right from everybody.
    let create = format!(
        "create role {admin} login password 'x'; grant connect on database postgres to {admin}"
    );
    world.sql("postgres", &create).await;
    let limited = Server {
        username: admin.clone(),
        password: "x".into(),
        ..world.server.clone()
    };
    world.put_server(&limited);
    world.create("own", owner_of(&database(&world), &[]));
    drop(world.once("own").await);
    assert_eq!(world.ready("own").1, "ServerForbids");
    let told = world.message("own");
    assert!(told.contains("permission denied to create role"), "{told}");
    assert!(told.contains("needs createdb, createrole"), "{told}");
    let grant = format!("alter role {admin} createdb createrole");
    world.sql("postgres", &grant).await;
    world.settle("own").await;
    assert_eq!(world.ready("own").0, "True", "{}", world.message("own"));
    world.clean().await;
}
