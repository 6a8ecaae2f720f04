//! What errors of a database mean: which say nothing about the statement, and what users are told.

use sqlx::postgres::PgDatabaseError;

/// Classes of SQLSTATE: connection, login, conflict and rollback, resources, operator's intervention, the server's system.
const CLASSES: [&str; 6] = ["08", "28", "40", "53", "57", "58"];

/// Codes of other classes: read-only, no such database, permission taken, no such schema or table (they are made by migrations, and
/// statements are checked against them), a lock that was not had in time.
const CODES: [&str; 6] = ["25006", "3D000", "42501", "3F000", "42P01", "55P03"];

/// Whether the same statement may succeed once the database is usable again: it is away, restarts, is being replaced, refuses this
/// login for now, has no connection left, or has no room for this transaction.
pub fn is_unavailable(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Database(error) => error.code().is_some_and(|code| {
            let is_of = |class: &&str| code.starts_with(class);
            CLASSES.iter().any(is_of) || CODES.contains(&code.as_ref())
        }),
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => true,
        _ => false,
    }
}

/// What a person is told of an error: of the server's own answers the message, the code and the hint. sqlx adds the line of the
/// server's source code.
pub fn told(error: &sqlx::Error) -> String {
    let Some(answer) = error.as_database_error() else {
        return error.to_string();
    };
    let code = answer.code().unwrap_or_default();
    let hint = answer
        .try_downcast_ref::<PgDatabaseError>()
        .and_then(PgDatabaseError::hint);
    let hint = hint.map(|hint| format!("; {hint}")).unwrap_or_default();
    format!("{} (SQLSTATE {code}){hint}", answer.message())
}
