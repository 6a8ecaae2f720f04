use std::collections::BTreeSet;

use crds::Access;

use super::{
    Valid,
    sql::{quote_identifier as id, quote_literal as literal},
};
use crate::Invalid;

/// A role as it is on the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoleFacts {
    /// Its comment.
    pub comment: Option<String>,
    /// Whether it may log in.
    pub can_login: bool,
}

/// The database as it is on the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatabaseFacts {
    /// The role that owns it.
    pub owner: String,
    /// Whether everybody may connect.
    pub public_may_connect: bool,
}

/// What is inside the binding's own database; needed only once that exists.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwnFacts {
    /// Installed extensions ([`super::sql::EXTENSIONS_QUERY`]).
    pub extensions: BTreeSet<String>,
    /// Schemas ([`super::sql::SCHEMAS_QUERY`]).
    pub schemas: BTreeSet<String>,
    /// For readers and writers: [`super::sql::LACKS_QUERY`].
    pub lacks: bool,
}

/// What was found on the server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// The login role, if it exists.
    pub login: Option<RoleFacts>,
    /// The owner role, if it exists.
    pub owner: Option<RoleFacts>,
    /// Members of the owner role.
    pub owner_members: BTreeSet<String>,
    /// The database, if it exists.
    pub database: Option<DatabaseFacts>,
    /// What is inside it, if it exists and could be looked into.
    pub own: Option<OwnFacts>,
    /// Whether the administrator is a superuser.
    pub admin_is_superuser: bool,
    /// Whether the login role with the Secret's password gets into the database.
    pub login_works: bool,
}

/// Where a step runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// The maintenance database `postgres`, as administrator.
    Maintenance,
    /// The binding's own database, as administrator.
    Own,
}

/// Statements that belong together.
#[derive(Clone, PartialEq, Eq)]
pub struct Step {
    /// What it is for; safe to log.
    pub purpose: &'static str,
    /// Where it runs.
    pub target: Target,
    /// Whether all statements run in one transaction (`CREATE DATABASE` and `DROP DATABASE` cannot).
    pub atomic: bool,
    /// The statements. They may hold a password: never log them.
    pub statements: Vec<String>,
}

impl std::fmt::Debug for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "Step({}, {:?}, {} statements)",
            self.purpose,
            self.target,
            self.statements.len()
        )
    }
}

impl Step {
    pub(super) fn atomic(purpose: &'static str, target: Target, statements: Vec<String>) -> Self {
        Self {
            purpose,
            target,
            atomic: true,
            statements,
        }
    }

    pub(super) fn single(purpose: &'static str, target: Target, statement: String) -> Self {
        Self {
            purpose,
            target,
            atomic: false,
            statements: vec![statement],
        }
    }
}

/// What is still to be done on the server, in order; nothing when all is as it should be. Steps of
/// [`Target::Own`] are complete only when `found.own` was there: look again after a run that was not empty.
///
/// # Errors
/// When something of this name is there and is not this binding's: it is left alone.
pub fn provision(valid: &Valid, found: &Found, password: &str) -> Result<Vec<Step>, Invalid> {
    refuse_strangers(valid, found)?;
    let mut steps = Vec::new();
    if valid.binding.spec.access == Access::Owner {
        owner_role(valid, found, &mut steps);
        login_role(valid, found, password, &mut steps);
        database(valid, found, &mut steps);
        extensions(valid, found, &mut steps);
    } else {
        login_role(valid, found, password, &mut steps);
        grants(valid, found, &mut steps);
    }
    Ok(steps)
}

fn refuse_strangers(valid: &Valid, found: &Found) -> Result<(), Invalid> {
    let names = &valid.names;
    for (name, role) in [(&names.login, &found.login), (&names.owner, &found.owner)] {
        let stranger = role
            .as_ref()
            .filter(|role| !names.is_ours(role.comment.as_deref()));
        if stranger.is_some() {
            return Err(Invalid::new(
                "RoleConflict",
                format!(
                    "the role {name} exists on the server and is not this binding's; rename or drop it, or give the DatabaseBinding another name"
                ),
            ));
        }
    }
    match (&found.database, valid.binding.spec.access) {
        (Some(database), Access::Owner) if database.owner != names.owner => Err(Invalid::new(
            "DatabaseConflict",
            format!(
                "spec.database: {} exists on the server and belongs to the role {}; make a DatabaseBinding with another spec.database",
                names.database, database.owner
            ),
        )),
        _ => Ok(()),
    }
}

fn mark(valid: &Valid, role: &str) -> String {
    format!(
        "comment on role {} is {}",
        id(role),
        literal(&valid.names.mark_in_use())
    )
}

