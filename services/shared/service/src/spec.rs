//! What a service states about itself.

use outbox::Schema;
use service_catalogue::Service;
use sqlx::migrate::Migrator;

/// The facts about a service that all of its parts share.
#[derive(Clone, Copy)]
pub struct Spec {
    /// Its entry in the list of services: name, schema, purpose.
    pub service: Service,
    /// The migrations of its schema.
    pub migrator: &'static Migrator,
    /// Upper limit of its database connections. Sessions of the outbox and of listeners come on top.
    pub connections: u32,
}

impl Spec {
    /// Name of the process, of its database role, of its consumer and in the bus's binding.
    pub const fn name(&self) -> &'static str {
        self.service.name()
    }

    /// The schema that holds its tables. Fails to compile, in a constant, for a service without a schema.
    pub const fn schema(&self) -> Schema {
        match self.service.schema() {
            Some(name) => Schema::new(name),
            None => panic!("the service has no schema"),
        }
    }
}
