//! `If-Match`: an edit of what somebody else has changed meanwhile is refused.

/// The strong validator of a version.
pub fn etag(version: i64) -> String {
    format!("\"{version}\"")
}

/// True when `If-Match` allows an edit of this version (RFC 9110, 13.1.1). Weak validators never
/// match; what is no list of validators matches nothing.
pub fn allows(if_match: Option<&str>, version: i64) -> bool {
    match if_match {
        None => true,
        Some(list) => {
            let current = etag(version);
            list.split(',')
                .map(str::trim)
                .any(|tag| tag == "*" || tag == current)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edit_without_condition_is_allowed() {
        assert!(allows(None, 3));
    }

    #[test]
    fn only_the_present_version_matches() {
        for matching in ["\"3\"", "*", "\"1\", \"3\"", " \"3\" "] {
            assert!(allows(Some(matching), 3), "{matching}");
        }
        for stale in ["\"2\"", "W/\"3\"", "3", "", "\"33\"", "\"1\",\"2\""] {
            assert!(!allows(Some(stale), 3), "{stale}");
        }
    }
}
