//! Where the pods of a team's workload may run, and how important they may be: what the Storefront lets teams ask for.
//! Whoever may create a ServiceDeployment could otherwise end the shop's pods by a higher priority, or use nodes that
//! are kept for others.

use std::collections::BTreeMap;

use crds::{PodSettings, ServiceDeployment, Storefront, Teams};

use crate::Invalid;

/// Node labels that tell what a node is, and not for whom.
const FREE_LABELS: [&str; 4] = [
    "kubernetes.io/arch",
    "kubernetes.io/os",
    "topology.kubernetes.io/region",
    "topology.kubernetes.io/zone",
];

/// Refuses what the shop does not let its teams ask for.
pub(super) fn check(service: &ServiceDeployment, shop: &Storefront) -> Result<(), Invalid> {
    let Some(pods) = &service.spec.pods else {
        return Ok(());
    };
    let nothing = Teams::default();
    let teams = shop.spec.teams.as_deref().unwrap_or(&nothing);
    let Some((field, what, allowed_by)) = beyond(pods, teams) else {
        return Ok(());
    };
    let shop = shop.metadata.name.as_deref().unwrap_or_default();
    Err(Invalid::new(
        "PlacementNotAllowed",
        format!(
            "spec.pods.{field}: Storefront {shop} does not let services of teams have {what}; take it out, or have it added to spec.teams.{allowed_by} of the Storefront"
        ),
    ))
}

/// The first setting that is not allowed: its field, what it asks for, and the Storefront's field that would allow it.
fn beyond(pods: &PodSettings, teams: &Teams) -> Option<(&'static str, String, &'static str)> {
    let class = pods.priority_class_name.as_ref();
    if let Some(class) = class.filter(|it| !teams.priority_class_names.contains(it)) {
        let what = format!("the PriorityClass {class}");
        return Some(("priorityClassName", what, "priorityClassNames"));
    }
    let mut tolerations = pods.tolerations.iter();
    if let Some(toleration) = tolerations.find(|it| !teams.tolerations.contains(it)) {
        let taint = toleration.key.as_deref().unwrap_or_default();
        let what = if taint.is_empty() {
            "a toleration of every taint".to_owned()
        } else {
            format!("this toleration of the taint {taint}")
        };
        return Some(("tolerations", what, "tolerations"));
    }
    if let Some((label, value)) = chosen_node(&pods.node_selector, &teams.node_selector) {
        let what = format!("nodes by the label {label}={value}");
        return Some(("nodeSelector", what, "nodeSelector"));
    }
    let has_affinity = pods.affinity.is_some() && !teams.affinity;
    has_affinity.then(|| ("affinity", "an affinity".to_owned(), "affinity"))
}

fn chosen_node<'a>(
    wanted: &'a BTreeMap<String, String>,
    allowed: &BTreeMap<String, Vec<String>>,
) -> Option<(&'a String, &'a String)> {
    wanted.iter().find(|(label, value)| {
        let is_free = FREE_LABELS.contains(&label.as_str());
        !is_free && !allowed.get(*label).is_some_and(|all| all.contains(value))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn refusal(pods: &Value, teams: &Value) -> Option<String> {
        let service = serde_json::from_value(json!({
            "apiVersion": "storefront.dev/v1alpha1", "kind": "ServiceDeployment", "metadata": { "name": "reviews" },
            "spec": { "storefrontRef": { "name": "demo" }, "image": "i", "pods": pods } }))
        .expect("a service");
        let shop = serde_json::from_value(json!({
            "apiVersion": "storefront.dev/v1alpha1", "kind": "Storefront", "metadata": { "name": "demo" },
            "spec": { "hostnames": ["demo.example"], "teams": teams,
                "notifications": { "email": { "smtp": { "host": "mail", "from": "a@b.c" } } } } }))
        .expect("a shop");
        let why = check(&service, &shop).err()?;
        assert_eq!(why.reason, "PlacementNotAllowed");
        Some(why.message)
    }

    #[test]
    fn what_takes_room_from_others_is_refused_unless_the_shop_allows_it() {
        let node = json!({ "nodeAffinity": {} });
        let taint =
            json!({ "key": "for", "operator": "Equal", "value": "db", "effect": "NoSchedule" });
        for (field, asked, allowed_by, allowed) in [
            (
                "priorityClassName",
                json!("high"),
                "priorityClassNames",
                json!(["low", "high"]),
            ),
            ("tolerations", json!([taint]), "tolerations", json!([taint])),
            (
                "nodeSelector",
                json!({ "pool": "db" }),
                "nodeSelector",
                json!({ "pool": ["web", "db"] }),
            ),
            ("affinity", node, "affinity", json!(true)),
        ] {
            let pods = json!({ field: asked });
            let refused = refusal(&pods, &Value::Null).unwrap_or_default();
            assert!(
                refused.starts_with(&format!("spec.pods.{field}: Storefront demo ")),
                "{refused}"
            );
            assert!(
                refused.contains(&format!("spec.teams.{allowed_by}")),
                "{refused}"
            );
            assert_eq!(refusal(&pods, &json!({ allowed_by: allowed })), None);
        }
    }

    #[test]
    fn what_is_allowed_is_allowed_exactly() {
        let teams = json!({ "tolerations": [{ "key": "for", "operator": "Equal", "value": "web" }],
            "nodeSelector": { "pool": ["web"] }, "priorityClassNames": ["low"] });
        let every_taint = json!({ "tolerations": [{ "operator": "Exists" }] });
        let refused = refusal(&every_taint, &teams).unwrap_or_default();
        assert!(refused.contains("every taint"), "{refused}");
        for pods in [
            json!({ "tolerations": [{ "key": "for", "operator": "Exists" }] }),
            json!({ "nodeSelector": { "pool": "db" } }),
            json!({ "priorityClassName": "lower" }),
        ] {
            assert!(refusal(&pods, &teams).is_some(), "{pods}");
        }
    }

    #[test]
    fn what_concerns_nobody_else_needs_no_permission() {
        let pods = json!({ "nodeSelector": { "kubernetes.io/arch": "arm64", "topology.kubernetes.io/zone": "a" },
            "labels": { "team": "reviews" },
            "topologySpreadConstraints": [{ "topologyKey": "topology.kubernetes.io/zone" }] });
        assert_eq!(refusal(&pods, &Value::Null), None);
    }
}
