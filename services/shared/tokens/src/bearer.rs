//! The credential of a request (RFC 6750).

use http::HeaderMap;
use http::header::AUTHORIZATION;

/// There is an `Authorization` header, but it is not exactly one bearer credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the Authorization header is not one bearer credential")]
pub struct MalformedCredential;

/// The credential of `Authorization: Bearer`; `None` without the header.
///
/// Two headers are refused: which of them counts would be a guess that two servers may make differently.
pub fn bearer(headers: &HeaderMap) -> Result<Option<&str>, MalformedCredential> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let value = match (values.next(), values.next()) {
        (None, _) => return Ok(None),
        (Some(value), None) => value,
        (Some(_), Some(_)) => return Err(MalformedCredential),
    };
    value
        .to_str()
        .ok()
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, credential)| {
            scheme.eq_ignore_ascii_case("bearer") && is_b64token(credential)
        })
        .map(|(_, credential)| Some(credential))
        .ok_or(MalformedCredential)
}

/// `b64token` of RFC 6750: nothing in it needs quoting, so it can be logged, compared and split safely.
fn is_b64token(text: &str) -> bool {
    let allowed = |byte: u8| {
        byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'+' | b'/')
    };
    let body = text.trim_end_matches('=');
    !body.is_empty() && body.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn headers(values: &[&'static str]) -> HeaderMap {
        let pairs = values
            .iter()
            .map(|value| (AUTHORIZATION, HeaderValue::from_static(value)));
        pairs.collect()
    }

    #[test]
    fn one_bearer_credential_is_read_whatever_the_case_of_the_scheme() {
        assert_eq!(bearer(&headers(&[])), Ok(None));
        for value in ["Bearer a.b.c", "bearer a.b.c", "BEARER a.b.c"] {
            assert_eq!(bearer(&headers(&[value])), Ok(Some("a.b.c")), "{value}");
        }
        assert_eq!(
            bearer(&headers(&["Bearer s3cret+/~=="])),
            Ok(Some("s3cret+/~=="))
        );
    }

    #[test]
    fn anything_else_in_the_header_is_refused() {
        for value in [
            "Basic cm9vdDpyb290",
            "Bearer",
            "Bearer ",
            "Bearer =",
            "bearer  a.b.c",
            "Bearer a b",
            "Bearer a,b",
            "Bearer \"a\"",
            "a.b.c",
            "",
        ] {
            assert_eq!(
                bearer(&headers(&[value])),
                Err(MalformedCredential),
                "{value}"
            );
        }
        let two = headers(&["Bearer a.b.c", "Bearer a.b.c"]);
        assert_eq!(bearer(&two), Err(MalformedCredential));
    }
}
