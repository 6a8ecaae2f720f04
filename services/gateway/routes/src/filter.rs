//! Filters, compiled: changes of requests and responses.

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{StatusCode, Uri};

use crate::api::{
    HTTPHeader, HTTPHeaderFilter, HTTPPathModifier, HTTPRequestRedirect, HTTPRouteFilter,
    HTTPURLRewrite,
};

/// Headers that frame a message: no route may touch them.
const FRAMING: [HeaderName; 7] = [
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::PROXY_AUTHENTICATE,
];

/// All filters of a rule or of a backend.
#[derive(Debug, Default)]
pub struct Filters {
    /// Changes to the request's headers.
    pub request: HeaderOps,
    /// Changes to the response's headers.
    pub response: HeaderOps,
    /// Responds with a redirect instead of forwarding.
    pub redirect: Option<Redirect>,
    /// Changes host and path for the backend.
    pub rewrite: Option<Rewrite>,
}

/// Header changes: set, then add, then remove.
#[derive(Debug, Default)]
pub struct HeaderOps {
    set: Vec<(HeaderName, HeaderValue)>,
    add: Vec<(HeaderName, HeaderValue)>,
    remove: Vec<HeaderName>,
}

impl HeaderOps {
    /// Applies the changes.
    pub fn apply(&self, headers: &mut HeaderMap) {
        for (name, value) in &self.set {
            headers.insert(name, value.clone());
        }
        for (name, value) in &self.add {
            headers.append(name, value.clone());
        }
        for name in &self.remove {
            headers.remove(name);
        }
    }

    fn read(filter: &HTTPHeaderFilter) -> Result<Self, String> {
        let pairs = |list: &Option<Vec<HTTPHeader>>| {
            list.iter()
                .flatten()
                .map(pair)
                .collect::<Result<Vec<_>, _>>()
        };
        let remove = filter
            .remove
            .iter()
            .flatten()
            .map(|name| header_name(name))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            set: pairs(&filter.set)?,
            add: pairs(&filter.add)?,
            remove,
        })
    }
}

fn pair(header: &HTTPHeader) -> Result<(HeaderName, HeaderValue), String> {
    let value = HeaderValue::from_str(&header.value)
        .map_err(|_| format!("the value of header {} is invalid", header.name))?;
    Ok((header_name(&header.name)?, value))
}

fn header_name(name: &str) -> Result<HeaderName, String> {
    let name: HeaderName = name
        .parse()
        .map_err(|_| format!("{name:?} is not the name of a header"))?;
    if FRAMING.contains(&name) {
        return Err(format!(
            "header {name} frames the message and cannot be changed"
        ));
    }
    Ok(name)
}

/// A redirect.
#[derive(Debug)]
pub struct Redirect {
    /// The status of the response.
    pub status: StatusCode,
    scheme: Option<Box<str>>,
    hostname: Option<Box<str>>,
    port: Option<u16>,
    path: Option<PathChange>,
}

/// The URL of a request, for a redirect that keeps parts of it.
#[derive(Clone, Copy, Debug)]
pub struct Origin<'a> {
    /// `http` or `https`.
    pub scheme: &'a str,
    /// Host without port.
    pub host: &'a str,
    /// The listener's port.
    pub port: u16,
    /// The request's path.
    pub path: &'a str,
    /// The request's query.
    pub query: Option<&'a str>,
    /// The prefix that the rule matched.
    pub prefix: &'a str,
}

impl Redirect {
    /// The value of `Location`.
    pub fn location(&self, from: &Origin<'_>) -> String {
        let scheme = self.scheme.as_deref().unwrap_or(from.scheme);
        let well_known = match scheme {
            "http" => Some(80),
            "https" => Some(443),
            _ => None,
        };
        let port = self.port.or(if self.scheme.is_some() {
            well_known
        } else {
            None
        });
        let port = port.unwrap_or(from.port);
        let host = self.hostname.as_deref().unwrap_or(from.host);
        let mut location = format!("{scheme}://{host}");
        if Some(port) != well_known {
            location.push(':');
            location.push_str(&port.to_string());
        }
        match &self.path {
            Some(change) => location.push_str(&change.apply(from.path, from.prefix)),
            None => location.push_str(from.path),
        }
        if let Some(query) = from.query {
            location.push('?');
            location.push_str(query);
        }
        location
    }

    fn read(filter: &HTTPRequestRedirect) -> Result<Self, String> {
        let code = filter.status_code.unwrap_or(302);
        let status = match code {
            301 | 302 | 303 | 307 | 308 => StatusCode::from_u16(code).ok(),
            _ => None,
        };
        if let Some(scheme) = filter.scheme.as_deref()
            && !matches!(scheme, "http" | "https")
        {
            return Err(format!("redirect scheme {scheme} is not supported"));
        }
        Ok(Self {
            status: status.ok_or_else(|| format!("redirect status {code} is not supported"))?,
            scheme: filter.scheme.as_deref().map(Into::into),
            hostname: filter.hostname.as_deref().map(Into::into),
            port: filter.port,
            path: filter.path.as_ref().map(PathChange::read).transpose()?,
        })
    }
}

/// A rewrite of the URL for the backend.
#[derive(Debug)]
pub struct Rewrite {
    /// The new `Host`.
    pub hostname: Option<HeaderValue>,
    /// The new path.
    pub path: Option<PathChange>,
}

