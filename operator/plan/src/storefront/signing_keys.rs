//! The shop's signing keys: which one signs, and when the next one takes its place.
//!
//! | stage   | keys in the Secret      | ends after | because |
//! |---------|-------------------------|------------|---------|
//! | settled | `active`                 | 30 days, or when somebody asks | |
//! | next    | `active`, `next`         | 30 minutes | every pod of auth must publish a key before one signs with it; the next routine look at auth is within 13, and whoever checks tokens keeps a key set for 5 |
//! | old     | `active`, the one before | 2 hours    | a token is good for one |

use jiff::{SignedDuration, Timestamp};

use super::{
    Data,
    material::{SigningKey, kept},
};

/// Annotation of a Storefront: each new value asks for a new signing key.
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

/// The content of the Secret, one stage further where it is time. Without a key that can sign there is
/// a new one at once, beside those that are there: tokens signed with them stay good.
pub(super) fn signing_keys(
    own: Option<&Data>,
    fresh: &SigningKey,
    asked: Option<&str>,
    now: Timestamp,
) -> Data {
    let mut keys = Keys(own.cloned().unwrap_or_default());
    let active = keys.named(ACTIVE);
    if active.is_empty() || !keys.has(&active) {
        keys.add(ACTIVE, fresh);
        keys.0.remove(NEXT);
        // What was asked for before there was a key has been served by this one.
        keys.serve(asked);
        keys.begin(now);
        return keys.0;
    }
    let Some(since) = keys.since() else {
        keys.begin(now);
        return keys.0;
    };
    let over = |time: SignedDuration| since.checked_add(time).is_ok_and(|end| end <= now);
    let next = keys.named(NEXT);
    let old = keys.others(&active);
    if keys.has(&next) {
        if over(PUBLISHED_FOR) {
            keys.set(ACTIVE, &next);
            keys.0.remove(NEXT);
            keys.begin(now);
        }
    } else if !old.is_empty() {
        if over(KEPT_FOR) {
            keys.0.retain(|name, _| !old.contains(name));
        }
    } else if over(SIGNS_FOR) || asked.is_some_and(|asked| asked != keys.named(ASKED)) {
        keys.add(NEXT, fresh);
        keys.serve(asked);
        keys.begin(now);
    }
    keys.0
}

struct Keys(Data);

impl Keys {
    fn named(&self, entry: &str) -> String {
        kept(Some(&self.0), entry, "").trim().to_owned()
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

    /// What a look after so many minutes makes of the keys, with a key named after the minute at hand.
    fn look(keys: &mut Data, minutes: i64, asked: Option<&str>) -> String {
        let fresh = key(&format!("k{minutes}"));
        *keys = signing_keys(Some(keys), &fresh, asked, after(minutes));
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
