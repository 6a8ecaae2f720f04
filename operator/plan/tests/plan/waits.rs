//! What a shop and its workloads say that they wait for: who can help, and with what.

use crds::{DatabaseBinding, ServiceDeployment, Storefront};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use operator_plan::{
    Outcome, Verdict, conditions::find, database_binding, service_deployment, storefront,
};
use serde_json::json;

use crate::fixtures::{
    applied, around, children, condition, example, own_bindings as bindings, platform, seen, shop,
};
use crate::status::{look, of_shop, well};

const NOW: jiff::Timestamp = jiff::Timestamp::UNIX_EPOCH;

fn waits(service: &ServiceDeployment, seen: &service_deployment::Observed) -> String {
    let Verdict::Waiting(on) = service_deployment::validate(service, seen, &platform()) else {
        panic!("it waits for nothing");
    };
    on.message
}

fn service(shop: &Storefront, name: &str) -> ServiceDeployment {
    let mut all = children(shop).into_iter();
    all.find(|service| service.metadata.name.as_deref() == Some(name))
        .expect("the service is planned")
}

#[test]
fn every_missing_secret_of_a_shop_is_named_at_once() {
    let shop = shop("storefront-full.yaml");
    let mut world = seen(&shop);
    for secret in ["acme-tls", "acme-mail-login"] {
        world.referenced.remove(secret).expect("it is referred to");
    }
    let valid = storefront::validate(&shop, world, &platform());
    let valid = &valid.ready().expect("the rest can be made");
    let objects = &applied(&storefront::desired(valid), well);
    let status = storefront::status(
        &shop,
        &Outcome::Applied { valid, objects },
        &platform(),
        NOW,
    );
    let ready = find(&status.conditions, "Ready").expect("Ready");
    assert_eq!(
        ready.message,
        "spec.gateway.tls.secretRef: the Secret acme-tls does not exist; create it with tls.crt, tls.key; \
         spec.notifications.email.smtp.secretRef: the Secret acme-mail-login does not exist; create it with username, password"
    );
}

#[test]
fn nobody_is_asked_to_make_a_secret_that_the_operator_makes() {
    for (file, name, gone, source) in [
        (
            "storefront-full.yaml",
            "acme-notification",
            "acme-smtp",
            "it is made of the Secret acme-mail-login (spec.notifications.email.smtp.secretRef of the Storefront), \
             which must exist with username, password",
        ),
        (
            "storefront-external-cache.yaml",
            "cached-product",
            "cached-redis-auth",
            "it is made of the Secret acme-elasticache (spec.cache.external.secretRef of the Storefront), \
             which must exist with uri",
        ),
        (
            "storefront-full.yaml",
            "acme-auth",
            "acme-signing-keys",
            "does not exist yet",
        ),
        (
            "storefront-full.yaml",
            "acme-order",
            "acme-order-db",
            "which the operator makes for DatabaseBinding acme-order, does not exist yet",
        ),
    ] {
        let shop = shop(file);
        let service = service(&shop, name);
        let mut world = around(&service, &shop);
        let is_there = world.secrets.remove(gone).is_some() | world.logins.remove(gone).is_some();
        assert!(
            is_there,
            "{gone}: {:?} {:?}",
            world.secrets,
            world.logins.keys()
        );
        let told = waits(&service, &world);
        assert!(
            told.contains(&format!("the Secret {gone}, which the operator makes")),
            "{told}"
        );
        assert!(told.ends_with(source), "{told}");
        assert!(!told.contains("create"), "{told}");
    }
}

#[test]
fn a_missing_secret_of_a_team_is_named_with_its_field() {
    let shop = shop("storefront.yaml");
    let mut service: ServiceDeployment = example("team-service-smallest.yaml").remove(0);
    let binding = json!({ "secretRef": { "name": "later" } });
    service.spec.bindings = vec![serde_json::from_value(binding).expect("a binding")];
    let mut world = around(&service, &shop);
    world.secrets.clear();
    assert_eq!(
        waits(&service, &world),
        "the Secret later (spec.bindings[0].secretRef) does not exist; create it"
    );
}

