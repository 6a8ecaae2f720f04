//! What is removed with a binding. Touches only what carries the mark of exactly this binding;
//! each list can be cut off anywhere and made again from what is then seen.

use crds::{Access, DeletionPolicy};

use super::audit::{Role, Seen};
use super::names::Wanted;
use super::statement::{Place, Statement, name, text};

/// What is left to do before the object may go. Empty: nothing of ours is left that should not be.
pub fn retire(wanted: &Wanted, seen: &Seen, policy: DeletionPolicy) -> Vec<Statement> {
    let owns = wanted.access == Access::Owner;
    let drops = owns && policy != DeletionPolicy::Retain && owns_database(wanted, seen);
    let mut statements = Vec::new();
    if owns && policy == DeletionPolicy::Retain {
        statements.extend(leave_for_later(wanted, seen));
    }
    let logins: Vec<_> = wanted
        .logins()
        .into_iter()
        .filter_map(|login| Some((login, ours(wanted, seen, login)?)))
        .collect();
    for (login, role) in &logins {
        statements.extend(shut_out(login, seen, role));
    }
    if drops {
        statements.push(Statement::administer(
            "drop the database",
            format!(
                "drop database if exists {} with (force)",
                name(&wanted.names.database)
            ),
        ));
    }
    for (login, role) in &logins {
        statements.extend(drop_role(wanted, login, role, drops));
    }
    // The groups go last: until then the owner group vouches for a database without a mark.
    if owns && policy != DeletionPolicy::Retain && (drops || seen.database.is_none()) {
        for group in [
            &wanted.names.writer,
            &wanted.names.reader,
            &wanted.names.owner,
        ] {
            if let Some(role) = ours(wanted, seen, group) {
                statements.extend(drop_role(wanted, group, role, drops));
            }
        }
    }
    statements
}

/// Whether the database may be dropped: our marked group owns it, whatever its owner has made of its comment,
/// or it carries our mark.
pub fn owns_database(wanted: &Wanted, seen: &Seen) -> bool {
    let owner = &wanted.names.owner;
    let is_ours = ours(wanted, seen, owner).is_some();
    seen.database.as_ref().is_some_and(|database| {
        (database.owner == *owner && is_ours) || wanted.made(database.mark().as_ref())
    })
}

/// Shuts the login role that is not in use: no log-in, no password, no session. Empty when it is shut.
/// The password goes too, so that the next rotation never lets the old one in again on its way.
pub fn shut_spare(wanted: &Wanted, seen: &Seen) -> Vec<Statement> {
    let spare = wanted.names.spare.as_str();
    let Some(role) = ours(wanted, seen, spare) else {
        return Vec::new();
    };
    let mut statements = Vec::new();
    if role.login || role.verifier.is_some() {
        let mut lines = vec![format!("alter role {} nologin password null", name(spare))];
        lines.extend(join(spare, seen));
        statements.push(Statement::administer(
            "close the old login role",
            lines.join("; "),
        ));
    }
    if role.login || role.sessions > 0 {
        statements.push(end_sessions(spare));
    }
    statements
}

/// Shuts both login roles of a binding that may not open its database, or not any more. Empty when they
/// are shut. They are opened again with the password of the Secret.
pub fn revoke(wanted: &Wanted, seen: &Seen) -> Vec<Statement> {
    let mut statements = Vec::new();
    for login in wanted.logins() {
        let open = ours(wanted, seen, login).filter(|role| role.login || role.sessions > 0);
        if let Some(role) = open {
            statements.extend(shut_out(login, seen, role));
        }
    }
    statements
}

