//! Rotation of a binding's credentials, once those in use are known to work.
//!
//! What stage a rotation is in, and when the next one comes, is decided by
//! [`operator_plan::database_binding::rotation`]. Here the new pair is made like any other (Secret,
//! then role), and nothing of the old pair is taken away before the one in use was seen to work.

use crds::{DatabaseBinding, RotationStatus};
use operator_plan::Verdict;
use operator_plan::database_binding::{Seen, Stage, Valid, stage, taken_over};

use super::admin_session::AdminSession;
use super::error::Stop;
use super::provision::{provision, shut};
use super::secret;
use super::server::Servers;
use crate::context::Context;

/// Where a rotation starts from.
pub(super) struct Found<'a> {
    /// What is in use.
    pub valid: &'a Valid,
    /// What was read when everything was found right.
    pub seen: Seen,
    /// What the status says of the rotation.
    pub rotation: Option<RotationStatus>,
}

/// A binding of which everything is in place.
pub(super) struct Settled {
    /// What is in use now.
    pub valid: Valid,
    /// What the status has to say of the rotation now.
    pub rotation: Option<RotationStatus>,
    /// Purposes that had to be served for it, a rotation's own not counted.
    pub repaired: Vec<&'static str>,
    /// Event of the rotation: reason and note.
    pub news: Option<(&'static str, String)>,
}

impl Settled {
    /// Nothing has been done yet.
    pub(super) fn of(valid: Valid, rotation: Option<RotationStatus>) -> Self {
        Self {
            valid,
            rotation,
            repaired: Vec::new(),
            news: None,
        }
    }
}

/// Takes the next step, if it is due.
pub(super) async fn rotate(
    session: &mut AdminSession,
    ctx: &Context,
    servers: &dyn Servers,
    binding: &DatabaseBinding,
    found: Found<'_>,
) -> Result<Verdict<Settled>, Stop> {
    let Found {
        valid,
        seen,
        rotation,
    } = found;
    let stage = stage(rotation.as_ref(), ctx.now());
    let mut settled = Settled::of(valid.clone(), rotation);
    settled.repaired = session.changed().to_vec();
    match stage {
        Stage::Unused | Stage::Overlap => {}
        Stage::Rest => {
            shut(session, valid, seen).await?;
            settled.repaired = session.changed().to_vec();
        }
        Stage::Incoming => return take_over(session, ctx, servers, binding, settled).await,
        Stage::Outgoing => {
            if shut(session, valid, seen).await? {
                retire(ctx, binding, &mut settled).await?;
            }
        }
    }
    Ok(Verdict::Ready(settled))
}

/// Provisions the next pair, and switches to it once it works. Nothing needs to be known of the one in use.
pub(super) async fn take_over(
    session: &mut AdminSession,
    ctx: &Context,
    servers: &dyn Servers,
    binding: &DatabaseBinding,
    settled: Settled,
) -> Result<Verdict<Settled>, Stop> {
    let next = settled.valid.next();
    let password = match secret::hold(ctx, binding, &next).await? {
        Verdict::Ready(password) => password,
        Verdict::Waiting(on) => return Ok(Verdict::Waiting(on)),
        Verdict::Invalid(why) => return Ok(Verdict::Invalid(why)),
    };
    provision(session, servers, &next, &password).await?;
    let before = settled.rotation.unwrap_or_default();
    if let Some(older) = &before.outgoing {
        // Only where the pair in use was lost within an overlap: the older role has a new password now.
        secret::remove(ctx, binding, &older.secret).await?;
    }
    let new = taken_over(binding, &before, &settled.valid.wanted, ctx.now());
    let (names, until) = (
        &next.wanted.names,
        new.outgoing.as_ref().map(|old| old.until.0),
    );
    let mut note = format!(
        "Secret {} and role {} are in use now; role {} can log in until {}",
        names.secret,
        names.login,
        names.spare,
        until.unwrap_or_default()
    );
    let was_lost = settled.valid.wanted.lost;
    if was_lost {
        let lost = &settled.valid.wanted.names.secret;
        note = format!("Secret {lost} was deleted or no longer said what it has to say: {note}");
    }
    let reason = if was_lost {
        "CredentialsReplaced"
    } else {
        "Rotated"
    };
    Ok(Verdict::Ready(Settled {
        news: Some((reason, note)),
        valid: next,
        rotation: Some(new),
        repaired: settled.repaired,
    }))
}

/// Deletes the Secret of the old pair, whose role is shut, and forgets both.
async fn retire(
    ctx: &Context,
    binding: &DatabaseBinding,
    settled: &mut Settled,
) -> Result<(), Stop> {
    let Some(rotation) = settled.rotation.as_mut() else {
        return Ok(());
    };
    let Some(old) = rotation.outgoing.take() else {
        return Ok(());
    };
    secret::remove(ctx, binding, &old.secret).await?;
    let note = format!(
        "role {} can no longer log in, and Secret {} is deleted",
        old.role, old.secret
    );
    settled.news = Some(("OldCredentialsRetired", note));
    Ok(())
}
