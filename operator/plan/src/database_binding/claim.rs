//! Whether what is on the server may be touched: decided by marks alone, before any change.

use crds::Access;

use super::audit::{Role, Seen};
use super::mark::{Hold, Mark};
use super::names::Wanted;

/// What a binding may do with what was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// Everything that exists is ours, or nobody's yet, or was left for us.
    Granted,
    /// The database belongs to the binding of this mark, which has to consent.
    Shared(Mark),
    /// Somebody else has to act first, and will without being told.
    Waits(String),
    /// Only a human can decide; the message holds the remedy.
    Refused(String),
}

/// Decides what a binding may do.
pub fn judge(wanted: &Wanted, seen: &Seen) -> Claim {
    for login in wanted.logins() {
        if let Some(role) = seen.roles.get(login)
            && !wanted.made(role.mark().as_ref())
        {
            return Claim::Refused(format!(
                "role {login} exists and is not marked as this binding's: drop it, or delete this binding and create it under another name"
            ));
        }
    }
    match wanted.access {
        Access::Owner => judge_owner(wanted, seen),
        Access::ReadWrite | Access::ReadOnly => judge_sharer(wanted, seen),
    }
}

fn judge_owner(wanted: &Wanted, seen: &Seen) -> Claim {
    for group in wanted.groups() {
        if let Some(role) = seen.roles.get(group)
            && !wanted.may_take(role.mark().as_ref())
        {
            return refuse("role", group, role.mark().as_ref());
        }
    }
    let Some(database) = &seen.database else {
        return Claim::Granted;
    };
    let mark = database.mark();
    // A group role that carries our mark (checked above) exists only through us, and vouches for what it
    // owns: CREATE DATABASE and its mark cannot be one transaction, and whoever owns a database may write
    // another comment on it, but not on a role.
    let owner = &wanted.names.owner;
    let vouched = database.owner == *owner && seen.roles.contains_key(owner);
    if vouched || wanted.may_take(mark.as_ref()) {
        Claim::Granted
    } else {
        refuse("database", &wanted.names.database, mark.as_ref())
    }
}

fn judge_sharer(wanted: &Wanted, seen: &Seen) -> Claim {
    let database = &wanted.names.database;
    let absent = || {
        Claim::Waits(format!(
            "database {database} is not there yet: a DatabaseBinding with access Owner and spec.database {database} makes it"
        ))
    };
    let Some(found) = &seen.database else {
        return absent();
    };
    // The marks of roles count, which only the operator writes: the database's may be its owner's invention.
    let mark = |role: &str| seen.roles.get(role).and_then(Role::mark);
    let (Some(owner), Some(_)) = (mark(&wanted.names.owner), mark(wanted.group())) else {
        return if found.mark().is_some() {
            absent()
        } else {
            Claim::Refused(format!(
                "database {database} was not made by a DatabaseBinding: name one that was"
            ))
        };
    };
    if owner.namespace != wanted.mark.namespace {
        return Claim::Refused(format!(
            "database {database} belongs to namespace {}: create this binding there",
            owner.namespace
        ));
    }
    Claim::Shared(owner)
}

fn refuse(kind: &str, name: &str, mark: Option<&Mark>) -> Claim {
    Claim::Refused(match mark {
        Some(mark) => format!(
            "{kind} {name} belongs to DatabaseBinding {}/{} (uid {}): choose another spec.database, or share it with access ReadWrite or ReadOnly",
            mark.namespace, mark.name, mark.uid
        ),
        None => format!(
            "{kind} {name} exists and was not made by a DatabaseBinding: choose another spec.database, or rename or drop it on the server"
        ),
    })
}

impl Wanted {
    /// The three groups of a database.
    pub fn groups(&self) -> [&str; 3] {
        [&self.names.owner, &self.names.writer, &self.names.reader]
    }

    /// Whether something with this mark is ours, or was left for us.
    pub(super) fn may_take(&self, mark: Option<&Mark>) -> bool {
        mark.is_some_and(|mark| {
            mark.uid == self.mark.uid
                || (mark.same_object(&self.mark)
                    && (self.own_server || mark.hold == Hold::Retained))
        })
    }

    /// Whether something with this mark was made or adopted by exactly this binding.
    pub(super) fn made(&self, mark: Option<&Mark>) -> bool {
        mark.is_some_and(|mark| mark.uid == self.mark.uid)
    }
}
