//! `If-Match`: refuses edits of what has changed since it was read (RFC 9110, section 13.1.1).

use http::header::IF_MATCH;
use http::{HeaderMap, StatusCode};

use crate::Problem;

/// The strong validator of a version.
pub fn etag(version: i64) -> String {
    format!("\"{version}\"")
}

/// Refuses with 412 when `If-Match` is there and does not name this version.
pub fn check(headers: &HeaderMap, version: i64) -> Result<(), Problem> {
    let lines: Vec<_> = headers
        .get_all(IF_MATCH)
        .iter()
        // Bytes that are not text match nothing.
        .map(|line| line.to_str().unwrap_or_default())
        .collect();
    if lines.is_empty() || allows(&lines.join(","), version) {
        return Ok(());
    }
    let title = "The resource has changed since it was read";
    Err(Problem::new(
        StatusCode::PRECONDITION_FAILED,
        "stale",
        title,
    ))
}

/// Weak validators never match; a malformed list matches nothing.
fn allows(list: &str, version: i64) -> bool {
    let current = etag(version);
    list.split(',')
        .map(str::trim)
        .any(|tag| tag == "*" || tag == current)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edit_without_condition_is_allowed() {
        assert!(check(&HeaderMap::new(), 3).is_ok());
    }

    #[test]
    fn only_the_present_version_matches() {
        for matching in ["\"3\"", "*", "\"1\", \"3\"", " \"3\" "] {
            assert!(allows(matching, 3), "{matching}");
        }
        for stale in ["\"2\"", "W/\"3\"", "3", "", "\"33\"", "\"1\",\"2\""] {
            assert!(!allows(stale, 3), "{stale}");
        }
    }
}
