//! Whether the bus works for a service.

use std::error::Error;
use std::time::Duration;

use bus::Transport;

/// A publish that is not acknowledged in this time is not, where a server is asked whether it takes one.
const ACKNOWLEDGED: Duration = Duration::from_millis(1_500);

/// Whether there is a connection to the bus.
pub(crate) fn connected(bus: &dyn Transport) -> Result<(), String> {
    let system = bus.system();
    match bus.connection() {
        Some(_) => Ok(()),
        None if bus.is_refused() => Err(format!("{system} refuses this service's credentials")),
        None => Err(format!("there is no connection to {system}")),
    }
}

/// Whether the bus acknowledges what the service called `name` publishes with its own user.
pub(crate) async fn takes(bus: &dyn Transport, name: &str) -> Result<(), String> {
    let system = bus.system();
    match tokio::time::timeout(ACKNOWLEDGED, bus.try_publish(name)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => {
            let cause = error.source().map(|cause| format!(": {cause}"));
            let cause = cause.unwrap_or_default();
            Err(format!("{system} takes no event: {error}{cause}"))
        }
        // A publish without the right to it is not answered.
        Err(_) => Err(format!(
            "{system} acknowledges nothing that is published with this service's credentials"
        )),
    }
}

#[cfg(test)]
mod tests {
    use bus::nats::{Login, connect};
    use testkit::{eventually, nats_configured};

    use super::*;

    const USERS: &str = r#"jetstream { store_dir: "/data" }
authorization { users: [
    { user: "may", password: "x" },
    { user: "may-not", password: "x", permissions: { publish: { deny: ["shop.check.order"] } } },
] }
"#;

    #[tokio::test]
    async fn a_bus_that_takes_nothing_from_a_service_is_told_with_the_reason() {
        let server = nats_configured(USERS).await;
        let login = |user| Login {
            credentials: Some((user, "x")),
            ..Login::default()
        };
        let url = server.url();
        let may = connect(&url, login("may"), "test", 1).await.expect("one");
        eventually("it is connected", || async { connected(&*may).ok() }).await;
        let told = takes(&*may, "order").await.unwrap_err();
        assert!(
            told.starts_with("nats takes no event: failed to publish: "),
            "{told}"
        );
        may.ensure_stream().await.expect("the stream is made");
        assert_eq!(takes(&*may, "order").await, Ok(()));

        let may_not = connect(&url, login("may-not"), "test", 1)
            .await
            .expect("one");
        eventually("it is connected", || async { connected(&*may_not).ok() }).await;
        let told = takes(&*may_not, "order").await.unwrap_err();
        assert_eq!(
            told,
            "nats acknowledges nothing that is published with this service's credentials"
        );
        drop(server);
        let lost = eventually("the loss is told", || async { connected(&*may).err() }).await;
        assert_eq!(lost, "there is no connection to nats");
    }

    #[tokio::test]
    async fn a_bus_that_refuses_the_login_is_told_from_one_that_is_away() {
        let server = nats_configured(USERS).await;
        let login = Login {
            credentials: Some(("may", "not this")),
            ..Login::default()
        };
        let url = server.url();
        let bus = connect(&url, login, "test", 1).await.expect("one");
        let told = |text: &'static str| {
            let bus = &bus;
            eventually(text, move || async move {
                connected(&**bus).err().filter(|told| told == text)
            })
        };
        told("nats refuses this service's credentials").await;
        drop(server);
        told("there is no connection to nats").await;
    }
}
