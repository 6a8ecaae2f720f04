//! What is known of the mail server: by the last mail, and by looks at it.
//!
//! A look connects, encrypts and logs in as a delivery does, and hands over no mail. There is one when the process starts, which is
//! when its settings are new, so that a server that cannot be used is told before a customer's mail waits for it. There are more
//! only while the server cannot be used, so a server that works is left alone.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chassis::NO_ANSWER_YET;
use lettre::transport::smtp::response::Category;

use super::error::{DeliveryError, LookError};
use crate::deliveries::retry::Failure;

/// Longest time of the first look, until which the shop is not ready. Some servers let strangers wait for a few seconds.
const FIRST_LOOK: Duration = Duration::from_secs(10);
/// Longest time of each further look.
const LOOK: Duration = Duration::from_secs(30);
/// Time until the second look; each further one takes twice as long.
const SOON: Duration = Duration::from_secs(2);
/// Longest time between looks at a server that does not answer.
const AWAY: Duration = Duration::from_secs(30);
/// Longest time between looks at a server that answered and refused: it may count logins that fail.
const REFUSED: Duration = Duration::from_secs(5 * 60);

/// What the process knows of its mail server. Clones share it.
#[derive(Clone, Default)]
pub struct SmtpHealth(Arc<Mutex<Known>>);

#[derive(Default)]
struct Known {
    trouble: Option<Trouble>,
    has_looked: bool,
    /// Mails that told something of it. A look that one has overtaken is out of date.
    tried: u64,
    /// Looks in a row that failed.
    failed: u32,
}

struct Trouble {
    why: String,
    /// Whether a look may find that it is over. What the server has against a mail only the next mail can tell.
    is_of_connection: bool,
    is_refusal: bool,
}

/// A look that is under way.
pub(super) struct Look(u64);

impl SmtpHealth {
    /// Why the mail server cannot be used, or took no mail at the last attempt. Until a look has ended or a mail was sent,
    /// nobody knows.
    pub fn check(&self) -> Result<(), String> {
        let known = self.known();
        match &known.trouble {
            Some(trouble) => Err(trouble.why.clone()),
            None if known.is_asked() => Ok(()),
            None => Err(NO_ANSWER_YET.to_owned()),
        }
    }

    /// Longest time of the next look. Somebody waits for what the first one finds.
    pub(super) fn patience(&self) -> Duration {
        if self.known().is_asked() {
            LOOK
        } else {
            FIRST_LOOK
        }
    }

    /// Notes how a mail was taken. An address that cannot be used is no fault of the server.
    pub(super) fn delivered(&self, delivered: &Result<(), DeliveryError>) {
        let mut known = self.known();
        match delivered {
            Err(error) if matches!(error.failure(), Failure::Address) => return,
            Err(error) => {
                let status = match error {
                    DeliveryError::Smtp(error) => error.status(),
                    _ => None,
                };
                // Of these codes some are about the connection and the login, the others about the mail.
                let of_connection = [Category::Connections, Category::Unspecified3];
                known.trouble = Some(Trouble {
                    why: chassis::trace::chain(error),
                    is_of_connection: status.is_none_or(|it| of_connection.contains(&it.category)),
                    is_refusal: status.is_some(),
                });
            }
            Ok(()) => known.trouble = None,
        }
        known.tried += 1;
    }

    /// Begins a look, if one is due.
    pub(super) fn due(&self) -> Option<Look> {
        let known = self.known();
        let trouble = known.trouble.as_ref();
        let is_due = !known.has_looked || trouble.is_some_and(|it| it.is_of_connection);
        is_due.then_some(Look(known.tried))
    }

    /// Notes what a look found, unless a mail has told more; returns when another one may be due.
    pub(super) fn looked(&self, Look(tried): Look, found: &Result<(), LookError>) -> Duration {
        let mut known = self.known();
        known.has_looked = true;
        let trouble = known.trouble.as_ref();
        if known.tried == tried && trouble.is_none_or(|it| it.is_of_connection) {
            known.trouble = found.as_ref().err().map(|error| Trouble {
                why: chassis::trace::chain(error),
                is_of_connection: true,
                is_refusal: matches!(error, LookError::Smtp(error) if error.status().is_some()),
            });
        }
        known.failed = match found {
            Ok(()) => 0,
            Err(_) => known.failed.saturating_add(1),
        };
        known.pause()
    }

    /// Time until it is asked once more whether a look is due.
    pub(super) fn pause(&self) -> Duration {
        self.known().pause()
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    /// Whether a look or a mail has told something of the server.
    fn is_asked(&self) -> bool {
        self.has_looked || self.tried > 0
    }

    fn pause(&self) -> Duration {
        let is_refusal = self.trouble.as_ref().is_some_and(|it| it.is_refusal);
        let most = if is_refusal { REFUSED } else { AWAY };
        match self.failed.checked_sub(1) {
            Some(before) => SOON.saturating_mul(2_u32.saturating_pow(before)).min(most),
            None => AWAY,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(health: &SmtpHealth, found: &Result<(), LookError>) -> Duration {
        let look = health.due().expect("one is due");
        health.looked(look, found)
    }

    #[test]
    fn a_server_that_works_is_looked_at_once() {
        let health = SmtpHealth::default();
        assert_eq!(health.check(), Err(NO_ANSWER_YET.to_owned()));
        look(&health, &Ok(()));
        assert_eq!(health.check(), Ok(()));
        assert!(health.due().is_none());
        health.delivered(&Ok(()));
        assert!(health.due().is_none());
    }

    #[test]
    fn a_server_that_is_away_is_told_and_looked_at_less_and_less_often_until_it_is_back() {
        let health = SmtpHealth::default();
        let pauses = [2, 4, 8, 16, 30, 30].map(Duration::from_secs);
        for pause in pauses {
            assert_eq!(look(&health, &Err(LookError::TimedOut)), pause);
            assert_eq!(health.check(), Err("the mail server timed out".to_owned()));
        }
        look(&health, &Ok(()));
        assert_eq!(health.check(), Ok(()));
        assert!(health.due().is_none());
    }

    #[test]
    fn the_first_look_is_short_and_what_a_mail_has_told_is_known() {
        let health = SmtpHealth::default();
        assert_eq!(health.patience(), FIRST_LOOK);
        health.delivered(&Ok(()));
        assert_eq!((health.check(), health.patience()), (Ok(()), LOOK));
    }

    #[test]
    fn after_a_mail_that_found_no_server_there_are_looks_again() {
        let health = SmtpHealth::default();
        look(&health, &Ok(()));
        health.delivered(&Err(DeliveryError::TimedOut));
        assert!(health.check().is_err());
        look(&health, &Ok(()));
        assert_eq!(health.check(), Ok(()));
    }

    #[test]
    fn a_look_that_a_mail_has_overtaken_changes_nothing() {
        let health = SmtpHealth::default();
        let slow = health.due().expect("one is due");
        health.delivered(&Ok(()));
        health.looked(slow, &Err(LookError::TimedOut));
        assert_eq!(health.check(), Ok(()));
        assert!(health.due().is_none());
    }
}
