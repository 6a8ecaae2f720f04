//! What can go wrong on a database server. No message ever repeats a statement's text.

use operator_plan::database_binding::{Statement, unreachable};

use super::endpoint::Endpoint;
use crate::error::Error;

/// A failure of a server or of a statement.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ServerError {
    /// No connection, or it broke.
    #[error("database server {server} cannot be reached: {why}")]
    Unreachable {
        /// `host:port`.
        server: String,
        /// Why the last attempt failed.
        why: String,
    },
    /// Another binding holds the turn.
    #[error("database server {server} is busy with other bindings")]
    Busy {
        /// `host:port`.
        server: String,
    },
    /// The server does not take these credentials.
    #[error("database server {server} refuses the login: {message}")]
    Denied {
        /// `host:port`.
        server: String,
        /// The server's message.
        message: String,
    },
    /// The server understood, and said no.
    #[error("failed to {purpose} on {server}: {message} (SQLSTATE {code})")]
    Refused {
        /// `host:port`.
        server: String,
        /// What the statement is for.
        purpose: &'static str,
        /// SQLSTATE.
        code: String,
        /// The server's message.
        message: String,
    },
    /// The answer was not what the statement promises.
    #[error("failed to {purpose}: the answer does not decode")]
    Answer {
        /// What the statement is for.
        purpose: &'static str,
    },
    /// What was changed did not stay changed.
    #[error(
        "failed to {purpose}: the change does not last, something else changes the same role or database"
    )]
    Unsettled {
        /// What the last statement was for.
        purpose: &'static str,
    },
    /// No randomness for a salt.
    #[error("the system's random generator failed")]
    NoEntropy,
}

impl ServerError {
    /// A statement without an answer.
    pub(super) fn silent(server: String, statement: &Statement) -> Self {
        Self::Unreachable {
            server,
            why: format!("no answer to {}", statement.purpose),
        }
    }

    /// Sorts a failed connect.
    pub(super) fn from_connect(endpoint: &Endpoint, database: &str, source: &sqlx::Error) -> Self {
        let server = endpoint.address();
        let Some(answer) = source.as_database_error() else {
            return Self::Unreachable {
                server,
                why: unreachable(&endpoint.host, &source.to_string()),
            };
        };
        let code = answer.code().unwrap_or_default().into_owned();
        let message = answer.message().to_owned();
        match code.as_str() {
            // invalid_authorization_specification, invalid_password
            "28000" | "28P01" => Self::Denied { server, message },
            // starting up, shutting down, crashed, too many connections
            "57P01" | "57P02" | "57P03" | "53300" => Self::Unreachable {
                server,
                why: message,
            },
            _ => Self::Refused {
                server: format!("{server}/{database}"),
                purpose: "connect",
                code,
                message,
            },
        }
    }

    /// Sorts a failed statement.
    pub(super) fn from_sql(server: String, statement: &Statement, source: &sqlx::Error) -> Self {
        let Some(answer) = source.as_database_error() else {
            return Self::Unreachable {
                server,
                why: source.to_string(),
            };
        };
        let code = answer.code().unwrap_or_default().into_owned();
        match code.as_str() {
            "57P01" | "57P02" | "57P03" => Self::Unreachable {
                server,
                why: answer.message().to_owned(),
            },
            _ => Self::Refused {
                server,
                purpose: statement.purpose,
                code,
                message: answer.message().to_owned(),
            },
        }
    }

    /// Machine-readable reason (CamelCase).
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Unreachable { .. } => "ServerUnreachable",
            Self::Busy { .. } => "ServerBusy",
            Self::Denied { .. } => "ServerDenied",
            // insufficient_privilege
            Self::Refused { code, .. } if code == "42501" => {
                operator_plan::database_binding::FORBIDDEN
            }
            Self::Refused { .. } => "ServerRefused",
            Self::Answer { .. } => "ServerUnreadable",
            Self::Unsettled { .. } => "NotSettled",
            Self::NoEntropy => "NoEntropy",
        }
    }

    /// Whether trying again later can help without anybody changing anything.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable { .. }
            | Self::Busy { .. }
            | Self::Unsettled { .. }
            | Self::NoEntropy => true,
            Self::Denied { .. } | Self::Answer { .. } => false,
            // Class 40 (serialization, deadlock), 53 (resources), 55 (lock, object in use),
            // 57 (cancelled), 58 (disk), XX (catalog tuple updated by somebody else).
            Self::Refused { code, .. } => ["40", "53", "55", "57", "58", "XX"]
                .iter()
                .any(|class| code.starts_with(class)),
        }
    }
}

/// Why work at a server stopped: the server, or the API server that was asked on the way.
pub(super) enum Stop {
    /// The API server, or something of the operator itself.
    Api(Error),
    /// The database server.
    Server(ServerError),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Api(error)
    }
}

impl From<ServerError> for Stop {
    fn from(error: ServerError) -> Self {
        Self::Server(error)
    }
}

/// The reason of a failed reconciliation: a server's failure keeps the one that it was reported with.
pub fn reason(error: &Error) -> &'static str {
    match error {
        Error::Other(source) => source
            .downcast_ref()
            .map_or("ReconcileFailed", ServerError::reason),
        _ => "ReconcileFailed",
    }
}
