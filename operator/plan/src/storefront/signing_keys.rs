//! Rotation of the shop's signing keys: which one signs, and when the next one replaces it.
//!
//! | stage   | keys in the Secret      | ends after | because |
//! |---------|-------------------------|------------|---------|
//! | settled | `active`                 | 30 days, or when the annotation asks for it | |
//! | next    | `active`, `next`         | 30 minutes | every pod of auth must publish a key before one signs with it: auth is reconciled again within 13 minutes, and key sets are cached for 5 |
//! | old     | `active`, the one before | 2 hours    | a token is valid for one |

use crds::Storefront;
use jiff::{SignedDuration, Timestamp};

use super::{
    Data,
    material::{SigningKey, present},
};

/// Annotation of a Storefront: each new value requests a new signing key.
pub const ROTATE: &str = "storefront.dev/rotate";

const SIGNS_FOR: SignedDuration = SignedDuration::from_hours(30 * 24);
const PUBLISHED_FOR: SignedDuration = SignedDuration::from_mins(30);
const KEPT_FOR: SignedDuration = SignedDuration::from_hours(2);

/// End of the entries that are keys.
const PEM: &str = ".pem";
/// Names the key that signs.
const ACTIVE: &str = "active";
/// Names the key that will.
const NEXT: &str = "next";
/// When the stage began.
const SINCE: &str = "since";
/// The value of the annotation that was served last.
const ASKED: &str = "asked";

/// The next step of the rotation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rotation {
    /// Nothing is due.
    Settled,
    /// The keys are good, and it is not known since when: their time begins now.
    Begin,
    /// No key can sign: a new one does at once, beside those that are there, because tokens signed
    /// with them are still good.
    Replace,
    /// Publish a new key, which will sign later.
    Publish,
    /// The published key signs.
    Activate,
    /// The keys that no longer sign are removed.
    Remove,
}

impl Rotation {
    /// Which step is due for the content of the Secret.
    pub(super) fn next(own: Option<&Data>, asked: Option<&str>, now: Timestamp) -> Self {
        let keys = Keys(own.cloned().unwrap_or_default());
        let active = keys.named(ACTIVE);
        if !keys.has(&active) {
            return Self::Replace;
        }
        let Some(since) = keys.since() else {
            return Self::Begin;
        };
        let is_over = |time: SignedDuration| since.checked_add(time).is_ok_and(|end| end <= now);
        let is_asked = asked.is_some_and(|asked| asked != keys.named(ASKED));
        if keys.has(&keys.named(NEXT)) {
            if is_over(PUBLISHED_FOR) {
                Self::Activate
            } else {
                Self::Settled
            }
        } else if !keys.others(&active).is_empty() {
            if is_over(KEPT_FOR) {
                Self::Remove
            } else {
                Self::Settled
            }
        } else if is_asked || is_over(SIGNS_FOR) {
            Self::Publish
        } else {
            Self::Settled
        }
    }

    /// Whether the step needs a key that does not exist yet.
    pub(super) fn needs_key(self) -> bool {
        match self {
            Self::Replace | Self::Publish => true,
            Self::Settled | Self::Begin | Self::Activate | Self::Remove => false,
        }
    }
}

/// The value of the annotation.
pub(super) fn asked(storefront: &Storefront) -> Option<&str> {
    let annotations = storefront.metadata.annotations.as_ref()?;
    annotations.get(ROTATE).map(String::as_str)
}

/// The content of the Secret after the step that is due. A step that needs a key waits for one; without
/// any content there is `None` until then.
pub(super) fn signing_keys(
    own: Option<&Data>,
    fresh: Option<&SigningKey>,
    asked: Option<&str>,
    now: Timestamp,
) -> Option<Data> {
    let mut keys = Keys(own.cloned().unwrap_or_default());
    match (Rotation::next(own, asked, now), fresh) {
        (Rotation::Replace | Rotation::Publish, None) => return own.cloned(),
        (Rotation::Settled, _) => return Some(keys.0),
        (Rotation::Begin, _) => {}
        (Rotation::Replace, Some(fresh)) => {
            keys.add(ACTIVE, fresh);
            keys.0.remove(NEXT);
            // What was asked for before there was a key has been served by this one.
            keys.serve(asked);
        }
        (Rotation::Publish, Some(fresh)) => {
            keys.add(NEXT, fresh);
            keys.serve(asked);
        }
        (Rotation::Activate, _) => {
            let next = keys.named(NEXT);
            keys.set(ACTIVE, &next);
            keys.0.remove(NEXT);
        }
        (Rotation::Remove, _) => {
            let old = keys.others(&keys.named(ACTIVE));
            keys.0.retain(|name, _| !old.contains(name));
            return Some(keys.0);
        }
    }
    keys.begin(now);
    Some(keys.0)
}

struct Keys(Data);

impl Keys {
    fn named(&self, entry: &str) -> String {
        let value = present(Some(&self.0), entry).unwrap_or_default();
        value.trim().to_owned()
    }

    fn has(&self, kid: &str) -> bool {
        !kid.is_empty() && self.0.contains_key(&file(kid))
    }

