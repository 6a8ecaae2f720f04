//! Refresh tokens: single use, with detection of stolen ones.
//!
//! ## Why a second use is not always theft
//! Two tabs of one browser may send the same token at the same time. The first gets the successor. The
//! second, within [`GRACE_SECS`], gets 409 and uses the tokens that the first one stored; it gets no token,
//! so the session cannot fork. A later second use means that a copy exists: the session ends, for the thief
//! and for the owner, who logs in again. The price: a client that loses the answer to its refresh has to log
//! in again.

use chrono::{DateTime, TimeDelta, Utc};

pub use crate::opaque_token::OpaqueToken as RefreshToken;

/// Time for which a second use is taken for a second tab.
pub const GRACE_SECS: i64 = 10;
/// Life of an unused token.
pub const LIFE_DAYS: i64 = 30;

/// Expiry of a token that is issued now.
pub fn expires_at(now: DateTime<Utc>) -> DateTime<Utc> {
    now + TimeDelta::days(LIFE_DAYS)
}

/// The stored facts of a token that could not be claimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenFacts {
    /// Expiry.
    pub expires_at: DateTime<Utc>,
    /// Instant of its exchange.
    pub used_at: Option<DateTime<Utc>>,
    /// True if its session has ended.
    pub revoked: bool,
}

/// The reason for which a token was not exchanged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// Unknown, expired, or of an ended session: log in again.
    Invalid,
    /// Exchanged a moment ago, most likely by another tab: use its tokens.
    JustUsed,
    /// Exchanged before: a copy exists, the session must end.
    Reused,
}

/// Decides about a token that could not be claimed.
pub fn judge(facts: Option<TokenFacts>, now: DateTime<Utc>) -> Refusal {
    let Some(facts) = facts else {
        return Refusal::Invalid;
    };
    if facts.revoked {
        return Refusal::Invalid;
    }
    match facts.used_at {
        Some(used_at) if now - used_at <= TimeDelta::seconds(GRACE_SECS) => Refusal::JustUsed,
        // Also if it has expired since: its holder should not have it.
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
    fn a_second_tab_is_tolerated_and_a_later_reuse_ends_the_session() {
        assert_eq!(judge(Some(used(0)), NOON), Refusal::JustUsed);
        assert_eq!(judge(Some(used(GRACE_SECS)), NOON), Refusal::JustUsed);
        assert_eq!(judge(Some(used(GRACE_SECS + 1)), NOON), Refusal::Reused);
    }

    #[test]
    fn a_clock_that_steps_back_does_not_make_a_second_tab_a_reuse() {
        assert_eq!(judge(Some(used(-5)), NOON), Refusal::JustUsed);
    }

    #[test]
    fn unknown_expired_and_revoked_tokens_are_all_invalid() {
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
}
