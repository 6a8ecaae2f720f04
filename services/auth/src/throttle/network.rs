//! The network of the client, from `x-forwarded-for`.

use std::convert::Infallible;
use std::net::IpAddr;

use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::request::Parts;

use super::domain::{neighbourhood_of, network_of};

/// The network of the client. The gateway replaces `x-forwarded-for` by the address of the client. Where
/// another data plane appends to it, only the last address is certain: a client may send any before it.
/// Requests that did not pass a gateway come from the shop's own pods and share one network.
pub struct Network {
    /// The client's own.
    pub client: String,
    /// The wider one around it.
    pub neighbourhood: String,
}

impl<S: Send + Sync> FromRequestParts<S> for Network {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let hop = last_hop(&parts.headers);
        let or_direct = |name: Option<String>| name.unwrap_or_else(|| "direct".to_owned());
        Ok(Self {
            client: or_direct(hop.map(network_of)),
            neighbourhood: or_direct(hop.map(neighbourhood_of)),
        })
    }
}

fn last_hop(headers: &HeaderMap) -> Option<IpAddr> {
    let last = headers.get_all("x-forwarded-for").iter().next_back()?;
    last.to_str().ok()?.rsplit(',').next()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_hop_is_used() {
        let mut headers = HeaderMap::new();
        assert_eq!(last_hop(&headers), None);
        headers.append("x-forwarded-for", "198.51.100.1".parse().unwrap());
        headers.append("x-forwarded-for", "10.0.0.1, 203.0.113.9".parse().unwrap());
        assert_eq!(last_hop(&headers), Some("203.0.113.9".parse().unwrap()));
        headers.append("x-forwarded-for", "not an address".parse().unwrap());
        assert_eq!(last_hop(&headers), None);
    }
}
