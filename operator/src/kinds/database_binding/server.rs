//! The interface to a PostgreSQL server: sessions that run one statement after the other.
//!
//! Everything that is done to a server goes through [`Session::run`], so that a test can stand in
//! between and count, break or cut off each statement. Limits: one session per server at a time, of
//! at most two connections (the administrative database and one other), both closed when it ends;
//! a time limit on the wait, on the connect and on every statement.
//!
//! ## Why one session per server
//! Bindings that share a database would otherwise race for the same roles, and a shop's server has
//! few connections to spare. A session is tens of milliseconds long. Servers do not wait for each
//! other: a server that could not be reached is not tried again for [`DOWN`], so that the bindings
//! of a dead server fail at once and leave the workers to the others.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use sqlx::postgres::{PgConnectOptions, PgRow};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection, Row};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::endpoint::Endpoint;
use super::error::ServerError;
use operator_plan::database_binding::{Place, Statement};

/// Longest wait for the turn on a server.
const TURN: Duration = Duration::from_secs(10);
/// Longest time for a connect, log-in included.
const CONNECT: Duration = Duration::from_secs(5);
/// Longest time for one statement, as the server sees it; the client waits [`MARGIN`] longer.
const STATEMENT: Duration = Duration::from_secs(30);
/// Longest wait for a lock that another session holds.
const LOCK: Duration = Duration::from_secs(5);
/// What the network may add to a statement's time.
const MARGIN: Duration = Duration::from_secs(5);
/// How long a server counts as down after a failed connect.
const DOWN: Duration = Duration::from_secs(5);
/// The lock that keeps two operators (an old one that is not quite dead) from one server.
const OPERATOR_LOCK: i64 = 0x5746_7265_6f74_5301;

/// Answers of a statement, as text.
pub type Rows = Vec<Vec<Option<String>>>;

/// A session on one server.
pub trait Session: Send {
    /// Runs one statement (or several, as one transaction) and returns its rows as text.
    fn run<'a>(&'a mut self, statement: &'a Statement) -> BoxFuture<'a, Result<Rows, ServerError>>;

    /// Closes the connections. A session that is only dropped ends too, when the server notices.
    fn end(self: Box<Self>) -> BoxFuture<'static, ()>;
}

/// Opens sessions.
pub trait Servers: Send + Sync {
    /// Waits for the turn on a server, connects, and takes the operators' lock.
    fn open<'a>(
        &'a self,
        endpoint: &'a Endpoint,
    ) -> BoxFuture<'a, Result<Box<dyn Session>, ServerError>>;

    /// Whether a role can log in to a database. Only for servers that do not show password hashes.
    fn can_log_in<'a>(
        &'a self,
        endpoint: &'a Endpoint,
        database: &'a str,
    ) -> BoxFuture<'a, Result<bool, ServerError>>;
}

/// What is known of one server.
struct Gate {
    turn: Arc<Semaphore>,
    down_since: Mutex<Option<(Instant, String)>>,
}

/// The real servers.
#[derive(Default)]
pub struct PgServers {
    gates: Mutex<HashMap<(String, u16), Arc<Gate>>>,
}

impl PgServers {
    fn gate(&self, endpoint: &Endpoint) -> Arc<Gate> {
        let mut gates = self.gates.lock().unwrap_or_else(PoisonError::into_inner);
        // Servers come and go: forget those that nobody talks to and that are not known to be down.
        gates.retain(|_, gate| Arc::strong_count(gate) > 1 || gate.down().is_some());
        let gate = gates.entry(endpoint.key()).or_insert_with(|| {
            Arc::new(Gate {
                turn: Arc::new(Semaphore::new(1)),
                down_since: Mutex::new(None),
            })
        });
        Arc::clone(gate)
    }
}

impl Gate {
    fn down(&self) -> Option<String> {
        let since = self
            .down_since
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        since
            .as_ref()
            .filter(|(at, _)| at.elapsed() < DOWN)
            .map(|(_, why)| why.clone())
    }

    fn record(&self, outcome: Result<(), &ServerError>) {
        let mut since = self
            .down_since
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *since = match outcome {
            Err(ServerError::Unreachable { why, .. }) => Some((Instant::now(), why.clone())),
            Ok(()) | Err(_) => None,
        };
    }
}

