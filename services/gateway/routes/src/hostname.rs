//! Host patterns as listeners and routes write them.

/// What a `hostname` field selects.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Pattern {
    /// Every host.
    Any,
    /// One host, in lower case.
    Exact(Box<str>),
    /// `*.suffix`: any number of labels in front of the suffix, but at least one.
    Suffix(Box<str>),
}

impl Pattern {
    /// Reads a field; absent and empty mean every host.
    pub fn parse(field: Option<&str>) -> Self {
        let Some(text) = field.filter(|text| !text.is_empty()) else {
            return Self::Any;
        };
        let text = text.to_ascii_lowercase();
        match text.strip_prefix("*.") {
            Some(suffix) => Self::Suffix(suffix.into()),
            None if text == "*" => Self::Any,
            None => Self::Exact(text.into()),
        }
    }

    /// Whether `host` (lower case, no port) is selected.
    pub fn matches(&self, host: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Exact(exact) => **exact == *host,
            Self::Suffix(suffix) => is_below(host, suffix),
        }
    }

    /// Whether this one selects every host that `other` selects, and more.
    pub(crate) fn is_wider_than(&self, other: &Self) -> bool {
        match (self, other) {
            (_, Self::Any) | (Self::Exact(_), _) => false,
            (Self::Any, _) => true,
            (Self::Suffix(wide), Self::Exact(host) | Self::Suffix(host)) => is_below(host, wide),
        }
    }

    /// Whether some host is selected by both.
    pub fn intersects(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Any, _) | (_, Self::Any) => true,
            (Self::Exact(host), pattern) | (pattern, Self::Exact(host)) => pattern.matches(host),
            (Self::Suffix(one), Self::Suffix(two)) => {
                one == two || is_below(one, two) || is_below(two, one)
            }
        }
    }
}

fn is_below(host: &str, suffix: &str) -> bool {
    host.strip_suffix(suffix)
        .is_some_and(|front| front.len() > 1 && front.ends_with('.'))
}

/// The host of a `Host` header or `:authority`: lower case, no port, no trailing dot.
pub fn normalise(authority: &str) -> Option<String> {
    let host = match authority.strip_prefix('[') {
        Some(rest) => {
            let (inside, after) = rest.split_once(']')?;
            if !after.is_empty() && !is_port(after.strip_prefix(':')?) {
                return None;
            }
            if !inside
                .bytes()
                .all(|b| b.is_ascii_hexdigit() || matches!(b, b':' | b'.'))
            {
                return None;
            }
            return Some(format!("[{}]", inside.to_ascii_lowercase()));
        }
        None => match authority.split_once(':') {
            Some((host, port)) if is_port(port) => host,
            Some(_) => return None,
            None => authority,
        },
    };
    let host = host.strip_suffix('.').unwrap_or(host);
    let sane = !host.is_empty()
        && host.len() <= 253
        && host
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'));
    sane.then(|| host.to_ascii_lowercase())
}

fn is_port(text: &str) -> bool {
    text.is_empty() || text.parse::<u16>().is_ok() && text.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wildcard_needs_at_least_one_label_in_front() {
        let pattern = Pattern::parse(Some("*.Example.com"));
        assert!(pattern.matches("a.example.com"));
        assert!(pattern.matches("a.b.example.com"));
        assert!(!pattern.matches("example.com"));
        assert!(!pattern.matches("badexample.com"));
        assert!(!pattern.matches(".example.com"));
    }

    #[test]
    fn intersections_are_symmetric() {
        let cases = [
            (None, Some("a.example"), true),
            (Some("*.example"), Some("a.example"), true),
            (Some("*.example"), Some("*.b.example"), true),
            (Some("*.a.example"), Some("*.b.example"), false),
            (Some("*.example"), Some("example"), false),
            (Some("a.example"), Some("b.example"), false),
        ];
        for (one, two, expected) in cases {
            let (one, two) = (Pattern::parse(one), Pattern::parse(two));
            assert_eq!(one.intersects(&two), expected, "{one:?} {two:?}");
            assert_eq!(two.intersects(&one), expected, "{two:?} {one:?}");
        }
    }

    #[test]
    fn a_pattern_is_wider_than_those_whose_hosts_it_selects_besides_others() {
        let cases = [
            (None, Some("a.example"), true),
            (None, Some("*.example"), true),
            (Some("*.example"), Some("a.example"), true),
            (Some("*.example"), Some("*.a.example"), true),
            (None, None, false),
            (Some("a.example"), Some("a.example"), false),
            (Some("*.example"), Some("*.example"), false),
            (Some("*.example"), None, false),
            (Some("*.a.example"), Some("*.example"), false),
            (Some("*.example"), Some("example"), false),
        ];
        for (one, other, expected) in cases {
            let is_wider = Pattern::parse(one).is_wider_than(&Pattern::parse(other));
            assert_eq!(is_wider, expected, "{one:?} {other:?}");
        }
    }

    #[test]
    fn authorities_lose_port_case_and_trailing_dot_and_odd_ones_are_refused() {
        assert_eq!(
            normalise("Demo.LocalHost:8080").as_deref(),
            Some("demo.localhost")
        );
        assert_eq!(normalise("a.example.").as_deref(), Some("a.example"));
        assert_eq!(normalise("[::1]:80").as_deref(), Some("[::1]"));
        for odd in [
            "",
            "a b",
            "a:b",
            "a:80:80",
            "a/b",
            "user@host",
            "[::1]x",
            "a:+80",
            "ü.example",
        ] {
            assert_eq!(normalise(odd), None, "{odd}");
        }
    }
}
