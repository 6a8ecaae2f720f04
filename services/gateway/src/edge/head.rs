//! Request heads: understood in one way only, or refused.

use chassis::Problem;
use gateway_routes::{hostname, path};
use http::header::{CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use http::{HeaderMap, Method, Request, Version};

use super::refusal::{head_too_large, malformed, no_route};

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
        return Err(head_too_large());
    }
    framing(request.version(), headers)?;
    let authority = authority(request)?;
    let host = hostname::normalise(&authority).ok_or_else(|| malformed("The host is invalid"))?;
    let path = path::normalise(request.uri().path())
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
        assert!(is_internal(
            &path::normalise("/%69nternal/v1").expect("a path")
        ));
    }
}