impl Servers for PgServers {
    fn open<'a>(
        &'a self,
        endpoint: &'a Endpoint,
    ) -> BoxFuture<'a, Result<Box<dyn Session>, ServerError>> {
        Box::pin(async move {
            let gate = self.gate(endpoint);
            let fail_fast = |gate: &Gate| match gate.down() {
                Some(why) => Err(ServerError::Unreachable {
                    server: endpoint.address(),
                    why,
                }),
                None => Ok(()),
            };
            fail_fast(&gate)?;
            let turn = timeout(TURN, Arc::clone(&gate.turn).acquire_owned())
                .await
                .map_err(|_| ServerError::Busy {
                    server: endpoint.address(),
                })?
                .map_err(|_| ServerError::Busy {
                    server: endpoint.address(),
                })?;
            // Those that queued behind the one that found the server dead need not find it again.
            fail_fast(&gate)?;
            let connected = connect(endpoint, Place::ADMINISTRATION).await;
            gate.record(connected.as_ref().map(drop));
            let mut session = PgSession {
                endpoint: endpoint.clone(),
                admin: connected?,
                other: None,
                _turn: turn,
            };
            match session.run(&Statement::lock(OPERATOR_LOCK)).await {
                Ok(_) => {}
                // lock_not_available: the other operator has not died yet.
                Err(ServerError::Refused { server, code, .. }) if code == "55P03" => {
                    return Err(ServerError::Busy { server });
                }
                Err(error) => return Err(error),
            }
            Ok(Box::new(session) as Box<dyn Session>)
        })
    }

    fn can_log_in<'a>(
        &'a self,
        endpoint: &'a Endpoint,
        database: &'a str,
    ) -> BoxFuture<'a, Result<bool, ServerError>> {
        Box::pin(async move {
            match connect(endpoint, database).await {
                Ok(connection) => {
                    close(connection).await;
                    Ok(true)
                }
                Err(ServerError::Denied { .. }) => Ok(false),
                Err(other) => Err(other),
            }
        })
    }
}

/// A session on a server, and the turn that it holds.
struct PgSession {
    endpoint: Endpoint,
    admin: PgConnection,
    other: Option<(String, PgConnection)>,
    _turn: OwnedSemaphorePermit,
}

impl PgSession {
    /// The connection a statement belongs to; at most one besides the administrative one.
    async fn connection(&mut self, place: &Place) -> Result<&mut PgConnection, ServerError> {
        let Place::Database(name) = place else {
            // A drop of the other database must not find our own session in it.
            if let Some((_, connection)) = self.other.take() {
                close(connection).await;
            }
            return Ok(&mut self.admin);
        };
        let open = match self.other.take() {
            Some((open, connection)) if open == *name => connection,
            stale => {
                if let Some((_, connection)) = stale {
                    close(connection).await;
                }
                connect(&self.endpoint, name).await?
            }
        };
        Ok(&mut self.other.insert((name.clone(), open)).1)
    }
}

impl Session for PgSession {
    fn run<'a>(&'a mut self, statement: &'a Statement) -> BoxFuture<'a, Result<Rows, ServerError>> {
        Box::pin(async move {
            let server = self.endpoint.address();
            let connection = self.connection(&statement.place).await?;
            // Text from plan::database_binding, which quotes every name and literal.
            let query = sqlx::raw_sql(AssertSqlSafe(statement.text.as_str()));
            let answer = timeout(STATEMENT + MARGIN, query.fetch_all(connection)).await;
            let rows = match answer {
                Err(_) => return Err(ServerError::silent(server, statement)),
                Ok(Err(source)) => return Err(ServerError::from_sql(server, statement, &source)),
                Ok(Ok(rows)) => rows,
            };
            rows.iter().map(|row| texts(row, statement)).collect()
        })
    }

    fn end(self: Box<Self>) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            let Self { admin, other, .. } = *self;
            if let Some((_, connection)) = other {
                close(connection).await;
            }
            close(admin).await;
        })
    }
}

fn texts(row: &PgRow, statement: &Statement) -> Result<Vec<Option<String>>, ServerError> {
    (0..row.len())
        .map(|column| row.try_get_unchecked::<Option<String>, _>(column))
        .collect::<Result<_, _>>()
        .map_err(|_| ServerError::Answer {
            purpose: statement.purpose,
        })
}

fn options(endpoint: &Endpoint, database: &str) -> PgConnectOptions {
    let millis = |limit: Duration| limit.as_millis().to_string();
    PgConnectOptions::new_without_pgpass()
        .host(&endpoint.host)
        .port(endpoint.port)
        .username(&endpoint.username)
        .password(endpoint.password.reveal())
        .database(database)
        .ssl_mode(endpoint.tls)
        .application_name("storefront-operator")
        .statement_cache_capacity(0)
        // A tenant may own functions in its schemas and settings of its database; neither may
        // change what an administrator's statement means.
        .options([
            ("search_path", "pg_catalog".to_owned()),
            ("default_transaction_read_only", "off".to_owned()),
            ("statement_timeout", millis(STATEMENT)),
            ("lock_timeout", millis(LOCK)),
            ("client_min_messages", "error".to_owned()),
        ])
        .disable_statement_logging()
}

async fn connect(endpoint: &Endpoint, database: &str) -> Result<PgConnection, ServerError> {
    let options = options(endpoint, database);
    let failed = match timeout(CONNECT, PgConnection::connect_with(&options)).await {
        Ok(Ok(connection)) => return Ok(connection),
        Ok(Err(source)) => ServerError::from_connect(endpoint, database, &source),
        Err(_) => ServerError::Unreachable {
            server: endpoint.address(),
            why: format!("no answer within {} s", CONNECT.as_secs()),
        },
    };
    let ServerError::Unreachable { server, why } = failed else {
        return Err(failed);
    };
    // Where DNS is away, the attempt ends at a time limit, as if the server did not answer.
    let why = chassis::unresolved(&endpoint.host).await.unwrap_or(why);
    Err(ServerError::Unreachable { server, why })
}

/// Closes a connection in good order, but does not wait long: the server notices a closed socket anyway.
async fn close(connection: PgConnection) {
    drop(timeout(Duration::from_secs(1), connection.close()).await);
}
