//! A database that is not usable now, as a real PostgreSQL reports it: 503, and never 500.

use axum::response::IntoResponse;
use chassis::Problem;
use http::StatusCode;
use outbox::HandlerError;
use service::{StoreError, failed};
use sqlx::error::DatabaseError;
use sqlx::migrate::Migrator;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor};
use testkit::TestDb;

static MIGRATOR: Migrator = Migrator::DEFAULT;

/// A role without any right; dropped with the last owner of its name.
const ROLE: &str = "unavailable_test";

async fn conn(db: &TestDb) -> PgConnection {
    PgConnection::connect(&db.url).await.unwrap()
}

fn options(db: &TestDb) -> PgConnectOptions {
    db.url.parse().unwrap()
}

async fn run(conn: &mut PgConnection, sql: &'static str) -> sqlx::Error {
    conn.execute(sql).await.unwrap_err()
}

/// Another login than the test's.
async fn denied(db: &TestDb, name: String, attributes: &str) -> sqlx::Error {
    let mut admin = conn(db).await;
    let make = format!("create role {name} {attributes}");
    admin.execute(AssertSqlSafe(make)).await.unwrap();
    let login = options(db).username(&name).connect().await;
    let drop = format!("drop role {name}");
    admin.execute(AssertSqlSafe(drop)).await.unwrap();
    login.unwrap_err()
}

/// SQLSTATE and error of each way in which a statement meets a database that cannot be used.
async fn outages(db: &TestDb) -> Vec<(&'static str, sqlx::Error)> {
    let mut other = conn(db).await;
    let mut own = conn(db).await;
    let mut made = vec![
        (
            "25006",
            run(&mut own, "begin read only; create table t ()").await,
        ),
        (
            "3D000",
            options(db)
                .database("there_is_none")
                .connect()
                .await
                .unwrap_err(),
        ),
        (
            "28000",
            options(db)
                .username("there_is_none")
                .connect()
                .await
                .unwrap_err(),
        ),
    ];
    let name = |suffix: &str| {
        let database = options(db).get_database().unwrap_or_default().to_owned();
        format!("{ROLE}_{suffix}_{database}")
    };
    made.push(("28000", denied(db, name("n"), "nologin").await));
    made.push((
        "53300",
        denied(db, name("c"), "login connection limit 0").await,
    ));
    let mut fresh = conn(db).await;
    made.push(("3F000", run(&mut fresh, "create table gone.t ()").await));
    made.push(("42P01", run(&mut fresh, "select from gone.t").await));
    let role = name("g");
    let grant_taken = format!(
        "create schema s; create table s.t (); create role {role}; set role {role}; select from s.t"
    );
    let error = fresh.execute(AssertSqlSafe(grant_taken)).await.unwrap_err();
    made.push(("42501", error));
    let pid: i32 = sqlx::query_scalar("select pg_backend_pid()")
        .fetch_one(&mut other)
        .await
        .unwrap();
    sqlx::query("select pg_terminate_backend($1, 5000)")
        .bind(pid)
        .execute(&mut conn(db).await)
        .await
        .unwrap();
    made.push(("57P01", run(&mut other, "select 1").await));
    made
}

/// What the test's server cannot be brought to in passing.
async fn without_answer() -> Vec<sqlx::Error> {
    let port = testkit::free_port();
    let away = format!("postgres://postgres@127.0.0.1:{port}/postgres");
    let refused = PgConnection::connect(&away).await.unwrap_err();
    vec![
        refused,
        sqlx::Error::PoolTimedOut,
        sqlx::Error::PoolClosed,
        sqlx::Error::WorkerCrashed,
    ]
}

fn answer(error: StoreError) -> (StatusCode, bool) {
    let response = Problem::from(error).into_response();
    let retry = response.headers().contains_key("retry-after");
    (response.status(), retry)
}

#[tokio::test]
async fn a_database_that_cannot_be_used_now_is_503_with_retry_after() {
    let db = testkit::db(&MIGRATOR).await;
    for (code, error) in outages(&db).await {
        let said = error.as_database_error().and_then(DatabaseError::code);
        // The end of a session arrives as an answer or as the end of the connection.
        assert!(
            said.as_deref() == Some(code) || matches!(error, sqlx::Error::Io(_)),
            "{code}: {error}"
        );
        let answered = answer(failed("find order")(error));
        assert_eq!(answered, (StatusCode::SERVICE_UNAVAILABLE, true), "{code}");
    }
    for error in without_answer().await {
        let text = error.to_string();
        let answered = answer(failed("find order")(error));
        assert_eq!(answered, (StatusCode::SERVICE_UNAVAILABLE, true), "{text}");
    }
}

#[tokio::test]
async fn a_statement_of_the_outbox_is_answered_like_any_other() {
    let db = testkit::db(&MIGRATOR).await;
    let schema = outbox::Schema::new("gone");
    let key = outbox::idempotency::Key::new("ann", "POST /v1/orders", "k1", "body").unwrap();
    let now = chrono::DateTime::UNIX_EPOCH;
    let begun = outbox::idempotency::begin(&mut conn(&db).await, schema, &key, now).await;
    let answered = answer(begun.unwrap_err().into());
    assert_eq!(answered, (StatusCode::SERVICE_UNAVAILABLE, true));
}

#[tokio::test]
async fn an_event_waits_for_its_database_and_a_wrong_statement_does_not() {
    let db = testkit::db(&MIGRATOR).await;
    for (code, error) in outages(&db).await {
        let handled = HandlerError::from(failed("find order")(error));
        assert!(matches!(handled, HandlerError::Unavailable(_)), "{code}");
    }
    let mut conn = conn(&db).await;
    for wrong in ["select from", "select 1/0", "select 'x'::int"] {
        let answered = answer(failed("find order")(run(&mut conn, wrong).await));
        assert_eq!(answered.0, StatusCode::INTERNAL_SERVER_ERROR, "{wrong}");
    }
}