    /// Entries of keys that are not `active`.
    fn others(&self, active: &str) -> Vec<String> {
        let active = file(active);
        let keys = self
            .0
            .keys()
            .filter(|name| name.strip_suffix(PEM).is_some());
        keys.filter(|name| **name != active).cloned().collect()
    }

    fn since(&self) -> Option<Timestamp> {
        self.named(SINCE).parse().ok()
    }

    fn set(&mut self, entry: &str, value: &str) {
        self.0.insert(entry.to_owned(), value.as_bytes().to_vec());
    }

    fn add(&mut self, entry: &str, key: &SigningKey) {
        self.set(entry, &key.kid);
        self.set(&file(&key.kid), &key.pem);
    }

    fn serve(&mut self, asked: Option<&str>) {
        if let Some(asked) = asked {
            self.set(ASKED, asked);
        }
    }

    fn begin(&mut self, now: Timestamp) {
        self.set(SINCE, &now.to_string());
    }
}

fn file(kid: &str) -> String {
    format!("{kid}{PEM}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(kid: &str) -> SigningKey {
        SigningKey {
            kid: kid.into(),
            pem: format!("the key {kid}"),
        }
    }

    fn after(minutes: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_mins(minutes)
    }

    /// The keys after a reconciliation at this minute, with a new key named after the minute.
    fn look(keys: &mut Data, minutes: i64, asked: Option<&str>) -> String {
        let fresh = key(&format!("k{minutes}"));
        let needed = Rotation::next(Some(keys), asked, after(minutes)).needs_key();
        if needed {
            let without = signing_keys(Some(keys), None, asked, after(minutes));
            assert_eq!(without.as_ref(), Some(&*keys), "it waits for a key");
        }
        let fresh = needed.then_some(&fresh);
        *keys = signing_keys(Some(keys), fresh, asked, after(minutes)).expect("keys");
        let names = keys.keys().filter_map(|name| name.strip_suffix(PEM));
        let all: Vec<&str> = names.collect();
        let active = std::str::from_utf8(&keys["active"]).unwrap();
        format!("{active} of {}", all.join(" "))
    }

    const MONTH: i64 = 30 * 24 * 60;

    #[test]
    fn a_key_is_published_before_it_signs_and_stays_until_its_tokens_are_over() {
        let mut keys = Data::new();
        assert_eq!(look(&mut keys, 0, None), "k0 of k0");
        assert_eq!(look(&mut keys, MONTH - 1, None), "k0 of k0");
        let then = MONTH;
        assert_eq!(look(&mut keys, then, None), "k0 of k0 k43200");
        assert_eq!(look(&mut keys, then + 29, None), "k0 of k0 k43200");
        assert_eq!(look(&mut keys, then + 30, None), "k43200 of k0 k43200");
        assert_eq!(look(&mut keys, then + 149, None), "k43200 of k0 k43200");
        assert_eq!(look(&mut keys, then + 150, None), "k43200 of k43200");
        let later = then + 30 + MONTH - 1;
        assert_eq!(look(&mut keys, later, None), "k43200 of k43200");
    }

    #[test]
    fn each_new_value_of_the_annotation_asks_once() {
        let mut keys = Data::new();
        look(&mut keys, 0, Some("first"));
        assert_eq!(look(&mut keys, 1, Some("first")), "k0 of k0");
        assert_eq!(look(&mut keys, 2, Some("now")), "k0 of k0 k2");
        // Asked in the middle of one: served after it.
        assert_eq!(look(&mut keys, 32, Some("again")), "k2 of k0 k2");
        assert_eq!(look(&mut keys, 152, Some("again")), "k2 of k2");
        assert_eq!(look(&mut keys, 153, Some("again")), "k2 of k153 k2");
        assert_eq!(look(&mut keys, 183, Some("again")), "k153 of k153 k2");
        assert_eq!(look(&mut keys, 303, Some("again")), "k153 of k153");
        assert_eq!(look(&mut keys, 304, None), "k153 of k153");
    }

    #[test]
    fn a_look_between_two_stages_changes_nothing() {
        let mut keys = Data::new();
        look(&mut keys, 0, None);
        for minutes in [1, 100, MONTH - 1] {
            let before = keys.clone();
            look(&mut keys, minutes, None);
            assert_eq!(keys, before);
        }
    }

    #[test]
    fn keys_of_before_rotation_was_known_begin_their_time_now() {
        let mut keys: Data = [("active", "k0"), ("k0.pem", "old"), ("k-1.pem", "older")]
            .map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec()))
            .into();
        assert_eq!(look(&mut keys, MONTH, None), "k0 of k-1 k0");
        assert_eq!(look(&mut keys, MONTH + 120, None), "k0 of k0");
        assert_eq!(look(&mut keys, 2 * MONTH, None), "k0 of k0 k86400");
    }

    #[test]
    fn a_signing_key_that_is_gone_is_replaced_at_once() {
        let mut keys = Data::new();
        look(&mut keys, 0, None);
        look(&mut keys, MONTH, None);
        keys.remove("k0.pem");
        assert_eq!(look(&mut keys, MONTH + 1, None), "k43201 of k43200 k43201");
        assert_eq!(look(&mut keys, MONTH + 121, None), "k43201 of k43201");
    }
}
