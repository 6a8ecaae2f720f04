//! One turn at a server: asks, runs what is missing, and remembers what it changed.

use operator_plan::database_binding::{
    Facts, Inside, Seen, Statement, Unreadable, Wanted, ask_database, ask_facts, ask_inside,
    ask_roles, read_database, read_facts, read_inside, read_roles,
};
use prometheus::IntCounterVec;

use super::error::ServerError;
use super::server::{Endpoint, Rows, Servers, Session};

/// An open session with its book-keeping.
pub struct Desk {
    session: Box<dyn Session>,
    statements: IntCounterVec,
    server: String,
    facts: Facts,
    changed: Vec<&'static str>,
}

impl Desk {
    /// Waits for the turn and sits down. Refuses a standby: what is decided there may be stale.
    pub async fn open(
        servers: &dyn Servers,
        endpoint: &Endpoint,
        statements: &IntCounterVec,
    ) -> Result<Self, ServerError> {
        let mut desk = Self {
            session: servers.open(endpoint).await?,
            statements: statements.clone(),
            server: endpoint.address(),
            facts: Facts::default(),
            changed: Vec::new(),
        };
        desk.facts = read_facts(&desk.ask(&ask_facts()).await?)?;
        if desk.facts.standby {
            return Err(ServerError::Unreachable {
                server: desk.server,
                why: "it is a standby and takes no writes".into(),
            });
        }
        Ok(desk)
    }

    /// Looks at roles and database from outside.
    pub async fn look(&mut self, wanted: &Wanted) -> Result<Seen, ServerError> {
        let roles = read_roles(&self.ask(&ask_roles(wanted, &self.facts)).await?)?;
        let database = read_database(&self.ask(&ask_database(wanted)).await?)?;
        Ok(Seen {
            facts: self.facts.clone(),
            roles,
            database,
        })
    }

    /// Looks at the database from inside.
    pub async fn look_inside(&mut self, wanted: &Wanted) -> Result<Inside, ServerError> {
        Ok(read_inside(&self.ask(&ask_inside(wanted)).await?)?)
    }

    /// Runs statements in order; the first failure stops.
    pub async fn run(&mut self, statements: &[Statement]) -> Result<(), ServerError> {
        for statement in statements {
            self.ask(statement).await?;
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

    /// Leaves the server to the next binding.
    pub async fn leave(self) {
        self.session.end().await;
    }

    async fn ask(&mut self, statement: &Statement) -> Result<Rows, ServerError> {
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
