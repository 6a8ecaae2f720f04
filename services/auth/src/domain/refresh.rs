//! Refresh tokens: single use; a stolen one betrays itself.
//!
//! ## Why a second use is not always theft
//! Two tabs of one browser wake up and send the same token within a moment. The first gets the
//! successor. The second, within [`GRACE_SECS`], is told to wait (409) and to use what the first
//! one stored; it gets no token, so the family cannot fork. After the grace a second use can only
//! be a copy: the whole family ends, for the thief and for the owner, who logs in again.
//! The price: a client that loses the answer to its refresh has to log in again.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, TimeDelta, Utc};

/// For so long a second use is taken for a second tab.
pub const GRACE_SECS: i64 = 10;
/// For so long an unused token can be used.
pub const LIFE_DAYS: i64 = 30;

/// A token as the client holds it: 256 random bits. No `Debug`.
pub struct RefreshToken(String);

impl RefreshToken {
    /// A new one.
    pub fn random() -> Self {
        let mut secret = [0; 32];
        // Without randomness every session is anybody's: there is nothing sensible to go on with.
        aws_lc_rs::rand::fill(&mut secret).expect("the operating system has randomness");
        Self(URL_SAFE_NO_PAD.encode(secret))
    }

    /// What a client sent.
    pub fn presented(text: String) -> Self {
        Self(text)
    }

    /// What the client is given.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What the table keeps. The token has 256 random bits, so one fast hash is enough.
    pub fn digest(&self) -> [u8; 32] {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, self.0.as_bytes());
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest.as_ref());
        bytes
    }
}

/// When a token issued now stops to work.
pub fn expires_at(now: DateTime<Utc>) -> DateTime<Utc> {
    now + TimeDelta::days(LIFE_DAYS)
}

/// What is known about a token that could not be claimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenFacts {
    /// When it stops to work.
    pub expires_at: DateTime<Utc>,
    /// When it was exchanged.
    pub used_at: Option<DateTime<Utc>>,
    /// True when its family has ended.
    pub revoked: bool,
}

/// Why a token was not exchanged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// Unknown, expired, or of a family that has ended: log in again.
    Invalid,
    /// Exchanged a moment ago, most likely by another tab: use what it got.
    JustUsed,
    /// Exchanged before: a copy is around, the family must end.
    Reused,
}

/// Judges a token that could not be claimed.
pub fn judge(facts: Option<TokenFacts>, now: DateTime<Utc>) -> Refusal {
    let Some(facts) = facts else {
        return Refusal::Invalid;
    };
    if facts.revoked {
        return Refusal::Invalid;
    }
    match facts.used_at {
        Some(used_at) if now - used_at <= TimeDelta::seconds(GRACE_SECS) => Refusal::JustUsed,
        // Also when it has expired since: who holds it should not.
        Some(_) => Refusal::Reused,
        None => Refusal::Invalid,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: DateTime<Utc> = DateTime::from_timestamp(1_800_000_000, 0).unwrap();

    fn used(secs_ago: i64) -> TokenFacts {
        TokenFacts {
            expires_at: NOON + TimeDelta::days(1),
            used_at: Some(NOON - TimeDelta::seconds(secs_ago)),
            revoked: false,
        }
    }

    #[test]
    fn a_second_tab_is_told_to_wait_and_a_thief_ends_the_family() {
        assert_eq!(judge(Some(used(0)), NOON), Refusal::JustUsed);
        assert_eq!(judge(Some(used(GRACE_SECS)), NOON), Refusal::JustUsed);
        assert_eq!(judge(Some(used(GRACE_SECS + 1)), NOON), Refusal::Reused);
    }

    #[test]
    fn a_clock_that_steps_back_does_not_turn_a_tab_into_a_thief() {
        assert_eq!(judge(Some(used(-5)), NOON), Refusal::JustUsed);
    }

    #[test]
    fn unknown_expired_and_revoked_tokens_all_look_the_same() {
        let expired = TokenFacts {
            expires_at: NOON - TimeDelta::days(1),
            used_at: None,
            revoked: false,
        };
        let revoked = TokenFacts {
            revoked: true,
            ..used(60)
        };
        for facts in [None, Some(expired), Some(revoked)] {
            assert_eq!(judge(facts, NOON), Refusal::Invalid);
        }
    }

    #[test]
    fn tokens_are_256_bits_and_never_alike() {
        let (one, other) = (RefreshToken::random(), RefreshToken::random());
        assert_eq!(one.as_str().len(), 43);
        assert_ne!(one.as_str(), other.as_str());
        assert_eq!(
            one.digest(),
            RefreshToken::presented(one.as_str().to_owned()).digest()
        );
    }
}
