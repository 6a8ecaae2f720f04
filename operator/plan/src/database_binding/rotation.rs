//! Replacing the credentials of a binding without an outage: when, and how far it is.
//!
//! A binding has two login roles in one group, and one of them is in use. A rotation opens the other
//! one with a fresh password and a Secret of a new name, moves `status.binding` there, lets the old
//! pair work for the overlap, and then shuts it. How far it is stands in `status.rotation`, always
//! written before what it names is made, and taken away after that is gone:
//!
//! | `status.rotation` | stage | what the next reconciliation does |
//! |---|---|---|
//! | absent | [`Stage::Unused`] | nothing: nobody has asked for a rotation |
//! | neither of the two | [`Stage::Rest`] | keeps the other role shut |
//! | `incoming` | [`Stage::Incoming`] | makes Secret and role, then moves `status.binding` |
//! | `outgoing`, its time not come | [`Stage::Overlap`] | nothing: both roles work |
//! | `outgoing`, its time over | [`Stage::Outgoing`] | shuts the old role, deletes its Secret |
//!
//! A request that comes during the overlap waits for its end, so only one of the two is set. Credentials that
//! were lost do not wait: their Secret cannot be made again under its name ([`Wanted::lost`]), so the pair
//! whose overlap it is gives way, and only pods that still use it lose their sessions.

use std::collections::BTreeSet;
use std::time::Duration;

use crds::{
    Credentials, DatabaseBinding, OutgoingCredentials, Rotation, RotationStatus, duration_secs,
};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::names::Wanted;
use crate::conditions::whole_second;
use crate::names::{credentials_secret, label_value, plain_secret};

/// Annotation on a binding: each new value asks for one rotation.
pub const ROTATE: &str = "storefront.dev/rotate";

/// How far a rotation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Nobody has ever asked for one: there is only one role.
    Unused,
    /// One role is in use, the other one is shut.
    Rest,
    /// New credentials are being made; the old ones are in use.
    Incoming,
    /// The new credentials are in use, the old ones still work.
    Overlap,
    /// The old credentials have had their time.
    Outgoing,
}

/// Reads the stage.
pub fn stage(rotation: Option<&RotationStatus>, now: Timestamp) -> Stage {
    let Some(rotation) = rotation else {
        return Stage::Unused;
    };
    match (&rotation.incoming, &rotation.outgoing) {
        (Some(_), _) => Stage::Incoming,
        (None, Some(old)) if old.until.0 > now => Stage::Overlap,
        (None, Some(_)) => Stage::Outgoing,
        (None, None) => Stage::Rest,
    }
}

/// What the status has to say of the rotation before anything is made: with `incoming` when one is
/// due. `wanted` is what the binding asks for now.
pub fn rotation(
    binding: &DatabaseBinding,
    wanted: &Wanted,
    now: Timestamp,
) -> Option<RotationStatus> {
    let status = binding.status.as_ref();
    let before = status.and_then(|status| status.rotation.as_ref());
    let request = request(binding);
    let is_asked = request.is_some() || binding.spec.rotation.is_some();
    if before.is_none() && !is_asked && !wanted.lost {
        return None;
    }
    let mut rotation = before.cloned().unwrap_or_default();
    let has_credentials = status.is_some_and(|status| status.binding.is_some());
    let is_due = |rotation: &RotationStatus| {
        let is_at_rest = rotation.outgoing.is_none();
        wanted.lost || (is_at_rest && is_due(binding, rotation, request.as_ref(), now))
    };
    if !has_credentials && !wanted.lost {
        // Those that are about to be made are new enough for whoever asked.
        rotation.request = request.or(rotation.request);
    } else if rotation.incoming.is_none() && is_due(&rotation) {
        let next = wanted.next();
        rotation.request = request.or(rotation.request);
        rotation.incoming = Some(Credentials {
            role: next.names.login,
            secret: next.names.secret,
        });
    }
    // Both follow the spec as it is now: to end an overlap early, shorten it.
    rotation.next_at = next_at(binding, &rotation);
    if let (Some(old), Some(spec), Some(since)) = (
        &mut rotation.outgoing,
        &binding.spec.rotation,
        &rotation.rotated_at,
    ) {
        old.until = after(since, overlap(Some(spec)));
    }
    Some(rotation)
}

