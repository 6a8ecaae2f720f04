//! (e) The deletion of a Storefront ends with each deletionPolicy, and leaves what it promises.

use std::time::Duration;

use anyhow::ensure;
use e2e::{Kubectl, Namespace};

use crate::support::{READY, open, storefront};

const GONE: &str = "--timeout=180s";
const OWNED: &str = "storefront.dev/storefront=shop";

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
    let token = shop.login(&ada.email, "correct horse battery staple")?;
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
    let kinds = "persistentvolumeclaims,secrets,services,deployments,statefulsets,gateways,\
                 httproutes,networkpolicies,servicedeployments,databasebindings";
    e2e::eventually("nothing is left", Duration::from_secs(60), || {
        let left = kubectl.names(name, kinds, OWNED)?;
        ensure!(left.is_empty(), "left behind: {left:?}");
        Ok(())
    })
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
