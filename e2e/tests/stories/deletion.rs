//! (e) The deletion of a Storefront ends with each deletionPolicy, and leaves what it promises.

use std::time::Duration;

use anyhow::ensure;
use e2e::shop::PASSWORD;
use e2e::{Kubectl, Namespace};
use serde_json::json;

use crate::support::{READY, open, storefront};

const GONE: &str = "--timeout=180s";
const OWNED: &str = "storefront.dev/storefront=shop";
/// What a shop consists of, volumes aside.
const KINDS: &str = "secrets,services,deployments,statefulsets,gateways,httproutes,\
                     networkpolicies,servicedeployments,databasebindings";

#[test]
fn retain_keeps_the_database_and_a_new_shop_of_the_name_finds_its_customers() -> anyhow::Result<()>
{
    let kubectl = Kubectl::from_env()?;
    let namespace = Namespace::restricted(&kubectl, "retain")?;
    let name = namespace.name();
    kubectl.apply(name, &storefront("retain", "Retain"))?;
    kubectl.wait_for(name, "storefront/shop", "Ready", READY)?;
    let ada = open(&kubectl, name)?.register("ada")?;

    kubectl.run(&["-n", name, "delete", "storefront/shop", "--wait=true", GONE])?;
    let left = kubectl.names(name, "persistentvolumeclaims", "")?;
    ensure!(!left.is_empty(), "Retain kept no volume");
    wait_for_no_pods(&kubectl, name)?;

    kubectl.apply(name, &storefront("retain", "Delete"))?;
    kubectl.wait_for(name, "storefront/shop", "Ready", READY)?;
    let shop = open(&kubectl, name)?;
    let token = shop.login(&ada.email, PASSWORD)?;
    shop.get(&format!("/v1/users/{}", ada.id), Some(&token))?
        .expect(200)?;
    Ok(())
}

#[test]
fn delete_leaves_nothing_of_the_shop() -> anyhow::Result<()> {
    let kubectl = Kubectl::from_env()?;
    let namespace = Namespace::restricted(&kubectl, "delete")?;
    let name = namespace.name();
    kubectl.apply(name, &storefront("delete", "Delete"))?;
    kubectl.wait_for(name, "storefront/shop", "Ready", READY)?;
    kubectl.run(&["-n", name, "delete", "storefront/shop", "--wait=true", GONE])?;
    wait_for_no_pods(&kubectl, name)?;
    e2e::eventually("nothing is left", Duration::from_secs(60), || {
        let left = kubectl.names(name, &format!("persistentvolumeclaims,{KINDS}"), OWNED)?;
        ensure!(left.is_empty(), "left behind: {left:?}");
        Ok(())
    })
}

#[test]
fn backup_then_delete_leaves_dumps_and_a_new_shop_gets_its_customers_back() -> anyhow::Result<()> {
    let kubectl = Kubectl::from_env()?;
    let namespace = Namespace::restricted(&kubectl, "backup")?;
    let name = namespace.name();
    kubectl.apply(name, &storefront("backup", "BackupThenDelete"))?;
    kubectl.wait_for(name, "storefront/shop", "Ready", READY)?;
    let ada = open(&kubectl, name)?.register("ada")?;

    kubectl.run(&["-n", name, "delete", "storefront/shop", "--wait=true", GONE])?;
    let dumps = [
        "auth",
        "notification",
        "order",
        "payment",
        "product",
        "user",
    ]
    .map(|service| format!("persistentvolumeclaim/shop-{service}-backup"));
    e2e::eventually("only the dumps are left", Duration::from_secs(90), || {
        let mut left = kubectl.names(name, &format!("persistentvolumeclaims,{KINDS}"), OWNED)?;
        left.sort();
        ensure!(left == dumps, "{left:?}");
        Ok(())
    })?;

    kubectl.apply(name, &storefront("backup", "Delete"))?;
    kubectl.wait_for(name, "storefront/shop", "Ready", READY)?;
    let shop = open(&kubectl, name)?;
    let stranger = json!({ "email": &ada.email, "password": PASSWORD });
    shop.post("/v1/users/login", None, &stranger)?.expect(401)?;
    restore(&kubectl, name, "shop-auth")?;
    let token = shop.login(&ada.email, PASSWORD)?;
    shop.get(&format!("/v1/users/{}", ada.id), Some(&token))?
        .expect(200)?;
    Ok(())
}

/// What the runbook says, with the manifest that the chart ships.
fn restore(kubectl: &Kubectl, namespace: &str, binding: &str) -> anyhow::Result<()> {
    let at = |object: &str, path: &str| {
        let path = format!("jsonpath={path}");
        kubectl.run(&["-n", namespace, "get", object, "-o", &path])
    };
    let image = at(
        "statefulset/shop-postgres",
        "{.spec.template.spec.containers[0].image}",
    )?;
    let secret = at(
        &format!("databasebinding/{binding}"),
        "{.status.binding.name}",
    )?;
    let job = include_str!("../../../charts/storefront/files/restore.yaml")
        .replace("BINDING", binding)
        .replace("SHOP", "shop")
        .replace("SECRET", &secret)
        .replace("IMAGE", &image);
    kubectl.apply(namespace, &job)?;
    let job = format!("job/restore-{binding}");
    let complete = ["wait", "--for=condition=Complete", "--timeout=90s"];
    kubectl.run(&[&["-n", namespace], &complete[..], &[&job]].concat())?;
    Ok(())
}

#[test]
fn a_namespace_with_a_shop_in_it_ends_when_it_is_deleted() -> anyhow::Result<()> {
    let kubectl = Kubectl::from_env()?;
    let namespace = Namespace::restricted(&kubectl, "nsgone")?;
    let name = namespace.name();
    kubectl.apply(name, &storefront("nsgone", "Delete"))?;
    kubectl.wait_for(name, "storefront/shop", "Ready", READY)?;
    kubectl.run(&["delete", "namespace", name, "--wait=true", GONE])?;
    Ok(())
}

fn wait_for_no_pods(kubectl: &Kubectl, namespace: &str) -> anyhow::Result<()> {
    e2e::eventually("the pods are gone", Duration::from_secs(90), || {
        let pods = kubectl.names(namespace, "pods", "")?;
        ensure!(pods.is_empty(), "still there: {pods:?}");
        Ok(())
    })
}
