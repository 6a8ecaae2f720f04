//! SQL statements as data. Everything that is not a constant goes through [`name`] or [`text`].

/// Where a statement runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// The database that every server has, for roles and databases.
    Administration,
    /// A database of ours, for what is inside it.
    Database(String),
}

impl Place {
    /// The administrative database's name.
    pub const ADMINISTRATION: &str = "postgres";
}

/// One statement, or several that succeed or fail as one transaction.
#[derive(Clone, PartialEq, Eq)]
pub struct Statement {
    /// What it is for: an infinitive for messages, events and metrics. Never holds a name or a value.
    pub purpose: &'static str,
    /// Where it runs.
    pub place: Place,
    /// Whether it only reads.
    pub reads: bool,
    /// The SQL. May hold a password verifier: not for logs.
    pub text: String,
}

impl std::fmt::Debug for Statement {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{:?}: {}", self.place, self.purpose)
    }
}

impl Statement {
    /// A statement that only reads.
    pub(super) fn look(purpose: &'static str, place: Place, text: String) -> Self {
        Self {
            purpose,
            place,
            reads: true,
            text,
        }
    }

    /// A statement that changes roles or databases.
    pub(super) fn administer(purpose: &'static str, text: String) -> Self {
        Self {
            purpose,
            place: Place::Administration,
            reads: false,
            text,
        }
    }

    /// A statement that changes what is inside a database.
    pub(super) fn inside(purpose: &'static str, database: &str, text: String) -> Self {
        Self {
            purpose,
            place: Place::Database(database.to_owned()),
            reads: false,
            text,
        }
    }

    /// Takes the lock that keeps two operators from one server, until the session ends.
    pub fn lock(key: i64) -> Self {
        Self::look(
            "lock",
            Place::Administration,
            format!("select pg_advisory_lock({key})::text"),
        )
    }
}

/// A quoted identifier.
pub(super) fn name(identifier: &str) -> String {
    format!("\"{}\"", identifier.replace('"', "\"\""))
}

/// A quoted literal that means the same whatever `standard_conforming_strings` says.
pub(super) fn text(value: &str) -> String {
    let doubled = value.replace('\'', "''");
    if doubled.contains('\\') {
        format!("E'{}'", doubled.replace('\\', "\\\\"))
    } else {
        format!("'{doubled}'")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_cannot_be_escaped_from() {
        assert_eq!(name(r#"a"; drop role b"#), r#""a""; drop role b""#);
        assert_eq!(text("it's"), "'it''s'");
        assert_eq!(text(r"\' or 1"), r"E'\\'' or 1'");
    }

    #[test]
    fn a_statement_does_not_show_its_text() {
        let secret = Statement::administer("create the login role", "SCRAM-SHA-256$x".into());
        assert!(!format!("{secret:?}").contains("SCRAM"));
    }
}
