//! The server's side of a binding that should exist. Reads first and writes only what differs.

use operator_plan::database_binding::{
    Claim, Inside, Mark, Seen, Statement, Valid, inside, judge, login, outside, predecessors,
    shut_spare,
};

use super::admin_session::AdminSession;
use super::endpoint::Endpoint;
use super::error::ServerError;
use super::scram::Password;
use super::server::Servers;

/// Rounds of a provisioning before it is reported that changes on the server do not last.
const ROUNDS: usize = 4;

/// What the ownership marks on the server allow.
pub enum Entry {
    /// The binding may be provisioned; this is what was seen.
    Granted(Seen),
    /// The same, if the binding consents that this mark names.
    Shared(Mark, Seen),
    /// Somebody else has to act first.
    Waits(String),
    /// Only a person can decide.
    Refused(String),
}

/// Reads the marks. Nothing has been made for this binding when this says no.
pub async fn enter(session: &mut AdminSession, valid: &Valid) -> Result<Entry, ServerError> {
    let seen = session.read(&valid.wanted).await?;
    Ok(match judge(&valid.wanted, &seen) {
        Claim::Granted => Entry::Granted(seen),
        Claim::Shared(owner) => Entry::Shared(owner, seen),
        Claim::Waits(on) => Entry::Waits(on),
        Claim::Refused(why) => Entry::Refused(why),
    })
}

/// Makes the server as it should be, and reads again until it is. Returns what was read last; of the inside
/// only where the binding owns the database.
pub async fn provision(
    session: &mut AdminSession,
    servers: &dyn Servers,
    valid: &Valid,
    password: &Password,
) -> Result<(Seen, Option<Inside>), ServerError> {
    let mut last = "read the server";
    for _ in 0..ROUNDS {
        match round(session, servers, valid, password).await? {
            Round::Settled(seen, within) => return Ok((seen, within)),
            Round::Changed(purpose) => last = purpose,
        }
    }
    Err(ServerError::Unsettled { purpose: last })
}

/// Shuts the login role that is not in use. Returns whether it is seen to be shut: a session may
/// take its time to end, and that is no failure of the role in use.
pub async fn shut(
    session: &mut AdminSession,
    valid: &Valid,
    mut seen: Seen,
) -> Result<bool, ServerError> {
    for _ in 0..ROUNDS {
        let missing = shut_spare(&valid.wanted, &seen);
        if missing.is_empty() {
            return Ok(true);
        }
        session.run(&missing).await?;
        seen = session.read(&valid.wanted).await?;
    }
    Ok(false)
}

/// What one round led to.
enum Round {
    /// Nothing was missing.
    Settled(Seen, Option<Inside>),
    /// The last statement was for this.
    Changed(&'static str),
}

/// Reads once and runs what is missing.
async fn round(
    session: &mut AdminSession,
    servers: &dyn Servers,
    valid: &Valid,
    password: &Password,
) -> Result<Round, ServerError> {
    let wanted = &valid.wanted;
    let seen = session.read(wanted).await?;
    let around = outside(wanted, &seen);
    session.run(&around).await?;
    let found = if wanted.access == crds::Access::Owner {
        Some(session.read_inside(wanted).await?)
    } else {
        None
    };
    let within = found.as_ref().map(|found| inside(wanted, found));
    let within = within.unwrap_or_default();
    session.run(&within).await?;
    let verifier = if password_differs(servers, valid, &seen, password).await? {
        Some(password.verifier().map_err(|_| ServerError::NoEntropy)?)
    } else {
        None
    };
    // Last, so that whoever can log in finds everything in place.
    let entrance = login(wanted, &seen, verifier.as_deref());
    session.run(&entrance).await?;
    let left = predecessors(wanted, &seen);
    session.run(&left).await?;
    let statements = [&around, &within, &entrance, &left].into_iter().flatten();
    let last = statements.last().map(|last: &Statement| last.purpose);
    Ok(match last {
        None => Round::Settled(seen, found),
        Some(purpose) => Round::Changed(purpose),
    })
}

/// Whether the server does not hold our password. Where it shows no verifiers, a login is tried.
async fn password_differs(
    servers: &dyn Servers,
    valid: &Valid,
    seen: &Seen,
    password: &Password,
) -> Result<bool, ServerError> {
    let names = &valid.wanted.names;
    let Some(role) = seen.roles.get(&names.login) else {
        return Ok(true);
    };
    if seen.facts.reads_verifiers {
        return Ok(!role
            .verifier
            .as_deref()
            .is_some_and(|held| password.matches(held)));
    }
    if !role.login || seen.database.is_none() {
        // The role could not log in whatever its password is; the next round finds out more.
        return Ok(false);
    }
    let user = Endpoint {
        username: names.login.clone(),
        password: password.clone(),
        ..Endpoint::from(&valid.server)
    };
    servers
        .can_log_in(&user, &names.database)
        .await
        .map(|able| !able)
}
