//! One administrative session on a server: reads, runs what is missing, and remembers what it changed.

use operator_plan::database_binding::{
    Facts, Inside, Seen, Statement, Unreadable, Wanted, ask_database, ask_facts, ask_inside,
    ask_roles, read_database, read_facts, read_inside, read_roles,
};
use prometheus::IntCounterVec;

use super::endpoint::Endpoint;
use super::error::ServerError;
use super::server::{Rows, Servers, Session};

/// An open session, what it is open on, and what it has changed.
pub struct AdminSession {
    session: Box<dyn Session>,
    statements: IntCounterVec,
    server: String,
    facts: Facts,
    /// Something was changed since the facts were read.
    is_stale: bool,
    changed: Vec<&'static str>,
}

impl AdminSession {
    /// Waits for its turn and connects. Refuses a standby: what is decided there may be stale.
    pub async fn open(
        servers: &dyn Servers,
        endpoint: &Endpoint,
        statements: &IntCounterVec,
    ) -> Result<Self, ServerError> {
        let mut open = Self {
            session: servers.open(endpoint).await?,
            statements: statements.clone(),
            server: endpoint.address(),
            facts: Facts::default(),
            is_stale: false,
            changed: Vec::new(),
        };
        open.facts = read_facts(&open.query(&ask_facts()).await?)?;
        if open.facts.standby {
            return Err(ServerError::Unreachable {
                server: open.server,
                why: "it is a standby and takes no writes".into(),
            });
        }
        Ok(open)
    }

    /// Reads roles and database, from the administrative database.
    pub async fn read(&mut self, wanted: &Wanted) -> Result<Seen, ServerError> {
        if self.is_stale {
            self.facts = read_facts(&self.query(&ask_facts()).await?)?;
            self.is_stale = false;
        }
        let roles = read_roles(&self.query(&ask_roles(wanted, &self.facts)).await?)?;
        let database = read_database(&self.query(&ask_database(wanted)).await?)?;
        Ok(Seen {
            facts: self.facts.clone(),
            roles,
            database,
        })
    }

    /// Reads the database from inside.
    pub async fn read_inside(&mut self, wanted: &Wanted) -> Result<Inside, ServerError> {
        Ok(read_inside(&self.query(&ask_inside(wanted)).await?)?)
    }

    /// Runs statements in order; the first failure stops.
    pub async fn run(&mut self, statements: &[Statement]) -> Result<(), ServerError> {
        for statement in statements {
            self.is_stale = true;
            self.query(statement).await?;
            if !self.changed.contains(&statement.purpose) {
                self.changed.push(statement.purpose);
            }
        }
        Ok(())
    }

    /// What was changed so far, by purpose, each once.
    pub fn changed(&self) -> &[&'static str] {
        &self.changed
    }

    /// Closes the session: the next binding has its turn.
    pub async fn close(self) {
        self.session.end().await;
    }

    async fn query(&mut self, statement: &Statement) -> Result<Rows, ServerError> {
        self.statements
            .with_label_values(&[statement.purpose])
            .inc();
        self.session.run(statement).await
    }
}

impl From<Unreadable> for ServerError {
    fn from(Unreadable(purpose): Unreadable) -> Self {
        Self::Answer { purpose }
    }
}
