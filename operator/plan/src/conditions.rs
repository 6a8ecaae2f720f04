//! Conditions as kstatus reads them: `Ready` from the first second, `Reconciling` and `Stalled` only
//! while they hold, and no change of a timestamp without a change of a status.

use crds::Condition;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

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
}

impl Aspect {
    /// An aspect that holds.
    pub fn yes(type_: &'static str, reason: &str, message: impl Into<String>) -> Self {
        Self {
            type_,
            holds: Some(true),
            reason: reason.into(),
            message: message.into(),
        }
    }

    /// An aspect that does not hold.
    pub fn no(type_: &'static str, reason: &str, message: impl Into<String>) -> Self {
        Self {
            type_,
            holds: Some(false),
            reason: reason.into(),
            message: message.into(),
        }
    }

    /// An aspect that nothing is known of.
    pub fn unknown(type_: &'static str, reason: &str, message: impl Into<String>) -> Self {
        Self {
            type_,
            holds: None,
            reason: reason.into(),
            message: message.into(),
        }
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
        .map(|aspect| {
            let before = previous.iter().find(|c| c.type_ == aspect.type_);
            let since = before
                .filter(|c| c.status == aspect.status())
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

/// `Ready`, `Reconciling` and `Stalled` out of the aspects below them: the first that does not hold decides.
pub fn summary(parts: &[Aspect]) -> Vec<Aspect> {
    match parts.iter().find(|a| a.holds != Some(true)) {
        None => vec![Aspect::yes("Ready", "Ready", "everything is in place")],
        Some(first) => vec![
            Aspect {
                type_: "Ready",
                ..first.clone()
            },
            Aspect::yes("Reconciling", &first.reason, first.message.clone()),
        ],
    }
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
