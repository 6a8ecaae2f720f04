//! (l) A mail server that takes no mail is named, costs nobody an order, and is forgotten once it is put right.

use std::time::Duration;

use anyhow::ensure;
use e2e::eventually;

use crate::support::{CATALOGUE, ShopFixture};

/// The pod with the new settings is up and has looked at the mail server, and the kubelet has told the operator what it says.
const TOLD: Duration = Duration::from_secs(60);

fn send_through(fixture: &ShopFixture, host: &str) -> anyhow::Result<()> {
    let smtp =
        format!(r#"{{"spec":{{"notifications":{{"email":{{"smtp":{{"host":"{host}"}}}}}}}}}}"#);
    fixture.run(&["patch", "storefront/shop", "--type=merge", "-p", &smtp])?;
    Ok(())
}

/// Status and message of a condition of the shop.
fn told(fixture: &ShopFixture, condition: &str) -> anyhow::Result<(String, String)> {
    let told = fixture.condition("storefront/shop", condition)?;
    let text = |field: &str| told[field].as_str().unwrap_or_default().to_owned();
    Ok((text("status"), text("message")))
}

#[test]
fn a_mail_server_that_is_not_there_is_a_condition_and_orders_go_on() -> anyhow::Result<()> {
    let fixture = ShopFixture::borrow("badmail")?;
    let shop = &fixture.shop;
    shop.import(&fixture.administrator()?, CATALOGUE)?;
    send_through(&fixture, "nobody.invalid")?;
    // Nobody has ordered or registered: no mail has been tried.
    eventually("the mail server is named", TOLD, || {
        let (status, message) = told(&fixture, "MailReady")?;
        ensure!(
            status == "False" && message.contains("nobody.invalid"),
            "{status}: {message}"
        );
        let (ready, _) = told(&fixture, "Ready")?;
        ensure!(ready == "False", "Ready is {ready}");
        Ok(())
    })?;
    let shopper = shop.register("shopper")?;
    let product = shop.first_product()?;
    shop.order(&shopper, "one", &[&product])?.expect(201)?;
    send_through(&fixture, "mailpit.mail.svc.cluster.local")?;
    eventually("mails go out again", TOLD, || {
        let (status, message) = told(&fixture, "MailReady")?;
        ensure!(status == "True", "{status}: {message}");
        Ok(())
    })?;
    fixture.give_back()
}
