//! Whether the names of servers are resolved.

use std::net::IpAddr;
use std::time::Duration;

use tokio::net::lookup_host;
use tokio::time::timeout;

/// Longest wait for the answer to one name.
const PATIENCE: Duration = Duration::from_millis(900);

/// Why a host name leads to no address; `None` where it does. To be asked after a connection failed: where DNS is away,
/// that failure tells of a time limit only.
pub async fn unresolved(host: &str) -> Option<String> {
    if host.parse::<IpAddr>().is_ok() {
        return None;
    }
    let why = match timeout(PATIENCE, lookup_host((host, 0))).await {
        Ok(Ok(mut addresses)) => match addresses.next() {
            Some(_) => return None,
            None => "it has no address".to_owned(),
        },
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("DNS does not answer within {} ms", PATIENCE.as_millis()),
    };
    Some(format!("the name {host} is not resolved: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_name_without_an_address_is_told_and_an_address_is_not_asked_for() {
        let told = unresolved("nowhere.invalid").await.expect("no such name");
        let begin = "the name nowhere.invalid is not resolved: ";
        assert!(
            told.starts_with(begin) && told.len() > begin.len(),
            "{told}"
        );
        for host in ["localhost", "127.0.0.1", "::1", "192.0.2.1"] {
            assert_eq!(unresolved(host).await, None, "{host}");
        }
    }
}