fn owner_role(valid: &Valid, found: &Found, steps: &mut Vec<Step>) {
    let names = &valid.names;
    let owner = id(&names.owner);
    match &found.owner {
        // Role and mark are born together: a role without a mark could never be told from a stranger's.
        None => steps.push(Step::atomic(
            "create the owner role",
            Target::Maintenance,
            vec![
                format!("create role {owner} nologin nosuperuser nocreatedb nocreaterole"),
                mark(valid, &names.owner),
            ],
        )),
        Some(role) if role.comment.as_deref() != Some(names.mark_in_use().as_str()) => {
            let statements = vec![mark(valid, &names.owner)];
            steps.push(Step::atomic(
                "take back the owner role",
                Target::Maintenance,
                statements,
            ));
        }
        Some(_) => {}
    }
    let admin = &valid.server.username;
    if !found.admin_is_superuser && !found.owner_members.contains(admin) {
        // Only a member may make a database for a role.
        let statement = format!("grant {owner} to {}", id(admin));
        steps.push(Step::single(
            "let the administrator act for the owner role",
            Target::Maintenance,
            statement,
        ));
    }
}

fn login_role(valid: &Valid, found: &Found, password: &str, steps: &mut Vec<Step>) {
    let names = &valid.names;
    let login = id(&names.login);
    let owns = valid.binding.spec.access == Access::Owner;
    let settings = format!(
        "login nosuperuser nocreatedb nocreaterole connection limit -1 password {}",
        literal(password)
    );
    let mut statements = Vec::new();
    let purpose = match &found.login {
        None => {
            statements.push(format!("create role {login} {settings}"));
            "create the login role"
        }
        Some(role) if !role.can_login || !found.login_works => {
            statements.push(format!("alter role {login} {settings}"));
            "set the login role's password"
        }
        Some(_) => "mend the login role",
    };
    let comment = found
        .login
        .as_ref()
        .and_then(|role| role.comment.as_deref());
    if comment != Some(names.mark_in_use().as_str()) {
        statements.push(mark(valid, &names.login));
    }
    if owns && !found.owner_members.contains(&names.login) {
        statements.push(format!("grant {} to {login}", id(&names.owner)));
    }
    if owns && !statements.is_empty() {
        // What the login role makes belongs to the owner role, so that another login role can take over.
        statements.push(format!(
            "alter role {login} set role = {}",
            literal(&names.owner)
        ));
    }
    if !statements.is_empty() {
        steps.push(Step::atomic(purpose, Target::Maintenance, statements));
    }
}

fn database(valid: &Valid, found: &Found, steps: &mut Vec<Step>) {
    let names = &valid.names;
    let database = id(&names.database);
    if found.database.is_none() {
        let statement = format!("create database {database} owner {}", id(&names.owner));
        steps.push(Step::single(
            "create the database",
            Target::Maintenance,
            statement,
        ));
    }
    if found
        .database
        .as_ref()
        .is_none_or(|facts| facts.public_may_connect)
    {
        let statement = format!("revoke connect, temporary on database {database} from public");
        steps.push(Step::single(
            "close the database to other roles",
            Target::Maintenance,
            statement,
        ));
    }
}

fn extensions(valid: &Valid, found: &Found, steps: &mut Vec<Step>) {
    let installed = found.own.as_ref().map(|own| &own.extensions);
    let missing: Vec<String> = valid
        .binding
        .spec
        .extensions
        .iter()
        .filter(|e| installed.is_none_or(|list| !list.contains(e.as_str())))
        .map(|e| format!("create extension if not exists {}", id(e.as_str())))
        .collect();
    if !missing.is_empty() {
        steps.push(Step::atomic("install extensions", Target::Own, missing));
    }
}

/// Table privileges of an access, as [`super::sql::LACKS_QUERY`] and `GRANT` spell them.
pub(super) fn privileges(access: Access) -> &'static str {
    match access {
        Access::Owner => "",
        Access::ReadWrite => "SELECT,INSERT,UPDATE,DELETE",
        Access::ReadOnly => "SELECT",
    }
}

impl Valid {
    /// Table privileges that a reader or writer has, as [`super::sql::LACKS_QUERY`] wants them for `$2`.
    pub fn privileges(&self) -> &'static str {
        privileges(self.binding.spec.access)
    }
}

fn grants(valid: &Valid, found: &Found, steps: &mut Vec<Step>) {
    let names = &valid.names;
    let login = id(&names.login);
    // The database is another binding's; until that has made it, there is nothing to open.
    let Some(database) = &found.database else {
        return;
    };
    if !found.login_works {
        let statement = format!(
            "grant connect on database {} to {login}",
            id(&names.database)
        );
        steps.push(Step::single(
            "let the login role in",
            Target::Maintenance,
            statement,
        ));
    }
    let Some(own) = found.own.as_ref().filter(|own| own.lacks) else {
        return;
    };
    let list = valid.privileges();
    let sequences = if valid.binding.spec.access == Access::ReadWrite {
        "usage, select"
    } else {
        "select"
    };
    let mut statements = Vec::new();
    for schema in &own.schemas {
        let schema = id(schema);
        statements.push(format!("grant usage on schema {schema} to {login}"));
        statements.push(format!(
            "grant {list} on all tables in schema {schema} to {login}"
        ));
        statements.push(format!(
            "grant {sequences} on all sequences in schema {schema} to {login}"
        ));
    }
    let future = format!(
        "alter default privileges for role {} grant",
        id(&database.owner)
    );
    statements.push(format!("{future} usage on schemas to {login}"));
    statements.push(format!("{future} {list} on tables to {login}"));
    statements.push(format!("{future} {sequences} on sequences to {login}"));
    steps.push(Step::atomic("grant the access", Target::Own, statements));
}
