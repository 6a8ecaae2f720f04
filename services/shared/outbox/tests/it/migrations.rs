//! Migrations from many processes at once.

use futures::future::join_all;
use outbox::{Unhealthy, migrate};
use sqlx::migrate::Migrator;

use crate::world::{MIGRATOR, SCHEMA};

static NOTHING: Migrator = Migrator::DEFAULT;

#[tokio::test]
async fn ten_processes_migrate_at_once_and_again() {
    let db = testkit::db(&NOTHING).await;
    assert!(matches!(
        migrate::ready(&db.pool, &MIGRATOR, SCHEMA).await,
        Err(Unhealthy::Silent(_))
    ));
    for _ in 0..2 {
        let runs = join_all((0..10).map(|_| migrate::run(&MIGRATOR, &db.url, SCHEMA))).await;
        assert!(runs.iter().all(Result::is_ok), "{runs:?}");
    }
    migrate::ready(&db.pool, &MIGRATOR, SCHEMA).await.unwrap();
}

#[tokio::test]
async fn an_older_build_is_ready_on_a_newer_schema_and_a_newer_one_is_not_on_an_older() {
    let db = testkit::db(&MIGRATOR).await;
    let newer = "insert into orders._migrations
        (version, description, success, checksum, execution_time) values ($1, '', true, '', 0)";
    sqlx::query(newer)
        .bind(99_999_999_999_999_i64)
        .execute(&db.pool)
        .await
        .unwrap();
    migrate::ready(&db.pool, &MIGRATOR, SCHEMA).await.unwrap();
    migrate::run(&MIGRATOR, &db.url, SCHEMA).await.unwrap();

    sqlx::query("delete from orders._migrations")
        .execute(&db.pool)
        .await
        .unwrap();
    assert!(matches!(
        migrate::ready(&db.pool, &MIGRATOR, SCHEMA).await,
        Err(Unhealthy::Behind { found: None, .. })
    ));
}
