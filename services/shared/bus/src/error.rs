//! Why a broker did not do what was asked.

/// A request to the broker that failed.
#[derive(Debug, thiserror::Error)]
pub enum BusError {
    /// The broker refused, or the client failed.
    #[error("failed to {action}")]
    Request {
        /// What was attempted, such as "publish".
        action: &'static str,
        /// Why it failed.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The binding lacks a key.
    #[error(transparent)]
    Binding(#[from] chassis::BindingError),
    /// The binding's `replicas` is not a number.
    #[error("invalid replicas in the binding of the bus")]
    Replicas,
    /// The stream was deleted, recreated or restored to an older state since the subscription began.
    #[error("the stream was replaced")]
    Replaced,
    /// The connection was lost; what was in flight is delivered again.
    #[error("the connection to the bus was lost")]
    Disconnected,
    /// The broker acknowledged what it could not write.
    #[error("it cannot write: its disk is full, read-only or faulty; mend that, then restart it")]
    NotStored,
    /// The stream takes no further event until consumers acknowledge some.
    #[error("the stream is full: {held} of {limit} bytes wait for consumers")]
    Full {
        /// Bytes in the stream.
        held: u64,
        /// Most that it holds.
        limit: u64,
    },
    /// No answer in time.
    #[error("timed out: {0}")]
    TimedOut(&'static str),
}

/// Adds what was attempted to the errors of a client, which come in many types.
pub(crate) trait Attempting<T> {
    fn attempting(self, action: &'static str) -> Result<T, BusError>;
}

impl<T, E: Into<Box<dyn std::error::Error + Send + Sync>>> Attempting<T> for Result<T, E> {
    fn attempting(self, action: &'static str) -> Result<T, BusError> {
        self.map_err(|source| BusError::Request {
            action,
            source: source.into(),
        })
    }
}
