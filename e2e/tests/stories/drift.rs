//! (c) A deleted child comes back, a changed one is put right.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use e2e::database::Server;
use e2e::eventually;

use crate::support::{READY, ShopFixture};

const SOON: Duration = Duration::from_secs(60);

#[test]
fn a_deleted_child_comes_back_and_a_changed_one_is_put_right() -> anyhow::Result<()> {
    let fixture = ShopFixture::borrow("drift")?;

    for child in [
        "service/shop-order",
        "deployment/shop-order",
        "httproute",
        "networkpolicy",
    ] {
        let name = if child.contains('/') {
            child.to_owned()
        } else {
            let names = fixture.kubectl.names(fixture.namespace(), child, "")?;
            names.into_iter().next().context("none to delete")?
        };
        let uid = || anyhow::Ok(fixture.get(&name)?["metadata"]["uid"].clone());
        let before = uid()?;
        fixture.run(&["delete", &name, "--wait=true"])?;
        eventually(&format!("{name} is back"), SOON, || {
            ensure!(uid()? != before, "{name} is still the old one");
            Ok(())
        })?;
    }

    let patch = r#"{"spec":{"template":{"spec":{"terminationGracePeriodSeconds":31}}}}"#;
    fixture.run(&[
        "patch",
        "deployment/shop-order",
        "--type=merge",
        "-p",
        patch,
    ])?;
    eventually("the deployment is put right", SOON, || {
        let pods = &fixture.get("deployment/shop-order")?["spec"]["template"]["spec"];
        let seen = &pods["terminationGracePeriodSeconds"];
        ensure!(*seen != 31, "the grace period is still 31");
        Ok(())
    })?;
    fixture.give_back()
}

#[test]
fn a_role_that_somebody_dropped_in_the_database_comes_back() -> anyhow::Result<()> {
    let fixture = ShopFixture::borrow("rolegone")?;
    let namespace = fixture.namespace();
    let username = fixture
        .kubectl
        .credential(namespace, "shop-web", "username");
    ensure!(
        username.is_err(),
        "the web page has no database, and so no Secret"
    );
    let username = fixture
        .kubectl
        .credential(namespace, "shop-user", "username")?;
    let server = Server::of(&fixture.kubectl, namespace, "shop");
    let psql = |sql: &str| server.query("postgres", sql);
    psql(&format!("alter role \"{username}\" nologin"))?;
    // A change of the binding asks for a look at once; without one it is the next audit.
    fixture.run(&[
        "annotate",
        "databasebinding/shop-user",
        "e2e.storefront.dev/look=now",
    ])?;
    eventually("the role may log in again", READY, || {
        let seen = psql(&format!(
            "select rolcanlogin from pg_roles where rolname = '{username}'"
        ))?;
        ensure!(seen.trim() == "t", "{username} cannot log in");
        Ok(())
    })?;
    fixture.give_back()
}