/// What the status has to say once the incoming credentials work. `old` is what was in use before.
pub fn taken_over(
    binding: &DatabaseBinding,
    before: &RotationStatus,
    old: &Wanted,
    now: Timestamp,
) -> RotationStatus {
    let since = whole_second(now);
    let mut rotation = RotationStatus {
        number: old.next().number,
        outgoing: Some(OutgoingCredentials {
            role: old.names.login.clone(),
            secret: old.names.secret.clone(),
            until: after(&since, overlap(binding.spec.rotation.as_ref())),
        }),
        rotated_at: Some(since),
        incoming: None,
        ..before.clone()
    };
    rotation.next_at = next_at(binding, &rotation);
    rotation
}

/// How long until a rotation has something to do. `None`: until somebody asks.
pub fn next_step(
    binding: &DatabaseBinding,
    rotation: Option<&RotationStatus>,
    now: Timestamp,
) -> Option<Duration> {
    let rotation = rotation?;
    let at = match &rotation.outgoing {
        Some(old) => old.until.0,
        // A request may have waited for the end of the overlap.
        None if is_due(binding, rotation, request(binding).as_ref(), now) => now,
        None => next_at(binding, rotation)?.0,
    };
    Some(Duration::try_from(at.duration_since(now)).unwrap_or_default())
}

/// Names of all Secrets that a binding may have left: those in use, coming and going.
pub fn secrets(binding: &DatabaseBinding) -> BTreeSet<String> {
    let (name, uid) = (&binding.metadata.name, &binding.metadata.uid);
    let plain = name.as_deref().map(plain_secret);
    let first = name.as_ref().zip(uid.as_ref());
    let first = first.map(|(name, uid)| credentials_secret(name, uid, 0));
    let status = binding.status.as_ref();
    let used = status.and_then(|status| Some(status.binding.as_ref()?.name.clone()));
    let rotation = status.and_then(|status| status.rotation.as_ref());
    let incoming = rotation.and_then(|rotation| Some(rotation.incoming.as_ref()?.secret.clone()));
    let outgoing = rotation.and_then(|rotation| Some(rotation.outgoing.as_ref()?.secret.clone()));
    [plain, first, used, incoming, outgoing]
        .into_iter()
        .flatten()
        .collect()
}

/// The request as it is remembered: a value of any length in little room.
fn request(binding: &DatabaseBinding) -> Option<String> {
    let annotations = binding.metadata.annotations.as_ref()?;
    annotations.get(ROTATE).map(|value| label_value(value))
}

fn is_due(
    binding: &DatabaseBinding,
    rotation: &RotationStatus,
    request: Option<&String>,
    now: Timestamp,
) -> bool {
    let asked = request.is_some() && request != rotation.request.as_ref();
    asked || next_at(binding, rotation).is_some_and(|at| at.0 <= now)
}

/// When the credentials are old enough. The first ones are as old as the binding.
fn next_at(binding: &DatabaseBinding, rotation: &RotationStatus) -> Option<Time> {
    let every = duration_secs(&binding.spec.rotation.as_ref()?.every)?;
    let created = binding.metadata.creation_timestamp.as_ref();
    let epoch = Time(Timestamp::UNIX_EPOCH);
    let since = rotation.rotated_at.as_ref().or(created).unwrap_or(&epoch);
    Some(after(since, every))
}

fn overlap(spec: Option<&Rotation>) -> u64 {
    let named = spec.and_then(|rotation| duration_secs(&rotation.overlap));
    named
        .or_else(|| duration_secs(&Rotation::default_overlap()))
        .unwrap_or_default()
}

fn after(since: &Time, secs: u64) -> Time {
    let secs = SignedDuration::from_secs(i64::try_from(secs).unwrap_or(i64::MAX));
    Time(since.0.checked_add(secs).unwrap_or(Timestamp::MAX))
}

#[cfg(test)]
mod tests;
