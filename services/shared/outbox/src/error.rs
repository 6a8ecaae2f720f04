//! What can go wrong between a table and the bus.

/// An outbox operation that failed.
#[derive(Debug, thiserror::Error)]
pub enum OutboxError {
    /// A statement failed.
    #[error("{doing} failed")]
    Query {
        /// What was being done.
        doing: &'static str,
        /// Why it failed.
        #[source]
        source: sqlx::Error,
    },
    /// A payload that cannot be JSON.
    #[error("the payload is not JSON")]
    Payload(#[source] serde_json::Error),
    /// A payload that the bus would refuse for ever.
    #[error("the event has {0} bytes, more than the bus takes")]
    TooLarge(usize),
    /// The bus did not do as asked.
    #[error("{doing} failed")]
    Bus {
        /// What was being done.
        doing: &'static str,
        /// Why it failed.
        #[source]
        source: async_nats::Error,
    },
    /// The binding of the bus is not whole.
    #[error(transparent)]
    Binding(#[from] chassis::BindingError),
    /// The binding of the bus names no number of replicas.
    #[error("the bus's binding: replicas is not a number")]
    Replicas,
    /// The stream is another one than before, or an older state of it.
    #[error("the stream was replaced")]
    Replaced,
    /// An answer did not come in time.
    #[error("{0} took too long")]
    TimedOut(&'static str),
}

impl OutboxError {
    /// Whether the bus may be in trouble.
    pub(crate) fn is_of_the_bus(&self) -> bool {
        match self {
            Self::Bus { .. } | Self::Replaced | Self::TimedOut(_) => true,
            Self::Query { .. }
            | Self::Payload(_)
            | Self::TooLarge(_)
            | Self::Binding(_)
            | Self::Replicas => false,
        }
    }
}

/// Why a database is not ready.
#[derive(Debug, thiserror::Error)]
pub enum Unhealthy {
    /// It does not answer.
    #[error("the database does not answer: {0}")]
    Silent(#[from] sqlx::Error),
    /// It is a replica, or was demoted to one.
    #[error("the database is in recovery")]
    InRecovery,
    /// Migrations are missing.
    #[error("the schema is at version {found:?}, expected {expected}")]
    Behind {
        /// Version found.
        found: Option<i64>,
        /// Version this build needs.
        expected: i64,
    },
}

pub(crate) trait Doing<T> {
    /// Says what was being done when it failed.
    fn doing(self, doing: &'static str) -> Result<T, OutboxError>;
}

impl<T> Doing<T> for Result<T, sqlx::Error> {
    fn doing(self, doing: &'static str) -> Result<T, OutboxError> {
        self.map_err(|source| OutboxError::Query { doing, source })
    }
}

/// The same for the bus, whose errors come in twenty types.
pub(crate) trait DoingOnBus<T> {
    /// Says what was being done when it failed.
    fn on_bus(self, doing: &'static str) -> Result<T, OutboxError>;
}

impl<T, E: Into<async_nats::Error>> DoingOnBus<T> for Result<T, E> {
    fn on_bus(self, doing: &'static str) -> Result<T, OutboxError> {
        self.map_err(|source| OutboxError::Bus {
            doing,
            source: source.into(),
        })
    }
}
