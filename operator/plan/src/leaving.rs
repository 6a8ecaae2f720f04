//! Objects that are being deleted, and whose finalizers they wait for.
//!
//! A finalizer of somebody else may stay for ever. What a shop needs must not be torn down and then lie there half
//! gone, unable to be made again: so an own child of a shop that exists goes on as before while others hold it
//! ([`held_by_others`]), and its end begins when nobody else does. Where Kubernetes itself ends what depends on an object
//! ([`OF_KUBERNETES`]), nothing is made against it.

use crds::Storefront;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::{conditions::Aspect, names::service_called};

/// Reason of `Ready` of an object that goes on although it is being deleted.
pub(crate) const HELD: &str = "HeldByFinalizer";
/// Finalizers by which Kubernetes deletes, or frees, what depends on an object.
const OF_KUBERNETES: [&str; 2] = ["foregroundDeletion", "orphan"];

/// What is said of an own child of a shop that exists, which is being deleted and held by others; `None`: it is none, or its
/// end has begun. `ours` is the finalizer of the operator.
pub(crate) fn held_by_others(
    shop: &Storefront,
    meta: &ObjectMeta,
    ours: Option<&str>,
) -> Option<String> {
    let of_shop = shop.metadata.name.as_deref().unwrap_or_default();
    let name = meta.name.as_deref().unwrap_or_default();
    service_called(of_shop, name)?;
    let held = others(meta, ours);
    if shop.metadata.deletion_timestamp.is_some()
        || held.is_empty()
        || held.iter().any(|it| OF_KUBERNETES.contains(it))
    {
        return None;
    }
    let begun = begun(meta)?;
    Some(format!(
        "{begun}, and waits for {} of somebody else, so it goes on as before: {}, and Storefront {of_shop} makes it again",
        named(&held),
        remedy(&held)
    ))
}

/// The same as an aspect: only a person can help.
pub(crate) fn held(message: String) -> Aspect {
    Aspect::no("Ready", HELD, message).stalling(true)
}

/// What is said of an object that is being deleted, and for which the operator does nothing more.
pub fn ending(meta: &ObjectMeta) -> String {
    let begun = begun(meta).unwrap_or_else(|| "it is being deleted".to_owned());
    let held = others(meta, None);
    let (of_kubernetes, of_others): (Vec<&str>, Vec<&str>) =
        held.iter().partition(|it| OF_KUBERNETES.contains(it));
    if of_others.is_empty() {
        let what = if of_kubernetes.is_empty() {
            String::new()
        } else {
            ", and waits for what depends on it".to_owned()
        };
        return format!("{begun}{what}; the operator does nothing more for it");
    }
    format!(
        "{begun}, and waits for {} of somebody else; the operator does nothing more for it: {}",
        named(&of_others),
        remedy(&of_others)
    )
}

fn begun(meta: &ObjectMeta) -> Option<String> {
    let since = meta.deletion_timestamp.as_ref()?;
    Some(format!("it is being deleted since {}", since.0))
}

fn others<'a>(meta: &'a ObjectMeta, ours: Option<&str>) -> Vec<&'a str> {
    let all = meta.finalizers.iter().flatten().map(String::as_str);
    all.filter(|it| Some(*it) != ours).collect()
}

fn named(finalizers: &[&str]) -> String {
    let noun = if finalizers.len() == 1 {
        "the finalizer"
    } else {
        "the finalizers"
    };
    format!("{noun} {}", finalizers.join(", "))
}

fn remedy(finalizers: &[&str]) -> String {
    let it = if finalizers.len() == 1 { "it" } else { "them" };
    format!("remove {it} from metadata.finalizers if nobody is left to do that")
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
    use serde_json::json;

    use super::*;

    fn meta(name: &str, finalizers: &[&str]) -> ObjectMeta {
        ObjectMeta {
            name: Some(name.to_owned()),
            deletion_timestamp: Some(Time(jiff::Timestamp::UNIX_EPOCH)),
            finalizers: Some(finalizers.iter().map(|it| (*it).to_owned()).collect()),
            ..ObjectMeta::default()
        }
    }

    fn shop() -> Storefront {
        let shop = json!({ "apiVersion": "storefront.dev/v1alpha1", "kind": "Storefront",
            "metadata": { "name": "demo" }, "spec": { "hostnames": ["demo.example"],
                "notifications": { "email": { "smtp": { "host": "mail", "from": "a@b.c" } } } } });
        serde_json::from_value(shop).expect("a shop")
    }

    #[test]
    fn only_an_own_child_of_a_shop_that_exists_goes_on_and_only_while_others_hold_it() {
        let ours = Some("storefront.dev/database");
        let is_held = |shop: &Storefront, name: &str, finalizers: &[&str]| {
            held_by_others(shop, &meta(name, finalizers), ours).is_some()
        };
        let both = ["storefront.dev/database", "example.com/hold"];
        let shop = shop();
        assert!(is_held(&shop, "demo-order", &both));
        assert!(is_held(&shop, "demo-order", &both[1..]));
        assert!(!is_held(&shop, "demo-order", &both[..1]));
        assert!(!is_held(&shop, "demo-order", &[]));
        assert!(!is_held(&shop, "reviews", &both));
        for theirs in OF_KUBERNETES {
            assert!(!is_held(&shop, "demo-order", &["example.com/hold", theirs]));
        }
        let mut alive = meta("demo-order", &both);
        alive.deletion_timestamp = None;
        assert!(held_by_others(&shop, &alive, ours).is_none());
        let mut leaves = shop.clone();
        leaves.metadata.deletion_timestamp = Some(Time(jiff::Timestamp::UNIX_EPOCH));
        assert!(!is_held(&leaves, "demo-order", &both));
    }

    #[test]
    fn who_holds_an_object_is_named_with_the_remedy() {
        let text = ending(&meta("reviews", &["example.com/hold"]));
        assert_eq!(
            text,
            "it is being deleted since 1970-01-01T00:00:00Z, and waits for the finalizer example.com/hold of somebody else; the operator does nothing more for it: remove it from metadata.finalizers if nobody is left to do that"
        );
        let text = ending(&meta("reviews", &["foregroundDeletion"]));
        assert!(text.contains("waits for what depends on it"), "{text}");
    }
}