/// Drops login roles of earlier objects of this name, which could not clean up behind themselves
/// (their finalizer was torn off, or their server was away for too long). Only on a shop's own
/// server: elsewhere an object of the same name may live in another cluster.
pub fn predecessors(wanted: &Wanted, seen: &Seen) -> Vec<Statement> {
    let mut statements = Vec::new();
    for (name, role) in &seen.roles {
        let known = [wanted.groups().as_slice(), &wanted.logins()]
            .concat()
            .contains(&name.as_str());
        let kin = role
            .mark()
            .is_some_and(|mark| mark.same_object(&wanted.mark));
        if wanted.own_server && kin && !known && is_login_name(wanted, name) {
            statements.extend(shut_out(name, seen, role));
            statements.extend(drop_role(wanted, name, role, false));
        }
    }
    statements
}

/// Whether a role is called like the login roles of this binding's name, whatever their uid.
fn is_login_name(wanted: &Wanted, name: &str) -> bool {
    let stem = |name: &str| name.rsplit_once('_').map(|(stem, _)| stem.to_owned());
    stem(name).is_some_and(|found| Some(found) == stem(&wanted.names.login))
}

fn ours<'a>(wanted: &Wanted, seen: &'a Seen, role: &str) -> Option<&'a Role> {
    seen.roles
        .get(role)
        .filter(|role| wanted.made(role.mark().as_ref()))
}

/// Marks groups and database as left for a binding of the same namespace and name.
fn leave_for_later(wanted: &Wanted, seen: &Seen) -> Option<Statement> {
    let mark = wanted.mark.retained().to_string();
    let mut lines = Vec::new();
    for group in wanted.groups() {
        if ours(wanted, seen, group).is_some_and(|role| role.comment.as_ref() != Some(&mark)) {
            lines.push(format!(
                "comment on role {} is {}",
                name(group),
                text(&mark)
            ));
        }
    }
    let marked = seen
        .database
        .as_ref()
        .and_then(|database| database.comment.as_ref());
    if owns_database(wanted, seen) && marked != Some(&mark) {
        lines.push(format!(
            "comment on database {} is {}",
            name(&wanted.names.database),
            text(&mark)
        ));
    }
    (!lines.is_empty())
        .then(|| Statement::administer("mark the database as retained", lines.join("; ")))
}

/// Ends the login role's sessions and lets no new one begin.
fn shut_out(login: &str, seen: &Seen, role: &Role) -> Vec<Statement> {
    let mut lines = Vec::new();
    if role.login {
        lines.push(format!("alter role {} nologin", name(login)));
    }
    lines.extend(join(login, seen));
    let mut statements = Vec::new();
    if !lines.is_empty() {
        statements.push(Statement::administer(
            "close the login role",
            lines.join("; "),
        ));
    }
    statements.push(end_sessions(login));
    statements
}

/// Lets an administrator who is no superuser end a role's sessions and hand over what it owns; being
/// its administrator is not enough on every version.
fn join(login: &str, seen: &Seen) -> Option<String> {
    (!seen.facts.superuser).then(|| format!("grant {} to current_user", name(login)))
}

fn end_sessions(login: &str) -> Statement {
    Statement {
        purpose: "end the login role's sessions",
        place: Place::Administration,
        reads: false,
        text: format!(
            "select pg_terminate_backend(pid, 2000)::text from pg_stat_activity where usename = {}",
            text(login)
        ),
    }
}

/// Drops a role. What it owns stays, with its group or the administrator: nobody's data goes with
/// a role, only with a database whose policy says so.
fn drop_role(wanted: &Wanted, role_name: &str, role: &Role, dropped: bool) -> Vec<Statement> {
    let mut statements = Vec::new();
    for database in &role.used_in {
        if dropped && *database == wanted.names.database {
            continue;
        }
        let is_group = wanted.groups().contains(&role_name);
        let heir = if *database == wanted.names.database && !is_group {
            name(&wanted.names.owner)
        } else {
            "current_user".to_owned()
        };
        let role = name(role_name);
        statements.push(Statement::inside(
            "hand over what the role owns",
            database,
            format!("reassign owned by {role} to {heir}; drop owned by {role}"),
        ));
    }
    statements.push(Statement::administer(
        "drop a role",
        format!("drop role if exists {}", name(role_name)),
    ));
    statements
}
