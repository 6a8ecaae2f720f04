use super::steps::Effect;

/// Attempts at reserve or authorise before the checkout turns back: 1+2+4+8+16+30+30+30 s, about two minutes, well inside the
/// reservation's fifteen.
const ATTEMPTS: u32 = 9;
/// The longest pause between two attempts, in seconds.
const LONGEST_PAUSE_SECS: u32 = 30;

/// True after too many failed attempts in a row. A claim is not given up: it ends by itself, because the reservation expires
/// and the answer is no from then on. Undoing is not given up either: what is reserved has to be returned.
pub(super) fn gives_up(effect: Effect, failures: u32) -> bool {
    matches!(effect, Effect::Reserve | Effect::Authorise) && failures >= ATTEMPTS
}

/// 1, 2, 4, .. 30 seconds.
pub(super) fn pause(failures: u32) -> u32 {
    let doubled = 1_u32.checked_shl(failures.saturating_sub(1).min(16));
    doubled.unwrap_or(u32::MAX).min(LONGEST_PAUSE_SECS)
}
