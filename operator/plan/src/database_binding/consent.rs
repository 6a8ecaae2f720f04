//! Whether a binding may open a database that another one owns: only with the owner's consent.

use crds::{Access, DatabaseBinding, DatabaseGrant, SharedAccess, Storefront};

use super::mark::Mark;
use crate::{Invalid, names::shop_of_binding};

/// What was read about the owner of a shared database.
#[derive(Clone, Copy, Debug)]
pub struct Owner<'a> {
    /// The mark on the database.
    pub mark: &'a Mark,
    /// The binding that the mark names, if it exists.
    pub binding: Option<&'a DatabaseBinding>,
    /// The shop whose own binding that one would be, see [`shop_of_binding`], if it exists.
    pub shop: Option<&'a Storefront>,
}

/// Refuses a binding that the owner of its database has not granted what it asks for.
pub fn consent(binding: &DatabaseBinding, owner: Owner<'_>) -> Result<(), Invalid> {
    let name = binding.metadata.name.as_deref().unwrap_or_default();
    let is_marked = |it: &&DatabaseBinding| it.metadata.uid.as_deref() == Some(&owner.mark.uid);
    let found = owner.binding.filter(is_marked);
    let access = binding.spec.access;
    let is_granted = found.is_some_and(|found| {
        let grants = grants(found, owner).iter();
        let mut grants = grants.filter(|grant| grant.binding == name);
        grants.any(|grant| covers(grant.access, access))
    });
    if is_granted {
        return Ok(());
    }
    let database = binding.spec.database.as_deref().unwrap_or_default();
    let theirs = &owner.mark.name;
    let remedy = match (owner.shop, shop_of_binding(theirs), found) {
        (Some(_), Some((shop, service)), _) => {
            format!("add it to spec.services.{service}.grants of Storefront {shop}")
        }
        (_, _, Some(_)) => format!("add it to spec.grants of DatabaseBinding {theirs}"),
        (_, _, None) => format!("create DatabaseBinding {theirs} again with spec.grants"),
    };
    Err(Invalid::new(
        "NotGranted",
        format!(
            "database {database} belongs to DatabaseBinding {theirs}, which does not grant {access:?} to {name}: {remedy}"
        ),
    ))
}

/// Many may write the bindings of a shop, but only the Storefront decides about its databases.
fn grants<'a>(found: &'a DatabaseBinding, owner: Owner<'a>) -> &'a [DatabaseGrant] {
    match (owner.shop, shop_of_binding(&owner.mark.name)) {
        (Some(shop), Some((_, service))) => {
            let wanted = shop.spec.overrides(service);
            wanted.map_or(&[], |wanted| &wanted.grants)
        }
        _ => &found.spec.grants,
    }
}

fn covers(granted: SharedAccess, asked: Access) -> bool {
    match asked {
        Access::Owner => false,
        Access::ReadWrite => granted == SharedAccess::ReadWrite,
        Access::ReadOnly => true,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::mark::Hold;
    use super::*;

    fn binding(name: &str, spec: &Value) -> DatabaseBinding {
        serde_json::from_value(json!({
            "apiVersion": "storefront.dev/v1alpha1", "kind": "DatabaseBinding",
            "metadata": { "name": name, "namespace": "shops", "uid": format!("uid-{name}") },
            "spec": spec,
        }))
        .expect("a binding")
    }

    fn asking(access: &str) -> DatabaseBinding {
        let spec =
            json!({ "serverRef": { "storefront": "demo" }, "database": "x", "access": access });
        binding("reports", &spec)
    }

    fn owning(name: &str, grants: &Value) -> DatabaseBinding {
        binding(
            name,
            &json!({ "serverRef": { "storefront": "demo" }, "grants": grants }),
        )
    }

    fn mark(name: &str) -> Mark {
        Mark {
            namespace: "shops".into(),
            name: name.into(),
            uid: format!("uid-{name}"),
            hold: Hold::Bound,
        }
    }

    fn shop(services: &Value) -> Storefront {
        serde_json::from_value(json!({
            "apiVersion": "storefront.dev/v1alpha1", "kind": "Storefront", "metadata": { "name": "demo" },
            "spec": { "hostnames": ["demo.example"], "services": services, "notifications": { "email": {
                "smtp": { "host": "mail", "from": "a@b.c" } } } } }))
        .expect("a shop")
    }

    fn granted(access: &str, owner: &DatabaseBinding) -> bool {
        let mark = mark(owner.metadata.name.as_deref().unwrap_or_default());
        let owner = Owner {
            mark: &mark,
            binding: Some(owner),
            shop: None,
        };
        consent(&asking(access), owner).is_ok()
    }

    #[test]
    fn a_grant_names_the_binding_and_the_most_that_it_may_do() {
        let reads = owning("reviews", &json!([{ "binding": "reports" }]));
        assert!(granted("ReadOnly", &reads));
        assert!(!granted("ReadWrite", &reads));
        let writes = owning(
            "reviews",
            &json!([{ "binding": "reports", "access": "ReadWrite" }]),
        );
        assert!(granted("ReadOnly", &writes) && granted("ReadWrite", &writes));
        let other = owning(
            "reviews",
            &json!([{ "binding": "report", "access": "ReadWrite" }]),
        );
        assert!(!granted("ReadOnly", &other));
    }

    #[test]
    fn what_is_written_into_a_binding_of_the_shop_grants_nothing() {
        let theirs = owning(
            "demo-auth",
            &json!([{ "binding": "reports", "access": "ReadWrite" }]),
        );
        let mark = mark("demo-auth");
        let silent = shop(&json!({}));
        let owner = |shop| Owner {
            mark: &mark,
            binding: Some(&theirs),
            shop: Some(shop),
        };
        let why = consent(&asking("ReadOnly"), owner(&silent)).expect_err("refused");
        assert_eq!(why.reason, "NotGranted");
        assert!(
            why.message
                .ends_with("add it to spec.services.auth.grants of Storefront demo"),
            "{}",
            why.message
        );
        let grants = shop(&json!({ "auth": { "grants": [{ "binding": "reports" }] } }));
        assert!(consent(&asking("ReadOnly"), owner(&grants)).is_ok());
        assert!(consent(&asking("ReadWrite"), owner(&grants)).is_err());
    }

    #[test]
    fn a_database_whose_owner_is_gone_or_another_object_is_granted_by_nobody() {
        let mut successor = owning("reviews", &json!([{ "binding": "reports" }]));
        successor.metadata.uid = Some("uid-of-a-later-one".into());
        assert!(!granted("ReadOnly", &successor));
        let mark = mark("reviews");
        let gone = Owner {
            mark: &mark,
            binding: None,
            shop: None,
        };
        let why = consent(&asking("ReadOnly"), gone).expect_err("refused");
        assert!(why.message.contains("create DatabaseBinding reviews again"));
    }
}
