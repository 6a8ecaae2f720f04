//! What this service is.

use outbox::Schema;
use service::{Service, Spec};
use sqlx::migrate::Migrator;

/// The facts that all parts share.
pub const SPEC: Spec = Spec {
    service: Service::Product,
    migrator: &MIGRATOR,
    connections: 16,
};

/// The schema of its tables.
pub const SCHEMA: Schema = SPEC.schema();

/// The migrations of its schema.
pub static MIGRATOR: Migrator = sqlx::migrate!("../../migrations/product");
