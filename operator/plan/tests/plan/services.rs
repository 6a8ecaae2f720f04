//! What the services of a shop get from its spec.

use crds::{EnvVar, OtherHosts, ServiceDeployment, ServiceOverride, Storefront};

use operator_plan::service_deployment;

use crate::fixtures::{children, shop, valid_service};

fn service(shop: &Storefront, name: &str) -> ServiceDeployment {
    let mut all = children(shop).into_iter();
    all.find(|service| service.metadata.name.as_deref() == Some(name))
        .expect("the service is planned")
}

fn variables(shop: &Storefront, service_name: &str, variable: &str) -> Vec<String> {
    let env = service(shop, service_name).spec.env.into_iter();
    env.filter(|var| var.name == variable)
        .map(|var| var.value)
        .collect()
}

#[test]
fn payment_and_no_other_service_is_given_the_methods_of_the_shop() {
    let shop = shop("storefront.yaml");
    for child in children(&shop) {
        let name = child.metadata.name.expect("a name");
        let expected = if name == "demo-payment" {
            vec!["manual".to_owned()]
        } else {
            vec![]
        };
        assert_eq!(
            variables(&shop, &name, "PAYMENT_METHODS"),
            expected,
            "{name}"
        );
    }
}

#[test]
fn a_variable_of_the_user_replaces_that_of_the_platform() {
    let mut shop = shop("storefront.yaml");
    let env = vec![EnvVar {
        name: "PAYMENT_METHODS".into(),
        value: "none".into(),
    }];
    let wanted = ServiceOverride {
        env,
        ..ServiceOverride::default()
    };
    shop.spec.services.insert("payment".into(), wanted);
    assert_eq!(
        variables(&shop, "demo-payment", "PAYMENT_METHODS"),
        ["none"]
    );
}

#[test]
fn web_knows_the_listed_hosts_only_where_others_are_accepted() {
    let mut shop = shop("storefront.yaml");
    shop.spec.hostnames.push("www.example".into());
    for (other_hosts, expected) in [
        (
            OtherHosts::Accept,
            vec!["demo.localhost,www.example".to_owned()],
        ),
        (OtherHosts::Refuse, vec![]),
    ] {
        shop.spec.gateway.other_hosts = other_hosts;
        assert_eq!(variables(&shop, "demo-web", "SHOP_HOSTS"), expected);
    }
}

#[test]
fn an_override_changes_the_named_service_only() {
    let shop = shop("storefront-full.yaml");
    assert_eq!(service(&shop, "acme-order").spec.replicas.max, Some(10));
    assert_eq!(service(&shop, "acme-web").spec.replicas.min, 2);
    assert_eq!(service(&shop, "acme-auth").spec.replicas.min, 1);
}

#[test]
fn a_value_of_a_variable_reaches_the_process_as_it_was_written() {
    let mut shop = shop("storefront.yaml");
    let written = "$(INTERNAL_TOKEN) costs $$5";
    let wanted = ServiceOverride {
        env: vec![EnvVar {
            name: "NOTE".into(),
            value: written.into(),
        }],
        ..ServiceOverride::default()
    };
    shop.spec.services.insert("web".into(), wanted);
    let planned = service_deployment::desired(&valid_service(&service(&shop, "demo-web"), &shop));
    let deployment = planned
        .items
        .iter()
        .find(|item| item.key.kind == "Deployment");
    let container =
        &deployment.expect("a Deployment").body["spec"]["template"]["spec"]["containers"][0];
    let env = container["env"].as_array().expect("variables");
    let note = env.iter().find(|variable| variable["name"] == "NOTE");
    // The kubelet puts one dollar for two, and a value in place of `$(NAME)` only after a single one.
    let given = note.expect("the variable")["value"].as_str().expect("text");
    assert_eq!(given, "$$(INTERNAL_TOKEN) costs $$$$5");
    assert_eq!(given.replace("$$", "$"), written);
}
