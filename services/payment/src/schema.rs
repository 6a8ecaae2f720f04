//! The database schema that this service owns.

/// Its name.
pub const SCHEMA: outbox::Schema = outbox::Schema::new("payment");

/// Its migrations.
pub static MIGRATOR: sqlx::migrate::Migrator = sqlx::migrate!("../../migrations/payment");

/// Ready: the pool answers, and the schema is what this build expects.
pub async fn ready(pool: sqlx::PgPool) -> Result<(), String> {
    let ready = outbox::migrate::ready(&pool, &MIGRATOR, SCHEMA).await;
    ready.map_err(|unhealthy| unhealthy.to_string())
}
