//! (n) A user with the role `storefront-developer` alone adds a service to a shop, and gets nothing of the
//! shop by it.

use std::io::Write as _;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use e2e::eventually;
use e2e::shop::PASSWORD;
use serde_json::{Value, json};

use crate::support::{READY, ShopFixture};

/// Who may do what the role allows.
const DEVELOPER: &str = "dev@team.example";
/// How long a refusal may take to be in the status.
const SOON: Duration = Duration::from_secs(10);

struct Developer<'a>(&'a ShopFixture);

impl Developer<'_> {
    fn run(&self, args: &[&str]) -> anyhow::Result<String> {
        let who = ["--as", DEVELOPER, "-n", self.0.namespace()];
        self.0.kubectl.run(&[&who[..], args].concat())
    }

    /// Creates an object through the API, as `kubectl create` sends it.
    fn create(&self, object: &Value) -> anyhow::Result<()> {
        let args = [
            "--as",
            DEVELOPER,
            "-n",
            self.0.namespace(),
            "create",
            "-f",
            "-",
        ];
        let mut command = self.0.kubectl.command(&args);
        command.stdin(Stdio::piped()).stdout(Stdio::null());
        let mut child = command.stderr(Stdio::piped()).spawn()?;
        let mut input = child.stdin.take().context("no input")?;
        input.write_all(object.to_string().as_bytes())?;
        drop(input);
        let output = child.wait_with_output()?;
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(output.status.success(), "{errors}");
        Ok(())
    }

    /// Reason of `Ready` of an object that is refused.
    fn refusal(&self, object: &str) -> anyhow::Result<String> {
        let path = "jsonpath={.status.conditions[?(@.type=='Ready')].reason}";
        self.run(&["get", object, "-o", path])
    }

    fn is_refused(&self, object: &str, reason: &str) -> anyhow::Result<()> {
        eventually(&format!("{object} is {reason}"), SOON, || {
            let told = self.refusal(object)?;
            ensure!(told == reason, "{object} is {told}");
            Ok(())
        })
    }
}

fn service(name: &str, fields: &Value) -> Value {
    let mut spec = json!({ "storefrontRef": { "name": "shop" }, "image": "team:1" });
    if let (Some(spec), Some(fields)) = (spec.as_object_mut(), fields.as_object()) {
        spec.extend(fields.clone());
    }
    json!({ "apiVersion": "storefront.dev/v1alpha1", "kind": "ServiceDeployment",
        "metadata": { "name": name }, "spec": spec })
}

/// Secrets, databases and names of the shop, a Secret of somebody else, and a priority.
fn ask_for_what_is_not_theirs(fixture: &ShopFixture, developer: &Developer) -> anyhow::Result<()> {
    let namespace = fixture.namespace();
    let others = [
        "create",
        "secret",
        "generic",
        "others",
        "--from-literal=a=b",
    ];
    let others = [&["-n", namespace][..], &others].concat();
    fixture.kubectl.run(&others)?;
    let login = fixture.get("databasebinding/shop-auth")?["status"]["binding"]["name"].clone();
    for (name, fields, reason) in [
        (
            "keys",
            json!({ "bindings": [{ "name": "x", "secretRef": { "name": "shop-signing-keys" } }] }),
            "SecretNotAllowed",
        ),
        (
            "login",
            json!({ "bindings": [{ "name": "x", "secretRef": { "name": login } }] }),
            "SecretNotAllowed",
        ),
        (
            "others",
            json!({ "bindings": [{ "name": "x", "secretRef": { "name": "others" } }] }),
            "SecretNotAllowed",
        ),
        (
            "first",
            json!({ "pods": { "priorityClassName": "system-cluster-critical" } }),
            "PlacementNotAllowed",
        ),
        (
            "database",
            json!({ "bindings": [{ "databaseBinding": "shop-auth" }] }),
            "BindingNotAllowed",
        ),
        ("shop-redis", json!({}), "NameTaken"),
    ] {
        developer.create(&service(name, &fields))?;
        developer.is_refused(&format!("servicedeployment/{name}"), reason)?;
    }
    Ok(())
}

