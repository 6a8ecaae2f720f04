//! Accounts: `auth.accounts`.

use chrono::{DateTime, Utc};
use service::{StoreError, failed};
use sqlx::PgConnection;
use vocabulary::UserId;

use super::domain::account::Principal;

/// An account to be stored.
pub struct NewAccount<'a> {
    pub id: UserId,
    /// Name as written, and its unique key.
    pub username: (&'a str, String),
    /// Address as written, and its unique key.
    pub email: (&'a str, String),
    /// Argon2id hash, as a PHC string.
    pub password_hash: &'a str,
    /// Names of its roles.
    pub roles: &'a [String],
    /// True for the first administrator, which comes from a Secret.
    pub from_secret: bool,
    pub created_at: DateTime<Utc>,
}

/// A unique key that another account has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    Username,
    Email,
}

/// An account that was not stored.
#[derive(Debug, thiserror::Error)]
pub enum InsertError {
    /// Another account has its name or address.
    #[error("{0:?} is taken")]
    Taken(Taken),
    /// The statement failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// An account as other services see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    pub id: UserId,
    pub username: String,
    pub email: String,
    /// Names of its roles.
    pub roles: Vec<String>,
    pub created_at: DateTime<Utc>,
}

/// The facts that a login is checked against.
#[derive(Clone)]
pub struct Credentials {
    /// Account and roles.
    pub principal: Principal,
    /// Argon2id hash, as a PHC string.
    pub password_hash: String,
}

/// The unique key that a violated constraint stands for. Names of constraints are part of the schema's
/// contract.
fn taken(error: &sqlx::Error) -> Option<Taken> {
    match error.as_database_error()?.constraint()? {
        "accounts_email_key" => Some(Taken::Email),
        "accounts_username_key" => Some(Taken::Username),
        _ => None,
    }
}

/// Stores an account.
pub async fn insert(conn: &mut PgConnection, new: &NewAccount<'_>) -> Result<(), InsertError> {
    let result = sqlx::query!(
        "insert into auth.accounts (account_id, username, username_key, email, email_key,
             password_hash, roles, from_secret, created_at, password_changed_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9)",
        new.id.as_uuid(),
        new.username.0,
        new.username.1,
        new.email.0,
        new.email.1,
        new.password_hash,
        new.roles,
        new.from_secret,
        new.created_at,
    )
    .execute(conn)
    .await;
    match result {
        Ok(_) => Ok(()),
        Err(error) => Err(match taken(&error) {
            Some(taken) => InsertError::Taken(taken),
            None => failed("insert account")(error).into(),
        }),
    }
}

/// Finds out whether a name or an address is taken, before a password is hashed in vain.
pub async fn find_taken(
    conn: &mut PgConnection,
    email_key: &str,
    username_key: &str,
) -> Result<Vec<Taken>, StoreError> {
    let rows = sqlx::query!(
        r#"select email_key = $1 as "email!", username_key = $2 as "username!"
           from auth.accounts where email_key = $1 or username_key = $2"#,
        email_key,
        username_key,
    )
    .fetch_all(conn)
    .await
    .map_err(failed("find taken"))?;
    let email = rows.iter().any(|row| row.email).then_some(Taken::Email);
    let username = rows
        .iter()
        .any(|row| row.username)
        .then_some(Taken::Username);
    Ok(email.into_iter().chain(username).collect())
}

/// The credentials of an address.
pub async fn find_credentials(
    conn: &mut PgConnection,
    email_key: &str,
) -> Result<Option<Credentials>, StoreError> {
    let row = sqlx::query!(
        "select account_id, password_hash, roles from auth.accounts where email_key = $1",
        email_key,
    )
    .fetch_optional(conn)
    .await
    .map_err(failed("find credentials"))?;
    Ok(row.map(|row| Credentials {
        principal: Principal {
            user_id: UserId::from_uuid(row.account_id),
            roles: row.roles,
        },
        password_hash: row.password_hash,
    }))
}

/// An account by its id.
pub async fn find(conn: &mut PgConnection, id: UserId) -> Result<Option<Account>, StoreError> {
    let row = sqlx::query!(
        "select account_id, username, email, roles, created_at
         from auth.accounts where account_id = $1",
        id.as_uuid(),
    )
    .fetch_optional(conn)
    .await
    .map_err(failed("find account"))?;
    Ok(row.map(|row| Account {
        id: UserId::from_uuid(row.account_id),
        username: row.username,
        email: row.email,
        roles: row.roles,
        created_at: row.created_at,
    }))
}

/// Replaces a hash made with old parameters by one of the same password; only if it has not
/// changed meanwhile.
pub async fn upgrade_hash(
    conn: &mut PgConnection,
    id: UserId,
    from: &str,
    to: &str,
) -> Result<(), StoreError> {
    sqlx::query!(
        "update auth.accounts set password_hash = $3 where account_id = $1 and password_hash = $2",
        id.as_uuid(),
        from,
        to,
    )
    .execute(conn)
    .await
    .map_err(failed("upgrade hash"))?;
    Ok(())
}

/// The stored account of the first administrator.
pub struct StoredAdmin {
    pub id: UserId,
    pub username: String,
    pub email: String,
    /// Argon2id hash, as a PHC string.
    pub password_hash: String,
    /// Names of its roles.
    pub roles: Vec<String>,
    /// False if the address was registered by a person, and is about to be taken over.
    pub from_secret: bool,
}

/// Serialises replicas that start together, until the end of the transaction.
pub async fn lock_admin(conn: &mut PgConnection) -> Result<(), StoreError> {
    sqlx::query!("select pg_advisory_xact_lock(hashtext('auth.first_administrator'))")
        .execute(conn)
        .await
        .map_err(failed("lock admin"))?;
    Ok(())
}

/// The account that came from the Secret before, else the one with its address.
pub async fn find_admin(
    conn: &mut PgConnection,
    email_key: &str,
) -> Result<Option<StoredAdmin>, StoreError> {
    let row = sqlx::query!(
        "select account_id, username, email, password_hash, roles, from_secret from auth.accounts
         where from_secret or email_key = $1
         order by from_secret desc limit 1",
        email_key,
    )
    .fetch_optional(conn)
    .await
    .map_err(failed("find admin"))?;
    Ok(row.map(|row| StoredAdmin {
        id: UserId::from_uuid(row.account_id),
        username: row.username,
        email: row.email,
        password_hash: row.password_hash,
        roles: row.roles,
        from_secret: row.from_secret,
    }))
}

/// Updates a stored account to the administrator of the Secret.
pub async fn update_admin(
    conn: &mut PgConnection,
    admin: &NewAccount<'_>,
) -> Result<(), InsertError> {
    let result = sqlx::query!(
        "update auth.accounts
         set username = $2, username_key = $3, email = $4, email_key = $5, roles = $7,
             from_secret = true, password_hash = $6,
             password_changed_at = case when password_hash = $6 then password_changed_at else $8 end
         where account_id = $1",
        admin.id.as_uuid(),
        admin.username.0,
        admin.username.1,
        admin.email.0,
        admin.email.1,
        admin.password_hash,
        admin.roles,
        admin.created_at,
    )
    .execute(conn)
    .await;
    match result {
        Ok(_) => Ok(()),
        Err(error) => Err(match taken(&error) {
            Some(taken) => InsertError::Taken(taken),
            None => failed("update admin")(error).into(),
        }),
    }
}
