//! A database is shared by its owner's consent alone.

use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Executor};

use super::life::{database, owner_of};
use super::scenarios::made;
use super::world::World;

/// Decides who may open the database of the binding `own`.
fn grant(world: &World, grants: Value) {
    world.api.edit(&world.binding_path("own"), |binding| {
        binding["spec"]["grants"] = grants;
    });
}

/// A binding that owns a database and shares it with nobody.
async fn with_owner(world: &mut World) -> String {
    let shop = database(world);
    let spec = json!({ "database": shop, "reclaimPolicy": "Delete" });
    made(world, "own", spec).await;
    shop
}

#[tokio::test]
async fn nothing_is_made_for_a_binding_that_has_no_grant() {
    let mut world = World::new();
    let shop = with_owner(&mut world).await;
    let roles = world.roles().await;
    let secrets = world.api.paths("secrets");
    for access in ["ReadOnly", "ReadWrite"] {
        world.create("asks", json!({ "database": shop, "access": access }));
        world.settle("asks").await;
        let reason = world.ready("asks").1;
        assert_eq!(reason, "NotGranted", "{}", world.message("asks"));
        world.api.delete(&world.binding_path("asks"));
        assert!(world.binding("asks").is_none(), "nothing has to be ended");
    }
    assert_eq!(world.roles().await, roles);
    assert_eq!(world.api.paths("secrets"), secrets);
    world.clean().await;
}

#[tokio::test]
async fn a_grant_to_read_is_none_to_write() {
    let mut world = World::new();
    let shop = with_owner(&mut world).await;
    grant(&world, json!([{ "binding": "asks" }]));
    let writer = json!({ "database": shop, "access": "ReadWrite" });
    made(&mut world, "asks", writer).await;
    assert_eq!(world.ready("asks").1, "NotGranted");
    world.clean().await;
}

#[tokio::test]
async fn a_database_is_shared_only_as_long_as_its_owner_grants_it() {
    let mut world = World::new();
    let shop = with_owner(&mut world).await;
    grant(&world, json!([{ "binding": "read" }]));
    let reader = json!({ "database": shop, "access": "ReadOnly" });
    made(&mut world, "read", reader).await;
    let secret = world.secret_of("read");
    let mut reader = world.log_in(&secret).await.expect("it is granted");
    reader.execute("select 1").await.expect("it reads");

    grant(&world, json!([]));
    world.settle("read").await;
    assert_eq!(world.ready("read").1, "NotGranted");
    let over = reader.execute("select 1").await;
    over.expect_err("its session is over");
    let refused = world.log_in(&secret).await;
    refused.expect_err("it may not log in again");
    let changes = world.chaos.changes();
    world.settle("read").await;
    assert_eq!(world.chaos.changes(), changes, "what is shut is left alone");

    grant(&world, json!([{ "binding": "read" }]));
    world.settle("read").await;
    let again = world.log_in(&world.secret_of("read")).await;
    again.expect("it is granted again");
    world.clean().await;
}

#[tokio::test]
async fn an_owner_cannot_make_somebody_else_consent_by_a_comment() {
    let mut world = World::new();
    let shop = with_owner(&mut world).await;
    let other = format!("{}_other", world.namespace);
    let mut generous = owner_of(&other, &[]);
    generous["grants"] = json!([{ "binding": "asks", "access": "ReadWrite" }]);
    made(&mut world, "generous", generous).await;
    let uid = world.binding("generous").and_then(|it| it.metadata.uid);
    // Whoever owns the database may write its comment, and so who seems to have made it.
    let forged = format!(
        "comment on database {shop} is 'storefront.dev: binding={}/generous uid={} hold=bound'",
        world.namespace,
        uid.unwrap_or_default()
    );
    let mut owner = world
        .log_in(&world.secret_of("own"))
        .await
        .expect("the owner logs in");
    owner
        .execute(AssertSqlSafe(forged))
        .await
        .expect("its owner may");
    drop(owner);
    let asks = json!({ "database": shop, "access": "ReadWrite" });
    made(&mut world, "asks", asks).await;
    assert_eq!(world.ready("asks").1, "NotGranted");
    let message = world.message("asks");
    assert!(message.contains("DatabaseBinding own"), "{message}");
    world.clean().await;
}
