//! The example manifests as the API server would hand them out, and a world in which all is well.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crds::{
    BindingRef, Condition, DatabaseBinding, DatabaseBindingStatus, ServiceDeployment, Storefront,
};
use gateway_routes::api::Gateway;
use jiff::Timestamp;
use k8s_openapi::{api::batch::v1::Job, apimachinery::pkg::apis::meta::v1::Time};
use kube::core::{Resource, ResourceExt};
use operator_plan::{
    Applied, Live, Objects, Planned, Platform, gateway,
    service_deployment::{self, Migration},
    storefront::{self, Data, Fresh, Minted, SigningKey},
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

pub fn platform() -> Platform {
    Platform {
        registry: "ghcr.io/storefront-dev".into(),
        tag: "1.0.0".into(),
        digests: BTreeMap::new(),
        version: "1.0.0".into(),
        pull_policy: "IfNotPresent".into(),
        operator_namespace: "storefront-system".into(),
        rehearses: false,
    }
}

const EXAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../crds/examples/good");

/// Every object of kind `K` in an example, as stored: with a uid and a generation.
pub fn example<K: Resource<DynamicType = ()> + DeserializeOwned>(file: &str) -> Vec<K> {
    let text = std::fs::read_to_string(format!("{EXAMPLES}/{file}"));
    decoded(&text.expect("the example is there"))
}

/// Every object of kind `K` in a manifest, as stored.
pub fn decoded<K: Resource<DynamicType = ()> + DeserializeOwned>(text: &str) -> Vec<K> {
    serde_yaml::Deserializer::from_str(text)
        .map(|document| Value::deserialize(document).expect("YAML"))
        .filter(|value| value["kind"] == K::kind(&()).as_ref())
        .map(|value| {
            let mut object: K = serde_json::from_value(value).expect("a good example decodes");
            stored(&mut object);
            object
        })
        .collect()
}

pub fn stored<K: Resource<DynamicType = ()>>(object: &mut K) {
    let name = object.name_any();
    let meta = object.meta_mut();
    meta.uid = Some(format!(
        "uid-{}",
        operator_plan::hash::short([name.as_bytes()])
    ));
    meta.generation = Some(1);
}

pub fn shop(file: &str) -> Storefront {
    example(file).pop().expect("one Storefront")
}

/// The files of all example shops: `storefront.yaml` and those whose names begin like it.
pub fn shops() -> Vec<String> {
    let folder = std::fs::read_dir(EXAMPLES).expect("the folder is there");
    let names = folder.map(|entry| entry.expect("a file").file_name().into_string());
    let names = names.map(|name| name.expect("text"));
    let mut shops: Vec<_> = names
        .filter(|name| name.starts_with("storefront"))
        .collect();
    shops.sort();
    assert!(shops.contains(&"storefront.yaml".into()), "{shops:?}");
    shops
}

/// What a shop with these Secrets lacks, each password named after its Secret: `demo-admin` gets
/// `admin-password`.
pub fn fresh(shop: &Storefront, own: &BTreeMap<String, Data>, now: Timestamp) -> Fresh {
    let missing = storefront::missing_material(shop, own, now);
    let prefix = format!("{}-", shop.name_any());
    let value = |name: &str| match name.strip_prefix(&prefix).unwrap_or(name) {
        "admin" => "admin-password",
        "internal" => "internal-token",
        "postgres-admin" => "postgres-password",
        "nats-logins" => "nats-key",
        "nats-routes" => "nats-routes-password",
        "redis-logins" => "redis-key",
        other => panic!("no value for {other}"),
    };
    let named = |name: String| {
        let value = value(&name).to_owned();
        (name, value)
    };
    Fresh {
        passwords: missing.passwords.into_iter().map(named).collect(),
        signing_key: missing.signing_key.then(|| SigningKey {
            kid: "key-1".into(),
            pem: "a private key".into(),
        }),
    }
}

/// What a Storefront sees when every Secret that it refers to is there and none of its own is.
pub fn seen(shop: &Storefront) -> storefront::Observed {
    let keys = ["host", "port", "username", "password", "tls.crt", "tls.key"];
    let mut secret: Data = keys.map(|key| (key.to_owned(), b"6432".to_vec())).into();
    secret.insert(
        "uri".into(),
        b"rediss://:secret@cache.example:6390".to_vec(),
    );
    let referenced = storefront::needs(shop)
        .referenced
        .into_iter()
        .map(|name| (name, secret.clone()));
    let now = "2026-01-02T03:04:05Z".parse().expect("an instant");
    storefront::Observed {
        now,
        own: BTreeMap::new(),
        referenced: referenced.collect(),
        servers: Objects::new(),
        jobs: BTreeMap::new(),
        scaled: BTreeSet::new(),
        clients: Vec::new(),
        shared_hosts: BTreeMap::new(),
        fresh: fresh(shop, &BTreeMap::new(), now),
        minted: storefront::certificate::is_due(shop, None, Timestamp::UNIX_EPOCH).then(|| {
            Minted {
                certificate: "a certificate".into(),
                key: "its key".into(),
                authority: "who signed it".into(),
            }
        }),
    }
}

pub fn valid_shop(shop: &Storefront) -> storefront::Valid {
    storefront::validate(shop, seen(shop), &platform())
        .ready()
        .expect("the example is valid")
}

/// A binding that is ready, whatever it says of itself.
pub fn ready_binding(name: &str) -> DatabaseBinding {
    let mut binding: DatabaseBinding = serde_json::from_value(json!({
        "apiVersion": "storefront.dev/v1alpha1", "kind": "DatabaseBinding",
        "metadata": { "name": name, "namespace": "shops", "generation": 1 },
        "spec": { "serverRef": { "storefront": "demo" } },
    }))
    .expect("a binding");
    binding.status = Some(DatabaseBindingStatus {
        conditions: vec![condition("Ready", "True", 1)],
        binding: Some(BindingRef {
            name: format!("{name}-db"),
        }),
        ..DatabaseBindingStatus::default()
    });
    binding
}

pub fn condition(type_: &str, status: &str, generation: i64) -> Condition {
    Condition {
        type_: type_.into(),
        status: status.into(),
        observed_generation: Some(generation),
        last_transition_time: Time(Timestamp::UNIX_EPOCH),
        reason: "Test".into(),
        message: "as the test says".into(),
    }
}

/// What a workload sees when all that it is bound to is there; its migration has not run.
pub fn around(service: &ServiceDeployment, shop: &Storefront) -> service_deployment::Observed {
    let own = own_bindings(shop);
    let bindings: BTreeMap<_, _> = service_deployment::bindings_of(service)
        .into_iter()
        .map(|name| {
            let mut binding = ready_binding(&name);
            if let Some(planned) = own.iter().find(|own| own.name_any() == name) {
                binding.spec = planned.spec.clone();
            }
            (name, Arc::new(binding))
        })
        .collect();
    let secrets = service_deployment::secrets_of(service, &bindings)
        .into_iter()
        .map(|name| (name.clone(), format!("hash-of-{name}")))
        .collect();
    service_deployment::Observed {
        storefront: Some(Arc::new(shop.clone())),
        bindings,
        secrets,
        logins: logins(service, shop),
        shops: vec![Arc::new(shop.clone())],
        ..service_deployment::Observed::default()
    }
}

/// The shop's Secrets from which the logins at its servers are made.
fn logins(service: &ServiceDeployment, shop: &Storefront) -> BTreeMap<String, Data> {
    let content = Data::from([("key".to_owned(), b"a key".to_vec())]);
    let names = service_deployment::login_secrets(service, shop).into_iter();
    names.map(|name| (name, content.clone())).collect()
}

/// The databases that a shop consists of.
pub fn own_bindings(shop: &Storefront) -> Vec<DatabaseBinding> {
    let planned = storefront::desired(&valid_shop(shop)).items.into_iter();
    let bindings = planned.filter(|item| item.key.kind == "DatabaseBinding");
    let decode = |item: Planned| serde_json::from_value(item.body).expect("a DatabaseBinding");
    bindings.map(decode).collect()
}

/// The same, after the migration Job has run to its end.
pub fn migrated(service: &ServiceDeployment, shop: &Storefront) -> service_deployment::Observed {
    migrated_by(&platform(), service, shop)
}

/// The same, as this operator migrates.
pub fn migrated_by(
    platform: &Platform,
    service: &ServiceDeployment,
    shop: &Storefront,
) -> service_deployment::Observed {
    let mut seen = around(service, shop);
    let valid = service_deployment::validate(service, &seen, platform)
        .ready()
        .expect("valid");
    if let Migration::Running { job } = valid.migration() {
        let done: Job = serde_json::from_value(json!({
            "metadata": { "name": job },
            "status": { "conditions": [{ "type": "Complete", "status": "True" }] },
        }))
        .expect("a Job");
        seen.jobs.insert(job.clone(), done);
    }
    seen
}

pub fn valid_service(service: &ServiceDeployment, shop: &Storefront) -> service_deployment::Valid {
    service_deployment::validate(service, &migrated(service, shop), &platform())
        .ready()
        .expect("the example is valid")
}

/// The services that a shop consists of, as stored.
pub fn children(shop: &Storefront) -> Vec<ServiceDeployment> {
    storefront::desired(&valid_shop(shop))
        .items
        .into_iter()
        .filter(|item| item.key.kind == "ServiceDeployment")
        .map(|item| {
            let mut service = serde_json::from_value(item.body).expect("a ServiceDeployment");
            stored(&mut service);
            service
        })
        .collect()
}

/// The Gateway of a planned shop, as stored.
pub fn gateway_of(planned: &Objects<Planned>) -> Gateway {
    let item = planned.items.iter().find(|item| item.key.kind == "Gateway");
    let body = item.expect("a shop has a Gateway").body.clone();
    let mut gateway: Gateway = serde_json::from_value(body).expect("a Gateway");
    stored(&mut gateway);
    gateway
}

/// The data plane of a Gateway of a shop.
pub fn data_plane(gateway: &Gateway, shop: &Storefront) -> Objects<Planned> {
    let seen = gateway::Observed {
        storefront: Some(Arc::new(shop.clone())),
        is_scaled: false,
        account_since: None,
    };
    let valid = gateway::validate(gateway, &seen, &platform()).ready();
    gateway::desired(&valid.expect("the built-in class serves it"))
}

/// What the API server answers to an apply: the object, with the status that `status` gives it.
pub fn applied(planned: &Objects<Planned>, status: impl Fn(&Planned) -> Value) -> Objects<Applied> {
    let live = planned.items.iter().map(|item| {
        let mut live = item.body.clone();
        live["metadata"]["generation"] = json!(1);
        live["status"] = status(item);
        if live["status"].is_null() {
            live.as_object_mut().expect("an object").remove("status");
        }
        Applied::decode(item.key.clone(), &live)
    });
    live.collect()
}

/// Changes a live object, as somebody else would.
pub fn edit(item: &mut Applied, change: impl FnOnce(&mut Value)) {
    let live = match &item.live {
        Live::Deployment(object) => serde_json::to_value(object),
        Live::StatefulSet(object) => serde_json::to_value(object),
        Live::ServiceDeployment(object) => serde_json::to_value(object),
        other => panic!("no story changes {other:?}"),
    };
    let mut live = live.expect("JSON");
    change(&mut live);
    *item = Applied::decode(item.key.clone(), &live);
}
