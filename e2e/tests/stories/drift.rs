//! (c) A deleted child comes back, a changed one is put right.

use std::time::Duration;

use anyhow::ensure;
use e2e::database::Server;
use e2e::eventually;

use crate::support::{READY, Stage};

const SOON: Duration = Duration::from_secs(60);

#[test]
fn a_deleted_child_comes_back_and_a_changed_one_is_put_right() -> anyhow::Result<()> {
    let stage = Stage::set("drift")?;
    let namespace = stage.namespace.name();

    for child in [
        "service/shop-order",
        "deployment/shop-order",
        "httproute",
        "networkpolicy",
    ] {
        let names = stage.run(&["get", child, "-o", "name"])?;
        let name = names.lines().next().unwrap_or_default().to_owned();
        let uid = |stage: &Stage| stage.run(&["get", &name, "-o", "jsonpath={.metadata.uid}"]);
        let before = uid(&stage)?;
        stage.run(&["delete", &name, "--wait=true"])?;
        eventually(&format!("{name} is back"), SOON, || {
            ensure!(uid(&stage)? != before, "{name} is still the old one");
            Ok(())
        })?;
    }

    let patch = r#"{"spec":{"template":{"spec":{"terminationGracePeriodSeconds":31}}}}"#;
    stage.run(&[
        "patch",
        "deployment/shop-order",
        "--type=merge",
        "-p",
        patch,
    ])?;
    eventually("the deployment is put right", SOON, || {
        let field = "jsonpath={.spec.template.spec.terminationGracePeriodSeconds}";
        let seen = stage.run(&["get", "deployment/shop-order", "-o", field])?;
        ensure!(seen != "31", "the grace period is still 31");
        Ok(())
    })?;
    stage
        .kubectl
        .wait_for(namespace, "storefront/shop", "Ready", READY)
}

#[test]
fn a_role_that_somebody_dropped_in_the_database_comes_back() -> anyhow::Result<()> {
    let stage = Stage::set("rolegone")?;
    let namespace = stage.namespace.name();
    let username = stage.kubectl.secret(namespace, "shop-web-db", "username");
    ensure!(
        username.is_err(),
        "the web page has no database, and so no Secret"
    );
    let username = stage
        .kubectl
        .secret(namespace, "shop-user-db", "username")?;
    let server = Server::of(&stage.kubectl, namespace, "shop");
    let psql = |sql: &str| server.ask("postgres", sql);
    psql(&format!("alter role \"{username}\" nologin"))?;
    // A change of the binding asks for a look at once; without one it is the next audit.
    stage.run(&[
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
    })
}
