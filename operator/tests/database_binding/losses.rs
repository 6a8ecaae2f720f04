//! A database that is gone from its server.

use serde_json::json;
use sqlx::Executor;

use super::chaos::{Moment, Plan};
use super::life::{database, owner_of};
use super::postgres::Postgres;
use super::scenarios::made;
use super::world::World;

fn recreation(world: &World) -> Option<(i64, bool)> {
    let status = world.binding("own").and_then(|binding| binding.status)?;
    let recreation = status.recreation?;
    Some((recreation.number, recreation.pending))
}

fn database_ready(world: &World) -> (String, String) {
    let status = world.binding("own").and_then(|binding| binding.status);
    let conditions = status.expect("a status").conditions;
    let found = conditions.into_iter().find(|c| c.type_ == "DatabaseReady");
    found.map_or_else(Default::default, |c| (c.status, c.reason))
}

fn ask(world: &World, value: &str) {
    world.api.edit(&world.binding_path("own"), |binding| {
        binding["metadata"]["annotations"]["storefront.dev/recreate-database"] = value.into();
    });
}

async fn lose(world: &World, shop: &str) {
    let drop = format!("drop database {shop} with (force)");
    world.sql("postgres", &drop).await;
}

#[tokio::test]
async fn an_empty_database_takes_the_place_of_a_lost_one_only_when_somebody_asks() {
    let mut world = World::new();
    let shop = database(&world);
    made(&mut world, "own", owner_of(&shop, &[])).await;
    for number in 1..=2 {
        lose(&world, &shop).await;
        world.settle("own").await;
        assert_eq!(world.ready("own"), ("False".into(), "DatabaseLost".into()));
        assert_eq!(
            database_ready(&world),
            ("False".into(), "DatabaseLost".into())
        );
        let message = world.message("own");
        assert!(
            message.contains("storefront.dev/recreate-database"),
            "{message}"
        );
        // An old request does not speak for the next loss.
        world.settle("own").await;
        assert_eq!(world.databases().await, [""; 0]);
        ask(&world, &format!("loss {number}"));
        world.settle("own").await;
        assert_eq!(world.ready("own").0, "True", "{}", world.message("own"));
        assert_eq!(recreation(&world), Some((number, false)));
        let mut user = world
            .log_in(&world.secret_of("own"))
            .await
            .expect("it works");
        user.execute("create table kept (id int)")
            .await
            .expect("it is ours");
    }
    world.clean().await;
}

#[tokio::test]
async fn a_database_that_was_restored_is_taken_as_it_is() {
    let mut world = World::new();
    let shop = database(&world);
    made(&mut world, "own", owner_of(&shop, &[])).await;
    let rename = |from: &str, to: &str| format!("alter database {from} rename to {to}");
    let elsewhere = format!("{shop}_elsewhere");
    world.sql("postgres", &rename(&shop, &elsewhere)).await;
    world.settle("own").await;
    assert_eq!(world.ready("own").1, "DatabaseLost");
    world.sql("postgres", &rename(&elsewhere, &shop)).await;
    world.settle("own").await;
    assert_eq!(world.ready("own").0, "True", "{}", world.message("own"));
    assert_eq!(recreation(&world), None);
    world.clean().await;
}

#[tokio::test]
async fn a_request_is_counted_once_wherever_its_work_was_cut_off() {
    // Of its own: a turn that another test has would be no death.
    let server = Postgres::start();
    let mut world = World::on(&server);
    let shop = database(&world);
    made(&mut world, "own", owner_of(&shop, &[])).await;
    lose(&world, &shop).await;
    ask(&world, "now");
    world.plan(Plan::Peace);
    world.settle("own").await;
    let calls = world.chaos.calls();
    assert!(
        calls.iter().any(|call| call == "SQL create the database"),
        "{calls:#?}"
    );
    world.clean().await;
    for (at, call) in calls.iter().enumerate() {
        let mut world = World::on(&server);
        let shop = database(&world);
        made(&mut world, "own", owner_of(&shop, &[])).await;
        lose(&world, &shop).await;
        ask(&world, "now");
        world.plan(Plan::Kill(at, Moment::After));
        world.settle("own").await;
        assert_eq!(
            world.ready("own").0,
            "True",
            "{call}: {}",
            world.message("own")
        );
        assert_eq!(recreation(&world), Some((1, false)), "{call}");
        world.clean().await;
    }
}

#[tokio::test]
async fn a_new_binding_makes_its_database_without_being_asked() {
    let mut world = World::new();
    let shop = database(&world);
    world.create("own", owner_of(&shop, &[]));
    world.api.edit(&world.binding_path("own"), |binding| {
        binding["status"] = json!({ "database": shop, "role": "x" });
    });
    world.settle("own").await;
    assert_eq!(world.ready("own").0, "True", "{}", world.message("own"));
    world.clean().await;
}
