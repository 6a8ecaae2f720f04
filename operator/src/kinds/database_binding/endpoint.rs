//! Where a database server is.

use operator_plan::database_binding::Server;
use sqlx::postgres::PgSslMode;

use super::scram::Password;

/// Where a server is, and who administers it. No `Debug`: it holds a password.
#[derive(Clone)]
pub struct Endpoint {
    /// Host name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// A role that may create roles and databases.
    pub username: String,
    /// Its password.
    pub password: Password,
    /// How much TLS the connection must have.
    pub tls: PgSslMode,
}

impl Endpoint {
    /// What tells two servers apart.
    pub(super) fn key(&self) -> (String, u16) {
        (self.host.clone(), self.port)
    }

    /// `host:port`, for messages.
    pub fn address(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }
}

impl From<&Server> for Endpoint {
    fn from(server: &Server) -> Self {
        Self {
            host: server.host.clone(),
            port: server.port,
            username: server.username.clone(),
            password: Password::new(&server.password),
            // Checked by the plan's validation; an unknown mode means the strictest.
            tls: match &server.sslmode {
                None => PgSslMode::Prefer,
                Some(mode) => mode.parse().unwrap_or(PgSslMode::VerifyFull),
            },
        }
    }
}