#[test]
fn a_developer_adds_services_and_is_not_the_shop() -> anyhow::Result<()> {
    let fixture = ShopFixture::borrow("developer")?;
    let namespace = fixture.namespace();
    let bind = ["-n", namespace, "create", "rolebinding", "dev"];
    let role = ["--clusterrole=storefront-developer", "--user", DEVELOPER];
    fixture.kubectl.run(&[&bind[..], &role].concat())?;
    let developer = Developer(&fixture);

    // The role itself: no Secret, no Storefront, no pod.
    for verb in [
        "get secrets",
        "update storefronts",
        "create pods",
        "create jwtpolicies",
    ] {
        let words: Vec<&str> = verb.split(' ').collect();
        let may = developer.run(&[&["auth", "can-i"], &words[..]].concat());
        ensure!(may.is_err(), "a developer may {verb}");
    }

    ask_for_what_is_not_theirs(&fixture, &developer)?;
    claim_to_be_made_by_the_shop(&fixture, &developer)?;

    // The database of another service.
    let reader = json!({ "apiVersion": "storefront.dev/v1alpha1", "kind": "DatabaseBinding",
        "metadata": { "name": "reader" },
        "spec": { "serverRef": { "storefront": "shop" }, "access": "ReadWrite",
            "database": format!("{}_shop_auth", namespace.replace('-', "_")) } });
    developer.create(&reader)?;
    developer.is_refused("databasebinding/reader", "NotGranted")?;
    let grants = r#"{"spec":{"grants":[{"binding":"reader","access":"ReadWrite"}],
        "rotation":{"every":"10m","overlap":"10s"}}}"#;
    let own = "databasebinding/shop-auth";
    let login = fixture.get(own)?["status"]["binding"]["name"].clone();
    let edit = [
        "patch",
        "databasebinding/shop-auth",
        "--type=merge",
        "-p",
        grants,
    ];
    developer.run(&edit)?;
    developer.is_refused("databasebinding/reader", "NotGranted")?;
    eventually("the binding is put back", SOON, || {
        let seen = fixture.get(own)?;
        let spec = &seen["spec"];
        ensure!(
            spec["grants"].is_null() && spec["rotation"].is_null(),
            "{spec}"
        );
        ensure!(seen["status"]["binding"]["name"] == login, "it was rotated");
        Ok(())
    })?;

    // What is written into a service of the shop does not run.
    let before = template(&fixture)?;
    let theirs =
        r#"{"spec":{"command":["sh","-c","cat /bindings/signing-keys/*"],"egressPorts":[443]}}"#;
    let edit = [
        "patch",
        "servicedeployment/shop-auth",
        "--type=merge",
        "-p",
        theirs,
    ];
    developer.run(&edit)?;
    let generation = || -> anyhow::Result<Value> {
        let seen = fixture.get("servicedeployment/shop-auth")?;
        ensure!(
            seen["metadata"]["generation"] == seen["status"]["observedGeneration"],
            "it is not reconciled"
        );
        Ok(seen)
    };
    eventually("the edit is looked at", SOON, || generation().map(drop))?;
    ensure!(template(&fixture)? == before, "the edit reached the pods");
    eventually("the service is put back", SOON, || {
        let spec = &generation()?["spec"];
        ensure!(
            spec["command"].is_null() && spec["egressPorts"].is_null(),
            "{spec}"
        );
        Ok(())
    })?;
    drop_a_database(&fixture, &developer)?;
    let refused = ["keys", "login", "others", "first", "database", "shop-redis"];
    developer.run(&[&["delete", "servicedeployments"], &refused[..]].concat())?;
    developer.run(&["delete", "databasebinding/reader"])?;
    fixture.run(&["delete", "secret/others", "rolebinding/dev"])?;
    fixture.give_back()
}

/// A child that the shop did not plan is removed, whoever wrote its owner, and takes no path of the shop.
fn claim_to_be_made_by_the_shop(
    fixture: &ShopFixture,
    developer: &Developer<'_>,
) -> anyhow::Result<()> {
    let uid = fixture.get("storefront/shop")?["metadata"]["uid"].clone();
    let mut forged = service(
        "forged",
        &json!({ "routes": [{ "path": "/v1/orders", "auth": "Public" }] }),
    );
    forged["metadata"]["ownerReferences"] = json!([{ "apiVersion": "storefront.dev/v1alpha1",
        "kind": "Storefront", "name": "shop", "uid": uid, "controller": true }]);
    developer.create(&forged)?;
    eventually(
        "what claims to be made by the shop is removed",
        SOON,
        || {
            let found = developer.run(&["get", "servicedeployment/forged"]);
            ensure!(found.is_err(), "forged is still there");
            Ok(())
        },
    )?;
    fixture.shop.get("/v1/orders", None)?.expect(401)?;
    Ok(())
}

/// A database of the shop outlives its binding, whatever is written into that.
fn drop_a_database(fixture: &ShopFixture, developer: &Developer<'_>) -> anyhow::Result<()> {
    let ada = fixture.shop.register("ada")?;
    let drop = r#"{"spec":{"reclaimPolicy":"Delete"}}"#;
    let object = "databasebinding/shop-auth";
    developer.run(&["patch", object, "--type=merge", "-p", drop])?;
    developer.run(&["delete", object, "--wait=true", "--timeout=120s"])?;
    fixture
        .kubectl
        .wait_for(fixture.namespace(), object, "Ready", READY)?;
    eventually("the account is still there", READY, || {
        fixture.shop.login(&ada.email, PASSWORD)
    })?;
    Ok(())
}

fn template(fixture: &ShopFixture) -> anyhow::Result<Value> {
    Ok(fixture.get("deployment/shop-auth")?["spec"]["template"].clone())
}
