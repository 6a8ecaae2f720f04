//! Conditions on one request, compiled.

use http::{HeaderMap, HeaderName, HeaderValue, Method};

use crate::api::{HTTPRouteMatch, HTTPRouteRule, HTTPValueMatch};
use crate::path;

/// The parts of a request that routing depends on.
#[derive(Clone, Copy, Debug)]
pub struct RequestHead<'a> {
    /// Normalised host, see [`crate::hostname::normalise`].
    pub host: &'a str,
    /// Path in the spelling of [`crate::path::normalise`].
    pub path: &'a str,
    /// Query as sent.
    pub query: Option<&'a str>,
    /// Method.
    pub method: &'a Method,
    /// Headers.
    pub headers: &'a HeaderMap,
}

/// A condition on the path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathMatch {
    /// The whole path.
    Exact(Box<str>),
    /// Whole segments from the front; no slash at the end, so `/` is the empty text.
    Prefix(Box<str>),
}

/// One entry of a rule's `matches`.
#[derive(Clone, Debug)]
pub struct Match {
    /// On the path.
    pub path: PathMatch,
    /// On everything else.
    pub rest: Predicates,
}

/// The conditions that an index cannot decide.
#[derive(Clone, Debug, Default)]
pub struct Predicates {
    pub(crate) method: Option<Method>,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    pub(crate) query: Vec<(Box<str>, Box<str>)>,
}

impl Predicates {
    /// Whether all of them hold.
    pub fn hold(&self, head: &RequestHead<'_>) -> bool {
        self.method
            .as_ref()
            .is_none_or(|method| method == head.method)
            && self
                .headers
                .iter()
                .all(|(name, value)| header_is(head.headers, name, value))
            && self
                .query
                .iter()
                .all(|(name, value)| query_is(head.query, name, value))
    }
}

/// Several fields of one name count as one, joined by commas.
fn header_is(headers: &HeaderMap, name: &HeaderName, wanted: &HeaderValue) -> bool {
    let mut values = headers.get_all(name).iter();
    let Some(first) = values.next() else {
        return false;
    };
    let Some(second) = values.next() else {
        return first == wanted;
    };
    let mut joined = first.as_bytes().to_vec();
    for value in std::iter::once(second).chain(values) {
        joined.push(b',');
        joined.extend_from_slice(value.as_bytes());
    }
    joined == wanted.as_bytes()
}

/// Of a repeated parameter, the first value counts.
fn query_is(query: Option<&str>, name: &str, wanted: &str) -> bool {
    query
        .unwrap_or_default()
        .split('&')
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .find(|(key, _)| decodes_to(key, name))
        .is_some_and(|(_, value)| decodes_to(value, wanted))
}

/// Compares form-encoded text with plain text, without building the decoded form.
fn decodes_to(encoded: &str, plain: &str) -> bool {
    let mut encoded = encoded.bytes();
    let mut plain = plain.bytes();
    while let Some(byte) = encoded.next() {
        let decoded = match byte {
            b'+' => b' ',
            b'%' => {
                let mut ahead = encoded.clone();
                match (ahead.next().and_then(hex), ahead.next().and_then(hex)) {
                    (Some(high), Some(low)) => {
                        encoded = ahead;
                        high << 4 | low
                    }
                    _ => b'%',
                }
            }
            other => other,
        };
        if plain.next() != Some(decoded) {
            return false;
        }
    }
    plain.next().is_none()
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit)
        .to_digit(16)
        .and_then(|value| u8::try_from(value).ok())
}

/// Compiles the matches of a rule; the first one that is not supported is the error.
pub(crate) fn read_all(rule: &HTTPRouteRule) -> Result<Vec<Match>, String> {
    match rule.matches.as_deref() {
        None | Some([]) => Ok(vec![Match {
            path: PathMatch::Prefix("".into()),
            rest: Predicates::default(),
        }]),
        Some(matches) => matches.iter().map(read).collect(),
    }
}

fn read(source: &HTTPRouteMatch) -> Result<Match, String> {
    let condition = source.path.as_ref();
    let value = condition
        .and_then(|path| path.value.as_deref())
        .unwrap_or("/");
    let value = path::read(value)?;
    let path = match condition
        .and_then(|path| path.type_.as_deref())
        .unwrap_or("PathPrefix")
    {
        "Exact" => PathMatch::Exact(value.into()),
        "PathPrefix" => PathMatch::Prefix(value.trim_end_matches('/').into()),
        other => return Err(format!("path match type {other} is not supported")),
    };
    let method = source
        .method
        .as_deref()
        .map(str::parse::<Method>)
        .transpose();
    let mut rest = Predicates {
        method: method.map_err(|_| "the method is invalid".to_owned())?,
        ..Predicates::default()
    };
    for header in source.headers.iter().flatten() {
        exact_only(header)?;
        let name: HeaderName = header
            .name
            .parse()
            .map_err(|_| format!("{:?} is not a header", header.name))?;
        let value = HeaderValue::from_str(&header.value)
            .map_err(|_| format!("the value of header {name} is invalid"))?;
        if rest.headers.iter().all(|(other, _)| *other != name) {
            rest.headers.push((name, value));
        }
    }
    for parameter in source.query_params.iter().flatten() {
        exact_only(parameter)?;
        if rest
            .query
            .iter()
            .all(|(other, _)| **other != *parameter.name)
        {
            rest.query.push((
                parameter.name.as_str().into(),
                parameter.value.as_str().into(),
            ));
        }
    }
    Ok(Match { path, rest })
}

fn exact_only(source: &HTTPValueMatch) -> Result<(), String> {
    match source.type_.as_deref().unwrap_or("Exact") {
        "Exact" => Ok(()),
        other => Err(format!(
            "match type {other} of {} is not supported",
            source.name
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn query_parameters_compare_decoded_and_the_first_value_counts() {
        let query = Some("a=1&b=x%20y&c=p+q&b=other&empty&d=%zz");
        assert!(query_is(query, "a", "1"));
        assert!(query_is(query, "b", "x y"));
        assert!(!query_is(query, "b", "other"));
        assert!(query_is(query, "c", "p q"));
        assert!(query_is(query, "empty", ""));
        assert!(query_is(query, "d", "%zz"));
        assert!(!query_is(query, "missing", ""));
        assert!(!query_is(None, "a", "1"));
    }

    #[test]
    fn repeated_headers_count_as_one_joined_value() {
        let mut headers = HeaderMap::new();
        headers.append("x-color", HeaderValue::from_static("red"));
        let name = HeaderName::from_static("x-color");
        assert!(header_is(&headers, &name, &HeaderValue::from_static("red")));
        headers.append("x-color", HeaderValue::from_static("blue"));
        assert!(!header_is(
            &headers,
            &name,
            &HeaderValue::from_static("red")
        ));
        assert!(header_is(
            &headers,
            &name,
            &HeaderValue::from_static("red,blue")
        ));
    }
}
