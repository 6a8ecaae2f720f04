//! (o) What a shop does by default about guessed passwords and many registrations, and a shop that has addresses
//! confirmed.

use std::cell::Cell;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use e2e::eventually;
use e2e::mail::Inbox;
use e2e::shop::{Answer, PASSWORD};
use serde_json::{Value, json};

use crate::support::{READY, ShopFixture};

/// How long a mail may take.
const MAIL: Duration = Duration::from_secs(60);

fn log_in(fixture: &ShopFixture, email: &str, more: &Value) -> anyhow::Result<Answer> {
    let mut body = json!({ "email": email, "password": PASSWORD });
    if let (Some(body), Some(more)) = (body.as_object_mut(), more.as_object()) {
        body.extend(more.clone());
    }
    fixture.shop.post("/v1/users/login", None, &body)
}

fn register(fixture: &ShopFixture, name: &str, email: &str) -> anyhow::Result<Answer> {
    let body = json!({ "username": name, "email": email, "password": PASSWORD });
    fixture.shop.post("/v1/users/register", None, &body)
}

fn change(fixture: &ShopFixture, registrations: &Value) -> anyhow::Result<()> {
    let patch = json!({ "spec": { "accounts": { "registrations": registrations } } }).to_string();
    fixture.run(&["patch", "storefront/shop", "--type=merge", "-p", &patch])?;
    Ok(())
}

#[test]
fn who_guesses_waits_and_nobody_else_does() -> anyhow::Result<()> {
    let fixture = ShopFixture::start("guesses")?;
    let (ada, bob) = (fixture.shop.register("ada")?, fixture.shop.register("bob")?);
    let device = log_in(&fixture, &ada.email, &json!({}))?.expect(200)?["refresh_token"].clone();
    let wrong = json!({ "password": "not her password" });
    for _ in 0..5 {
        log_in(&fixture, &ada.email, &wrong)?.expect(401)?;
    }
    log_in(&fixture, &ada.email, &wrong)?.expect(429)?;
    // All of these are one client to the shop.
    log_in(&fixture, &bob.email, &json!({}))?.expect(200)?;
    let with_token = json!({ "refresh_token": device });
    log_in(&fixture, &ada.email, &with_token)?.expect(200)?;
    // Whoever empties the cache lifts nothing.
    fixture.run(&[
        "delete",
        "pod",
        "-l",
        "app.kubernetes.io/instance=shop-redis",
    ])?;
    log_in(&fixture, &ada.email, &wrong)?.expect(429)?;

    // With the limits that a shop has by default.
    change(&fixture, &json!({ "perClient": null, "perNetwork": null }))?;
    let made = Cell::new(2);
    eventually("one client has registered enough", READY, || {
        let name = format!("guest-{}", made.get());
        let answer = register(&fixture, &name, &format!("{name}@guests.test"))?;
        if answer.status == 201 {
            made.set(made.get() + 1);
        }
        answer.expect(429)
    })?;
    ensure!(made.get() >= 10, "only {} could register", made.get());
    Ok(())
}

#[test]
fn an_address_is_confirmed_and_a_taken_one_is_not_revealed() -> anyhow::Result<()> {
    let fixture = ShopFixture::start("confirmed")?;
    let inbox = Inbox::of(&fixture.kubectl)?;
    let ada = fixture.shop.register("ada")?;
    change(&fixture, &json!({ "confirmAddresses": true }))?;
    let tries = Cell::new(0);
    let (email, answer) = eventually("registrations wait for a code", READY, || {
        tries.set(tries.get() + 1);
        let email = format!("carol-{}@confirmed.test", tries.get());
        let answer = register(&fixture, &format!("carol-{}", tries.get()), &email)?;
        Ok((email, answer.expect(202)?))
    })?;
    ensure!(answer["email"] == email.as_str(), "{answer}");
    log_in(&fixture, &email, &json!({}))?.expect(401)?;

    let mail = |to: &str, about: &str| {
        eventually(&format!("a mail to {to}"), MAIL, || {
            let mut all = inbox.to(to)?.into_iter();
            let found = all.find(|mail| {
                let subject = mail["Subject"].as_str();
                subject.is_some_and(|subject| subject.contains(about))
            });
            inbox.text(&found.with_context(|| format!("no mail about {about}"))?)
        })
    };
    let text = mail(&email, "Confirm your address")?;
    let code = text.split("24 hours: ").nth(1);
    let code = code.and_then(|rest| rest.split('.').next());
    let code = json!({ "code": code.context("no code in the mail")? });
    fixture
        .shop
        .post("/v1/users/confirm", None, &code)?
        .expect(201)?;
    log_in(&fixture, &email, &json!({}))?.expect(200)?;

    let taken = register(&fixture, "somebody", &ada.email)?.expect(202)?;
    ensure!(taken["email"] == ada.email.as_str(), "{taken}");
    mail(&ada.email, "already have an account")?;
    Ok(())
}
