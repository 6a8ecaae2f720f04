//! Conditions as kstatus reads them: `Ready` from the first second, `Reconciling` and `Stalled` only
//! while they hold, and no change of a timestamp without a change of a status.
//!
//! ## When an object is stalled
//! At once, where only a person can help: an [`Aspect`] says so. After [`DEADLINE`], where something was in
//! progress for that long. Its time counts from the newest generation on, so `Reconciling` is the one condition whose
//! time moves with the generation.

use crds::Condition;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

/// Longest time in which an object may be on its way.
pub const DEADLINE: SignedDuration = SignedDuration::from_mins(10);
/// Reason of `Stalled` after that time.
pub const OVERDUE: &str = "DeadlineExceeded";
/// Reasons of work that has a deadline of its own.
const LIMITED: [&str; 2] = ["Migrating", "BackingUp"];

/// Whether a reason is about work that has a deadline of its own: [`DEADLINE`] does not count then.
pub fn has_deadline(reason: &str) -> bool {
    LIMITED.contains(&reason)
}

/// One aspect of an object, such as whether its database is ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Aspect {
    /// `DatabaseReady` and the like.
    pub type_: &'static str,
    /// `Some(true)` is `True`, `None` is `Unknown`.
    pub holds: Option<bool>,
    /// Machine-readable reason (CamelCase).
    pub reason: String,
    /// Human-readable message.
    pub message: String,
    /// Whether only a person can help.
    pub stalls: bool,
}

impl Aspect {
    /// An aspect that holds.
    pub fn yes(type_: &'static str, reason: &str, message: impl Into<String>) -> Self {
        Self {
            type_,
            holds: Some(true),
            reason: reason.into(),
            message: message.into(),
            stalls: false,
        }
    }

    /// An aspect that does not hold.
    pub fn no(type_: &'static str, reason: &str, message: impl Into<String>) -> Self {
        Self {
            type_,
            holds: Some(false),
            reason: reason.into(),
            message: message.into(),
            stalls: false,
        }
    }

    /// An aspect that nothing is known of.
    pub fn unknown(type_: &'static str, reason: &str, message: impl Into<String>) -> Self {
        Self {
            type_,
            holds: None,
            reason: reason.into(),
            message: message.into(),
            stalls: false,
        }
    }

    /// The same; whether only a person can help.
    #[must_use]
    pub fn stalling(self, stalls: bool) -> Self {
        Self { stalls, ..self }
    }

    fn status(&self) -> &'static str {
        match self.holds {
            Some(true) => "True",
            Some(false) => "False",
            None => "Unknown",
        }
    }
}

/// The conditions that `aspects` give, keeping the transition time of every status that did not flip.
/// Aspects that are not named are gone; the result is sorted by type, so that it is the same each time.
pub fn conditions(
    previous: &[Condition],
    aspects: &[Aspect],
    generation: Option<i64>,
    now: Timestamp,
) -> Vec<Condition> {
    let mut list: Vec<Condition> = aspects
        .iter()
        .map(|aspect| in_time(previous, aspect, generation, now))
        .map(|aspect| {
            let before = previous.iter().find(|c| c.type_ == aspect.type_);
            let is_counted = |c: &&Condition| {
                aspect.type_ != "Reconciling"
                    || (c.observed_generation == generation && !is_over(c, &aspect))
            };
            let since = before
                .filter(|c| c.status == aspect.status())
                .filter(is_counted)
                .map_or_else(|| whole_second(now), |c| c.last_transition_time.clone());
            Condition {
                type_: aspect.type_.to_owned(),
                status: aspect.status().to_owned(),
                observed_generation: generation,
                last_transition_time: since,
                reason: aspect.reason.clone(),
                message: aspect.message.clone(),
            }
        })
        .collect();
    list.sort_by(|a, b| a.type_.cmp(&b.type_));
    list
}

/// Whether work with a deadline of its own was under way and is not any more: what follows has its whole time.
fn is_over(before: &Condition, now: &Aspect) -> bool {
    has_deadline(&before.reason) && before.reason != now.reason
}

