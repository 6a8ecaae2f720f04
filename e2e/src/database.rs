//! The shop's PostgreSQL, queried as its administrator, for what no API shows.

use crate::Kubectl;

/// The embedded server of one Storefront.
#[derive(Debug)]
pub struct Server<'a> {
    kubectl: &'a Kubectl,
    namespace: &'a str,
    storefront: &'a str,
}

impl<'a> Server<'a> {
    pub fn of(kubectl: &'a Kubectl, namespace: &'a str, storefront: &'a str) -> Self {
        Self {
            kubectl,
            namespace,
            storefront,
        }
    }

    /// The result of a statement in a database: columns with `|` between them, a line a row.
    pub fn query(&self, database: &str, sql: &str) -> anyhow::Result<String> {
        let secret = format!("{}-postgres-admin", self.storefront);
        let username = self.kubectl.secret(self.namespace, &secret, "username")?;
        let password = self.kubectl.secret(self.namespace, &secret, "password")?;
        let login = format!("host=127.0.0.1 user={username} password={password} dbname={database}");
        let pod = format!("{}-postgres-0", self.storefront);
        let exec = ["-n", self.namespace, "exec", &pod, "--"];
        let psql = ["psql", &login, "-v", "ON_ERROR_STOP=1", "-Atc", sql];
        let answer = self.kubectl.run(&[&exec[..], &psql[..]].concat());
        // kubectl repeats its arguments in an error.
        let answer = answer
            .map_err(|error| anyhow::anyhow!(format!("{error:#}").replace(&password, "***")))?;
        Ok(answer.trim().to_owned())
    }

    /// The same in the database of one of its services.
    pub fn query_service(&self, service: &str, sql: &str) -> anyhow::Result<String> {
        let binding = format!("{}-{service}", self.storefront);
        let credential = |key| self.kubectl.credential(self.namespace, &binding, key);
        let database = credential("database")?;
        self.query(&database, sql)
    }
}
