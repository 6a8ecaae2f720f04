//! What the workloads of a lost database do.

use operator_plan::service_deployment;

use crate::fixtures::{children, migrated, platform, shop, valid_service};

#[test]
fn an_empty_database_in_the_place_of_a_lost_one_is_migrated_and_its_pods_restart() {
    let shop = shop("storefront.yaml");
    let order = children(&shop)
        .into_iter()
        .find(|service| service.metadata.name.as_deref() == Some("demo-order"))
        .expect("the order service");
    let mut seen = migrated(&order, &shop);
    let valid = |seen: &service_deployment::Observed| {
        let verdict = service_deployment::validate(&order, seen, &platform());
        verdict.ready().expect("valid")
    };
    assert!(valid(&seen).migration().is_past());
    let binding = seen.bindings.get_mut("demo-order").expect("its database");
    let status = std::sync::Arc::make_mut(binding).status.as_mut();
    let status = status.expect("a status");
    status.recreation = Some(crds::Recreation {
        number: 1,
        ..crds::Recreation::default()
    });
    let again = valid(&seen);
    assert!(!again.migration().is_past(), "the database is empty");
    let pods = service_deployment::desired(&valid_service(&order, &shop)).items;
    let before = pods.iter().find(|item| item.key.kind == "Deployment");
    let service_deployment::Migration::Running { job } = again.migration() else {
        panic!("a migration runs");
    };
    let done = seen.jobs.values().next().expect("the one before").clone();
    seen.jobs.insert(job.clone(), done);
    let pods = service_deployment::desired(&valid(&seen)).items;
    let after = pods.iter().find(|item| item.key.kind == "Deployment");
    let template = |item: Option<&operator_plan::Planned>| {
        item.expect("planned").body["spec"]["template"]["metadata"].clone()
    };
    assert_ne!(template(before), template(after));
}
