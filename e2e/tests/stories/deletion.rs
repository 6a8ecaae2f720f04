//! (e) The deletion of a Storefront ends with each deletionPolicy, and leaves what it promises.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use e2e::shop::PASSWORD;
use e2e::{Shop, eventually};
use serde_json::{Value, json};

use crate::support::{DELETED, ShopNamespace};

const OWNED: &str = "storefront.dev/storefront=shop";
/// What a shop consists of, volumes aside.
const KINDS: &str = "secrets,services,deployments,statefulsets,gateways,httproutes,\
                     networkpolicies,servicedeployments,databasebindings";

#[test]
fn retain_keeps_the_database_and_a_new_shop_of_the_name_finds_its_customers() -> anyhow::Result<()>
{
    let place = ShopNamespace::new("retain")?;
    let ada = place.start("Retain")?.register("ada")?;

    place.delete_shop()?;
    let left = claims(&place)?;
    ensure!(!left.is_empty(), "Retain kept no volume");
    wait_for_no_pods(&place)?;

    can_log_in(&place.start("Delete")?, &ada.email, &ada.id)
}

#[test]
fn delete_leaves_nothing_of_the_shop() -> anyhow::Result<()> {
    let place = ShopNamespace::new("delete")?;
    place.apply("Delete", "")?;
    place.wait_until_ready()?;
    place.delete_shop()?;
    wait_for_no_pods(&place)?;
    eventually("nothing is left", Duration::from_secs(60), || {
        let mut left = left_of_shop(&place)?;
        left.extend(claims(&place)?);
        ensure!(left.is_empty(), "left behind: {left:?}");
        Ok(())
    })
}

#[test]
fn backup_then_delete_leaves_dumps_and_a_new_shop_gets_its_customers_back() -> anyhow::Result<()> {
    let place = ShopNamespace::new("backup")?;
    let ada = place.start("BackupThenDelete")?.register("ada")?;

    place.delete_shop()?;
    let dumps = [
        "auth",
        "notification",
        "order",
        "payment",
        "product",
        "user",
    ]
    .map(|service| format!("persistentvolumeclaim/shop-{service}-backup"));
    eventually("only the dumps are left", Duration::from_secs(90), || {
        let mut left = left_of_shop(&place)?;
        left.sort();
        ensure!(left == dumps, "{left:?}");
        let mut claims = claims(&place)?;
        claims.sort();
        ensure!(claims == dumps, "{claims:?}");
        Ok(())
    })?;

    let shop = place.start("Delete")?;
    let unknown = json!({ "email": &ada.email, "password": PASSWORD });
    shop.post("/v1/users/login", None, &unknown)?.expect(401)?;
    restore(&place, "shop-auth")?;
    can_log_in(&shop, &ada.email, &ada.id)
}

#[test]
fn a_namespace_with_a_shop_in_it_ends_when_it_is_deleted() -> anyhow::Result<()> {
    let place = ShopNamespace::new("nsgone")?;
    place.apply("Delete", "")?;
    place.wait_until_ready()?;
    place
        .kubectl
        .run(&["delete", "namespace", place.name(), "--wait=true", DELETED])?;
    Ok(())
}

fn can_log_in(shop: &Shop, email: &str, id: &str) -> anyhow::Result<()> {
    let token = shop.login(email, PASSWORD)?;
    shop.get(&format!("/v1/users/{id}"), Some(&token))?
        .expect(200)?;
    Ok(())
}

fn left_of_shop(place: &ShopNamespace) -> anyhow::Result<Vec<String>> {
    let kinds = format!("persistentvolumeclaims,{KINDS}");
    place.kubectl.names(place.name(), &kinds, OWNED)
}

/// Every volume claim of the namespace: those of StatefulSets have no label of the shop.
fn claims(place: &ShopNamespace) -> anyhow::Result<Vec<String>> {
    place
        .kubectl
        .names(place.name(), "persistentvolumeclaims", "")
}

/// Follows the runbook, with the manifest that the chart ships.
fn restore(place: &ShopNamespace, binding: &str) -> anyhow::Result<()> {
    let at = |object: &str, path: &str| -> anyhow::Result<String> {
        let object = place.kubectl.get(place.name(), object)?;
        let text = object.pointer(path).and_then(Value::as_str);
        Ok(text.context("no such field")?.to_owned())
    };
    let image = "/spec/template/spec/containers/0/image";
    let image = at("statefulset/shop-postgres", image)?;
    let binding_object = format!("databasebinding/{binding}");
    let secret = at(&binding_object, "/status/binding/name")?;
    let job = include_str!("../../../charts/storefront/files/restore.yaml")
        .replace("BINDING", binding)
        .replace("SHOP", "shop")
        .replace("SECRET", &secret)
        .replace("IMAGE", &image);
    place.kubectl.apply(place.name(), &job)?;
    let job = format!("job/restore-{binding}");
    place.run(&["wait", "--for=condition=Complete", "--timeout=90s", &job])?;
    Ok(())
}

fn wait_for_no_pods(place: &ShopNamespace) -> anyhow::Result<()> {
    eventually("the pods are gone", Duration::from_secs(90), || {
        let pods = place.kubectl.names(place.name(), "pods", "")?;
        ensure!(pods.is_empty(), "pods are left: {pods:?}");
        Ok(())
    })
}
