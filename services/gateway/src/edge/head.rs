//! Request heads: understood in one way only, or refused.

use std::borrow::Cow;

use chassis::Problem;
use gateway_routes::hostname;
use http::header::{CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use http::{HeaderMap, Method, Request, Version};

use super::refusal::{malformed, no_route};

/// What routing needs, checked.
#[derive(Debug)]
pub struct Head {
    /// Host, lower case, without port.
    pub host: String,
    /// `Host` as sent, for the backend.
    pub authority: String,
    /// Path in one spelling: no escaped letters, no dot segments.
    pub path: String,
}

/// Checks a request head.
pub fn check<B>(request: &Request<B>, max_bytes: u32) -> Result<Head, Problem> {
    if matches!(*request.method(), Method::CONNECT | Method::TRACE) {
        return Err(Problem::new(
            http::StatusCode::METHOD_NOT_ALLOWED,
            "method_not_allowed",
            "This method is not supported",
        ));
    }
    let headers = request.headers();
    let size: usize = headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len() + 4)
        .sum();
    if size > usize::try_from(max_bytes).unwrap_or(usize::MAX) {
        return Err(Problem::new(
            http::StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            "head_too_large",
            "The request head is too large",
        ));
    }
    framing(request.version(), headers)?;
    let authority = authority(request)?;
    let host = hostname::normalise(&authority).ok_or_else(|| malformed("The host is invalid"))?;
    let path = normalise(request.uri().path())
        .ok_or_else(|| malformed("The path is invalid"))?
        .into_owned();
    Ok(Head {
        host,
        authority,
        path,
    })
}

/// Refuses messages whose end two servers could place differently (request smuggling).
fn framing(version: Version, headers: &HeaderMap) -> Result<(), Problem> {
    let ambiguous = || malformed("The length of the request body is ambiguous");
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    let length = lengths.next();
    if lengths.next().is_some() {
        return Err(ambiguous());
    }
    if let Some(length) = length
        && (length.is_empty() || !length.as_bytes().iter().all(u8::is_ascii_digit))
    {
        return Err(ambiguous());
    }
    let mut encodings = headers.get_all(TRANSFER_ENCODING).iter();
    if let Some(encoding) = encodings.next() {
        let is_plain = encoding.as_bytes().eq_ignore_ascii_case(b"chunked");
        let fits = version == Version::HTTP_11 && length.is_none() && encodings.next().is_none();
        if !(is_plain && fits) {
            return Err(ambiguous());
        }
    }
    Ok(())
}

/// The one authority that a request names.
fn authority<B>(request: &Request<B>) -> Result<String, Problem> {
    let mut hosts = request.headers().get_all(HOST).iter();
    let host = hosts.next();
    if hosts.next().is_some() {
        return Err(malformed("There is more than one Host header"));
    }
    let host = host
        .map(|host| {
            host.to_str()
                .map_err(|_| malformed("The Host header is invalid"))
        })
        .transpose()?;
    let named = request.uri().authority().map(http::uri::Authority::as_str);
    match (named, host) {
        (Some(named), Some(host)) if !named.eq_ignore_ascii_case(host) => {
            Err(malformed("The Host header and the request target differ"))
        }
        (Some(name), _) | (None, Some(name)) => Ok(name.to_owned()),
        (None, None) => Err(malformed("The Host header is missing")),
    }
}

/// One spelling for one path. Escaped slashes, backslashes, zero bytes and dot segments mean
/// different things to different servers, so there is no path with them.
pub fn normalise(path: &str) -> Option<Cow<'_, str>> {
    if !path.starts_with('/') || path.contains('\\') {
        return None;
    }
    let path = if path.contains('%') {
        Cow::Owned(unescape(path)?)
    } else {
        Cow::Borrowed(path)
    };
    let has_dots = path.contains("/.") && path.split('/').any(|part| matches!(part, "." | ".."));
    // A path parameter can hide a dot segment: some servers cut `..;x` down to `..`.
    let hides_dots = path.contains("/.")
        && path
            .split('/')
            .any(|part| matches!(part.split(';').next(), Some("." | "..")));
    (!has_dots && !hides_dots).then_some(path)
}

/// Letters, digits and `-._~` need no escape and lose it; others keep theirs, in capitals.
fn unescape(path: &str) -> Option<String> {
    let mut plain = String::with_capacity(path.len());
    let mut rest = path;
    while let Some(at) = rest.find('%') {
        plain.push_str(&rest[..at]);
        let digits = rest.get(at + 1..at + 3)?;
        if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        let byte = u8::from_str_radix(digits, 16).ok()?;
        match byte {
            b'/' | b'\\' | 0..=0x1f | 0x7f => return None,
            b'-' | b'.' | b'_' | b'~' => plain.push(char::from(byte)),
            _ if byte.is_ascii_alphanumeric() => plain.push(char::from(byte)),
            _ => {
                plain.push('%');
                plain.push_str(&digits.to_ascii_uppercase());
            }
        }
        rest = &rest[at + 3..];
    }
    plain.push_str(rest);
    Some(plain)
}

/// Refuses the paths that services only call among themselves: no route may expose them.
pub fn refuse_internal(path: &str) -> Result<(), Problem> {
    if is_internal(path) {
        return Err(no_route());
    }
    Ok(())
}

/// Whether the first segment is `internal`, in any spelling that a server could take for it.
fn is_internal(path: &str) -> bool {
    let first = path.split('/').find(|segment| !segment.is_empty());
    first.is_some_and(|first| {
        // A path parameter: some servers cut `internal;x` down to `internal`.
        let name = first.split(';').next().unwrap_or_default();
        name.eq_ignore_ascii_case("internal")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_has_one_spelling() {
        let same = |path: &str| normalise(path).map(Cow::into_owned);
        assert_eq!(same("/a/b").as_deref(), Some("/a/b"));
        assert_eq!(same("/%61/%7euser").as_deref(), Some("/a/~user"));
        assert_eq!(same("/a%20b%c3%a9").as_deref(), Some("/a%20b%C3%A9"));
        assert_eq!(
            same("/.well-known/jwks.json").as_deref(),
            Some("/.well-known/jwks.json")
        );
        assert_eq!(same("/a/...").as_deref(), Some("/a/..."));
    }

    #[test]
    fn paths_that_servers_read_differently_are_refused() {
        let odd = [
            "a",
            "*",
            "/a/../b",
            "/a/..",
            "/./a",
            "/a/%2e%2e/b",
            "/a/%2E./b",
            "/a%2fb",
            "/a%2Fb",
            "/a%5cb",
            "/a\\b",
            "/a%00",
            "/a%0d%0a",
            "/a%",
            "/a%2",
            "/a%zz",
            "/a%+1",
            "/a/..;x/b",
        ];
        for path in odd {
            assert_eq!(normalise(path), None, "{path}");
        }
    }

    #[test]
    fn internal_paths_are_recognised_in_every_spelling() {
        for path in [
            "/internal",
            "/internal/v1",
            "//internal/v1",
            "/Internal",
            "/internal;x/v1",
        ] {
            assert!(is_internal(path), "{path}");
        }
        for path in ["/", "/v1/internal", "/internals"] {
            assert!(!is_internal(path), "{path}");
        }
        assert!(is_internal(&normalise("/%69nternal/v1").expect("a path")));
    }
}