impl Rewrite {
    fn read(filter: &HTTPURLRewrite) -> Result<Self, String> {
        let hostname = filter
            .hostname
            .as_deref()
            .map(HeaderValue::from_str)
            .transpose();
        Ok(Self {
            hostname: hostname.map_err(|_| "the rewritten hostname is invalid".to_owned())?,
            path: filter.path.as_ref().map(PathChange::read).transpose()?,
        })
    }
}

/// A change of the path; the query stays.
#[derive(Debug, PartialEq, Eq)]
pub enum PathChange {
    /// Replaces all of it.
    Full(Box<str>),
    /// Replaces the prefix that the rule matched.
    Prefix(Box<str>),
}

impl PathChange {
    /// The new path; `prefix` is what the rule matched, without a slash at its end.
    pub fn apply(&self, path: &str, prefix: &str) -> String {
        match self {
            Self::Full(full) if full.starts_with('/') => full.to_string(),
            Self::Full(full) => format!("/{full}"),
            Self::Prefix(replacement) => {
                let rest = path.strip_prefix(prefix).unwrap_or(path);
                let front = replacement.trim_end_matches('/');
                let mut joined = format!("{front}{rest}");
                if !joined.starts_with('/') {
                    joined.insert(0, '/');
                }
                joined
            }
        }
    }

    fn read(change: &HTTPPathModifier) -> Result<Self, String> {
        let value = match (
            change.type_.as_str(),
            change.replace_full_path.as_deref(),
            change.replace_prefix_match.as_deref(),
        ) {
            ("ReplaceFullPath", Some(full), _) => Self::Full(full.into()),
            ("ReplacePrefixMatch", _, Some(prefix)) => Self::Prefix(prefix.into()),
            (other, ..) => return Err(format!("path modifier {other} is not supported")),
        };
        let (Self::Full(text) | Self::Prefix(text)) = &value;
        if !text.is_empty()
            && text.parse::<Uri>().is_err()
            && format!("/{text}").parse::<Uri>().is_err()
        {
            return Err(format!("{text:?} is not a path"));
        }
        Ok(value)
    }
}

impl Filters {
    /// Compiles the filters of a rule; the first one that is not supported is the error.
    pub(crate) fn read(list: Option<&[HTTPRouteFilter]>) -> Result<Self, String> {
        let mut filters = Self::default();
        for filter in list.unwrap_or_default() {
            let missing = || format!("filter {} has no settings", filter.type_);
            match filter.type_.as_str() {
                "RequestHeaderModifier" => {
                    let settings = filter
                        .request_header_modifier
                        .as_ref()
                        .ok_or_else(missing)?;
                    filters.request = HeaderOps::read(settings)?;
                }
                "ResponseHeaderModifier" => {
                    let settings = filter
                        .response_header_modifier
                        .as_ref()
                        .ok_or_else(missing)?;
                    filters.response = HeaderOps::read(settings)?;
                }
                "RequestRedirect" => {
                    let settings = filter.request_redirect.as_ref().ok_or_else(missing)?;
                    filters.redirect = Some(Redirect::read(settings)?);
                }
                "URLRewrite" => {
                    let settings = filter.url_rewrite.as_ref().ok_or_else(missing)?;
                    filters.rewrite = Some(Rewrite::read(settings)?);
                }
                other => return Err(format!("filter {other} is not supported")),
            }
        }
        if filters.redirect.is_some() && filters.rewrite.is_some() {
            return Err("RequestRedirect and URLRewrite exclude each other".to_owned());
        }
        Ok(filters)
    }

    /// Compiles the filters of a backend, which may only change headers.
    pub(crate) fn read_backend(list: Option<&[HTTPRouteFilter]>) -> Result<Self, String> {
        let filters = Self::read(list)?;
        if filters.redirect.is_some() || filters.rewrite.is_some() {
            return Err("a backend's filters may only change headers".to_owned());
        }
        Ok(filters)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replaced_prefix_joins_without_doubled_or_lost_slashes() {
        let cases = [
            ("/foo", "/foo/bar", "/xyz", "/xyz/bar"),
            ("/foo", "/foo/bar", "/xyz/", "/xyz/bar"),
            ("/foo", "/foo", "/xyz", "/xyz"),
            ("/foo", "/foo/", "/xyz", "/xyz/"),
            ("/foo", "/foo/bar", "", "/bar"),
            ("/foo", "/foo/bar", "/", "/bar"),
            ("/foo", "/foo", "", "/"),
            ("/foo", "/foo/", "/", "/"),
            ("", "/bar", "/xyz", "/xyz/bar"),
        ];
        for (prefix, path, replacement, expected) in cases {
            let change = PathChange::Prefix(replacement.into());
            assert_eq!(
                change.apply(path, prefix),
                expected,
                "{prefix} {path} {replacement}"
            );
        }
    }

    #[test]
    fn a_redirect_names_a_port_only_when_the_scheme_does_not_imply_it() {
        let redirect = |scheme: Option<&str>, port| Redirect {
            status: StatusCode::FOUND,
            scheme: scheme.map(Into::into),
            hostname: None,
            port,
            path: None,
        };
        let from = Origin {
            scheme: "http",
            host: "a.example",
            port: 8080,
            path: "/x",
            query: Some("q=1"),
            prefix: "",
        };
        let cases = [
            (None, None, "http://a.example:8080/x?q=1"),
            (Some("https"), None, "https://a.example/x?q=1"),
            (Some("https"), Some(8443), "https://a.example:8443/x?q=1"),
            (None, Some(80), "http://a.example/x?q=1"),
            (Some("http"), Some(443), "http://a.example:443/x?q=1"),
        ];
        for (scheme, port, expected) in cases {
            assert_eq!(redirect(scheme, port).location(&from), expected);
        }
    }
}