/// `Stalled` in place of `Reconciling` where that has lasted too long.
fn in_time(
    previous: &[Condition],
    aspect: &Aspect,
    generation: Option<i64>,
    now: Timestamp,
) -> Aspect {
    let was = |type_: &str| {
        let found = find(previous, type_).filter(|c| c.is_true());
        found.filter(|c| c.observed_generation == generation)
    };
    if aspect.type_ != "Reconciling" || has_deadline(&aspect.reason) {
        return aspect.clone();
    }
    let is_late = was("Stalled").is_some_and(|c| c.reason == OVERDUE)
        || was("Reconciling")
            .filter(|c| !is_over(c, aspect))
            .is_some_and(|c| now.duration_since(c.last_transition_time.0) >= DEADLINE);
    if !is_late {
        return aspect.clone();
    }
    let minutes = DEADLINE.as_mins();
    let text = format!("not done within {minutes} minutes: {}", aspect.message);
    Aspect::yes("Stalled", OVERDUE, text)
}

/// How long an object may still be on its way; `None` when it is not.
pub fn time_left(list: &[Condition], now: Timestamp) -> Option<SignedDuration> {
    let since = find(list, "Reconciling").filter(|c| c.is_true())?;
    let left = DEADLINE - now.duration_since(since.last_transition_time.0);
    left.is_positive().then_some(left)
}

/// As [`conditions`], for a reconciliation that did not get as far as every aspect: what was known of the
/// others stays as it was, with the generation that it was about.
pub fn partial(
    previous: &[Condition],
    aspects: &[Aspect],
    generation: Option<i64>,
    now: Timestamp,
) -> Vec<Condition> {
    let mut list = conditions(previous, aspects, generation, now);
    let others = previous.iter().filter(|old| {
        !["Ready", "Reconciling", "Stalled"].contains(&old.type_.as_str())
            && aspects.iter().all(|aspect| aspect.type_ != old.type_)
    });
    list.extend(others.cloned());
    list.sort_by(|a, b| a.type_.cmp(&b.type_));
    list
}

/// `Ready`, `Reconciling` and `Stalled` out of the aspects below them: the first that does not hold decides,
/// and any that waits for a person stalls the whole.
pub fn summary(parts: &[Aspect]) -> Vec<Aspect> {
    let mut open = parts.iter().filter(|a| a.holds != Some(true));
    let Some(first) = open.clone().next() else {
        return vec![Aspect::yes("Ready", "Ready", "everything is in place")];
    };
    let then = match open.find(|a| a.stalls) {
        Some(stuck) => Aspect::yes("Stalled", &stuck.reason, stuck.message.clone()),
        None => Aspect::yes("Reconciling", &first.reason, first.message.clone()),
    };
    let ready = Aspect {
        type_: "Ready",
        ..first.clone()
    };
    vec![ready, then]
}

/// An object that only a change of itself can help.
pub fn stalled(reason: &str, message: &str) -> Vec<Aspect> {
    vec![
        Aspect::no("Ready", reason, message),
        Aspect::yes("Stalled", reason, message),
    ]
}

/// An object on its way.
pub fn reconciling(reason: &str, message: &str) -> Vec<Aspect> {
    vec![
        Aspect::no("Ready", reason, message),
        Aspect::yes("Reconciling", reason, message),
    ]
}

/// The API server keeps whole seconds; a finer time would never compare equal to what it stored.
pub fn whole_second(now: Timestamp) -> Time {
    Time(Timestamp::from_second(now.as_second()).unwrap_or(now))
}

/// The condition of this type.
pub fn find<'a>(conditions: &'a [Condition], type_: &str) -> Option<&'a Condition> {
    conditions.iter().find(|c| c.type_ == type_)
}

/// Whether a child says that it is ready for its newest generation.
pub fn is_ready(conditions: &[Condition], generation: Option<i64>) -> bool {
    find(conditions, "Ready").is_some_and(|c| c.is_true() && c.observed_generation == generation)
}

/// Why an object with these conditions is not ready for its newest generation.
pub fn why_not_ready(conditions: &[Condition]) -> &str {
    match find(conditions, "Ready") {
        Some(c) if !c.is_true() => &c.message,
        // What it says is about a generation before, and reads as if all were well.
        Some(_) => "its newest generation has not been reconciled yet",
        None => "it has not been reconciled yet",
    }
}
