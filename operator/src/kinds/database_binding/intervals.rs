//! How often what is not watched is tried again.

use std::time::Duration;

/// The shortest wait: what is due may have become so while it was being looked at.
pub(super) const AT_ONCE: Duration = Duration::from_secs(1);
/// Time between two attempts at what is not watched, such as a server that starts.
pub(super) const SOON: Duration = Duration::from_secs(3);
/// The same, when somebody has to act first.
pub(super) const LATER: Duration = Duration::from_secs(15);
