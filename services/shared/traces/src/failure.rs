//! Errors in logs.

use std::error::Error;
use std::fmt::Write as _;

/// An error and its causes on one line. The last cause says most: name resolution, port or certificate.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        // Writing to a String cannot fail.
        let _ = write!(text, ": {error}");
        cause = error.source();
    }
    text
}