#[test]
fn a_binding_that_is_not_ready_does_not_say_that_all_is_well() {
    let shop = shop("storefront.yaml");
    let service = service(&shop, "demo-order");
    let told = |change: fn(&mut DatabaseBinding)| {
        let mut world = around(&service, &shop);
        let binding = world.bindings.get_mut("demo-order").expect("it is bound");
        let binding = std::sync::Arc::make_mut(binding);
        let mut ready = condition("Ready", "True", 1);
        ready.message = "everything is in place".into();
        binding.status.as_mut().expect("a status").conditions = vec![ready];
        binding.metadata.generation = Some(2);
        change(binding);
        waits(&service, &world)
    };
    assert_eq!(
        told(|_| {}),
        "DatabaseBinding demo-order is not ready: its newest generation has not been reconciled yet"
    );
    assert_eq!(
        told(|binding| binding.metadata.deletion_timestamp = Some(Time(NOW))),
        "DatabaseBinding demo-order is not ready: it is being deleted, and has to be gone before it can be made again"
    );
    assert_eq!(
        told(|binding| binding.status = None),
        "DatabaseBinding demo-order is not ready: it has not been reconciled yet"
    );
}

fn denied(secret: &str) -> String {
    format!(
        "the login is refused; correct username and password in the Secret {secret}, or have the server accept them"
    )
}

#[test]
fn a_server_that_refuses_the_login_or_has_no_name_is_told_with_the_secret_that_says_so() {
    let told = |binding: &DatabaseBinding, shop: &Storefront, reason, message: &str| {
        database_binding::remedy(binding, Some(shop), (reason, message))
    };
    let external = shop("storefront-full.yaml");
    let admin = storefront::needs(&external).referenced.remove(0);
    let own = bindings(&external).remove(0);
    let field = format!("{admin} (spec.database.external.adminSecretRef of Storefront acme)");
    let refused = "the login is refused";
    assert_eq!(
        told(&own, &external, "ServerDenied", refused),
        denied(&field)
    );
    let why = "error communicating with database: failed to lookup address information: Name or service not known";
    let why = database_binding::unreachable("db.example", why);
    assert_eq!(
        why,
        "the name db.example is not resolved: Name or service not known"
    );
    assert_eq!(
        told(&own, &external, "ServerUnreachable", &why),
        format!("{why}; correct host in the Secret {field}")
    );
    // Where DNS is away nothing is known of the name.
    let silent = "the name db.example is not resolved: DNS does not answer within 900 ms";
    assert_eq!(told(&own, &external, "ServerUnreachable", silent), silent);
    assert_eq!(
        database_binding::unreachable("db", "Connection refused"),
        "Connection refused"
    );

    let team: DatabaseBinding = example("external-database.yaml").remove(0);
    let told_team = database_binding::remedy(&team, None, ("ServerDenied", refused));
    assert_eq!(
        told_team,
        denied("acme-rds-admin (spec.serverRef.adminSecret)")
    );
    let embedded = shop("storefront.yaml");
    let own = bindings(&embedded).remove(0);
    let told = told(&own, &embedded, "ServerDenied", refused);
    assert!(
        told.ends_with(
            "set the password that is in the Secret demo-postgres-admin on the server again"
        ),
        "{told}"
    );
}

#[test]
fn a_shop_whose_server_refuses_the_operator_has_no_database() {
    let shop = shop("storefront-full.yaml");
    let refused = |conditions: serde_json::Value| {
        look(&shop, |item| match item.key.kind.as_str() {
            "DatabaseBinding" => json!({ "conditions": conditions }),
            _ => well(item),
        })
    };
    let mut ready = serde_json::to_value(condition("Ready", "False", 1)).expect("JSON");
    ready["reason"] = "ServerDenied".into();
    ready["message"] = "the login of the Secret is refused".into();
    let stalled = condition("Stalled", "True", 1);
    let status = of_shop(&shop, &refused(json!([ready, stalled])), NOW);
    let database = find(&status.conditions, "DatabaseReady").expect("DatabaseReady");
    assert_eq!(database.status, "False");
    assert_eq!(
        database.message,
        "DatabaseBinding acme-auth is not ready since 1970-01-01T00:00:00Z: the login of the Secret is refused"
    );
    assert!(find(&status.conditions, "Stalled").is_some_and(crds::Condition::is_true));
    // A binding that is only on its way says nothing of the server.
    ready["reason"] = "Provisioning".into();
    let status = of_shop(&shop, &refused(json!([ready])), NOW);
    let database = find(&status.conditions, "DatabaseReady").expect("DatabaseReady");
    assert_eq!(
        (database.status.as_str(), database.reason.as_str()),
        ("True", "External")
    );
}
