//! Migrations from many processes at once.

use std::borrow::Cow;

use futures::future::join_all;
use outbox::idempotency::{Answer, Begin, Key, begin, finish};
use outbox::{Unhealthy, migrate};
use sqlx::PgPool;
use sqlx::migrate::Migrator;
use testkit::TestDb;
use vocabulary::{Clock, SystemClock};

use crate::world::{MIGRATOR, SCHEMA, new_id, new_order, place_with};

static NOTHING: Migrator = Migrator::DEFAULT;

/// The first migration of a service before the outbox had migrations of its own, unchanged.
static BEFORE: Migrator = sqlx::migrate!("tests/it/before");

/// A database as the release before left it.
async fn database_before() -> TestDb {
    let db = testkit::db(&NOTHING).await;
    sqlx::query("create schema orders")
        .execute(&db.pool)
        .await
        .unwrap();
    let migrator = Migrator {
        migrations: Cow::Owned(BEFORE.iter().cloned().collect()),
        table_name: Cow::Borrowed("orders._migrations"),
        ..Migrator::DEFAULT
    };
    migrator.run(&db.pool).await.unwrap();
    db
}

async fn count(pool: &PgPool, sql: &'static str) -> i64 {
    sqlx::query_scalar(sql).fetch_one(pool).await.unwrap()
}

#[tokio::test]
async fn a_database_made_by_the_services_own_files_keeps_its_rows() {
    let db = database_before().await;
    for sql in [
        "insert into orders.outbox (event_id, type, aggregate, body, created_at)
         values (gen_random_uuid(), 'order.placed.v1', 'a', '{}', now())",
        "insert into orders.inbox values ('order', gen_random_uuid(), 'payment.captured.v1', now())",
        "insert into orders.dead_letters (consumer, event_id, type, aggregate, body, error, attempts, died_at)
         values ('order', gen_random_uuid(), 'payment.captured.v1', 'a', '{}', 'no', 10, now())",
        "insert into orders.idempotency_keys (caller, route, key, fingerprint, status, body, created_at, locked_until)
         values ('ada', 'POST /v1/orders', 'k', sha256('{}'), 201, 'made', now(), now())",
    ] {
        sqlx::query(sql).execute(&db.pool).await.unwrap();
    }
    assert!(matches!(
        migrate::ready(&db.pool, &MIGRATOR, SCHEMA).await,
        Err(Unhealthy::Unusable(_))
    ));
    for _ in 0..2 {
        migrate::run(&MIGRATOR, &db.url, SCHEMA).await.unwrap();
    }
    migrate::ready(&db.pool, &MIGRATOR, SCHEMA).await.unwrap();

    place_with(&db.pool, new_order(), "after", new_id()).await;
    assert_eq!(
        count(&db.pool, "select count(*) from orders.outbox").await,
        2
    );
    assert_eq!(
        count(&db.pool, "select count(*) from orders.inbox").await,
        1
    );
    assert_eq!(
        count(&db.pool, "select count(*) from orders.dead_letters").await,
        1
    );
    let key = Key::new("ada", "POST /v1/orders", "k", "{}").unwrap();
    let mut conn = db.pool.acquire().await.unwrap();
    let answer = Answer {
        status: 201,
        location: None,
        body: b"made".into(),
    };
    let now = SystemClock.now();
    let replay = begin(&mut conn, SCHEMA, &key, now).await.unwrap();
    assert_eq!(replay, Begin::Replay(answer.clone()));
    // The release before is still running while the new one migrates: its statement works on.
    let release_before = "insert into orders.idempotency_keys as held (caller, route, key, fingerprint, created_at, locked_until)
         values ('ada', 'POST /v1/orders', 'k2', sha256('{}'), $1, $1 + interval '1 minute')";
    sqlx::query(release_before)
        .bind(now)
        .execute(&db.pool)
        .await
        .unwrap();
    let other = Key::new("ada", "POST /v1/orders", "k2", "{}").unwrap();
    finish(&mut conn, SCHEMA, &other, &answer).await.unwrap();
    let replay = begin(&mut conn, SCHEMA, &other, now).await.unwrap();
    assert_eq!(replay, Begin::Replay(answer));
}

#[tokio::test]
async fn old_and_new_databases_have_the_same_tables() {
    let columns = "select string_agg(format('%s.%s %s %s %s', table_name, column_name, data_type, is_nullable,
                          column_default), E'\n' order by table_name, column_name)
                   from information_schema.columns where table_schema = 'orders'";
    let indexes = "select string_agg(indexdef, E'\n' order by indexdef) from pg_indexes where schemaname = 'orders'";
    let (old, new) = (database_before().await, testkit::db(&MIGRATOR).await);
    migrate::run(&MIGRATOR, &old.url, SCHEMA).await.unwrap();
    for sql in [columns, indexes] {
        let mut texts = Vec::new();
        for db in [&old, &new] {
            let text: String = sqlx::query_scalar(sql).fetch_one(&db.pool).await.unwrap();
            texts.push(text);
        }
        assert_eq!(texts[0], texts[1]);
    }
}

#[tokio::test]
async fn ten_processes_migrate_at_once_and_again() {
    let db = testkit::db(&NOTHING).await;
    let unready = migrate::ready(&db.pool, &MIGRATOR, SCHEMA).await;
    // What users are told has nothing of the server's source code.
    assert_eq!(
        unready.unwrap_err().to_string(),
        "the database cannot be used: relation \"orders._outbox_migrations\" does not exist (SQLSTATE 42P01)"
    );
    for _ in 0..2 {
        let runs = join_all((0..10).map(|_| migrate::run(&MIGRATOR, &db.url, SCHEMA))).await;
        assert!(runs.iter().all(Result::is_ok), "{runs:?}");
    }
    migrate::ready(&db.pool, &MIGRATOR, SCHEMA).await.unwrap();
}

#[tokio::test]
async fn a_database_that_takes_no_writes_is_not_ready() {
    let db = testkit::db(&MIGRATOR).await;
    migrate::ready(&db.pool, &MIGRATOR, SCHEMA).await.unwrap();
    let options = db.url.parse::<sqlx::postgres::PgConnectOptions>().unwrap();
    let options = options.options([("default_transaction_read_only", "on")]);
    let pool = sqlx::PgPool::connect_with(options).await.unwrap();
    assert!(matches!(
        migrate::ready(&pool, &MIGRATOR, SCHEMA).await,
        Err(Unhealthy::ReadOnly)
    ));
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

    for history in ["orders._migrations", "orders._outbox_migrations"] {
        let db = testkit::db(&MIGRATOR).await;
        let forget = sqlx::AssertSqlSafe(format!("delete from {history}"));
        sqlx::query(forget).execute(&db.pool).await.unwrap();
        assert!(matches!(
            migrate::ready(&db.pool, &MIGRATOR, SCHEMA).await,
            Err(Unhealthy::Behind { found: None, .. })
        ));
    }
}
