//! A shop with two services of teams, as it is planned.

use std::collections::BTreeMap;
use std::sync::Arc;

use chassis::Binding;
use crds::{DatabaseBinding, ServiceDeployment, Storefront};
use kube::ResourceExt;
use operator_plan::service_deployment as service;
use operator_plan::storefront::{self, Data, Fresh, missing_material};
use operator_plan::{Objects, Planned, Platform};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// The plan of a shop.
pub struct Plan {
    shop: Storefront,
    teams: Vec<ServiceDeployment>,
    objects: Objects<Planned>,
}

fn platform() -> Platform {
    Platform {
        registry: "localhost/storefront".into(),
        tag: "test".into(),
        digests: std::collections::BTreeMap::new(),
        version: "1.0.0".into(),
        pull_policy: "IfNotPresent".into(),
        operator_namespace: "storefront-system".into(),
        rehearses: false,
    }
}

/// A workload of a team that uses bus and cache.
pub fn team(name: &str, events: &Value) -> ServiceDeployment {
    serde_json::from_value(json!({
        "apiVersion": "storefront.dev/v1alpha1", "kind": "ServiceDeployment",
        "metadata": { "name": name, "namespace": "shops", "uid": name },
        "spec": {
            "storefrontRef": { "name": "demo" }, "image": "team", "uses": ["Bus", "Cache"],
            "events": events,
        },
    }))
    .expect("a ServiceDeployment")
}

impl Plan {
    /// Of a shop that these workloads belong to.
    pub fn with(teams: Vec<ServiceDeployment>) -> Self {
        let shop: Storefront = serde_json::from_value(json!({
            "apiVersion": "storefront.dev/v1alpha1", "kind": "Storefront",
            "metadata": { "name": "demo", "namespace": "shops", "uid": "u" },
            "spec": { "hostnames": ["demo.example"], "notifications": { "email": { "smtp": {
                "host": "mail", "from": "a@b.c" } } } } }))
        .expect("a Storefront");
        let now = jiff::Timestamp::UNIX_EPOCH;
        let missing = missing_material(&shop, &BTreeMap::new(), now);
        let passwords = missing.passwords.into_iter();
        let seen = storefront::Observed {
            now,
            clients: storefront::team_clients("demo", &teams),
            fresh: Fresh {
                passwords: passwords.map(|name| (name.clone(), name)).collect(),
                signing_key: None,
            },
            ..storefront::Observed::default()
        };
        let valid = storefront::validate(&shop, seen, &platform()).ready();
        let objects = storefront::desired(&valid.expect("valid"));
        Self {
            shop,
            teams,
            objects,
        }
    }

    /// A file in one of the Secrets.
    pub fn file(&self, secret: &str, key: &str) -> String {
        let data = content(&self.objects, secret);
        String::from_utf8(data[key].clone()).expect("text")
    }

    /// The path by which the kubelet learns that a server has started.
    pub fn startup_path(&self, server: &str) -> String {
        let set: Value = self.planned("StatefulSet", server);
        let container = &set["spec"]["template"]["spec"]["containers"][0];
        let path = container["startupProbe"]["httpGet"]["path"].as_str();
        path.expect("a probe").to_owned()
    }

    /// The binding of a workload to a part of the platform, as its pods read it, but to a server at `uri`.
    pub fn binding(&self, name: &str, part: &str, uri: &str) -> Binding {
        let secret = content(&self.plan_of(name), &format!("{name}-{part}"));
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(folder.path().join(part)).expect("a folder");
        for (key, value) in secret {
            let value = match key.as_str() {
                "uri" => {
                    let value = String::from_utf8(value).expect("text");
                    let login = value.rsplit_once('@').map(|(login, _)| login);
                    let (_, place) = uri.split_once("://").expect("a scheme");
                    login
                        .map_or_else(|| uri.to_owned(), |login| format!("{login}@{place}"))
                        .into_bytes()
                }
                _ => value,
            };
            std::fs::write(folder.path().join(part).join(key), value).expect("a file");
        }
        chassis::binding(folder.path(), part).expect("a binding")
    }

    /// What is planned for a workload, when all that it is bound to is there.
    fn plan_of(&self, name: &str) -> Objects<Planned> {
        let workload = self.workload(name);
        let bindings = service::bindings_of(&workload).into_iter();
        let bindings: BTreeMap<_, _> = bindings
            .map(|name| (name.clone(), Arc::new(self.ready(&name))))
            .collect();
        let secrets = service::secrets_of(&workload, &bindings).into_iter();
        let logins = service::login_secrets(&workload, &self.shop).into_iter();
        let seen = service::Observed {
            storefront: Some(Arc::new(self.shop.clone())),
            shops: vec![Arc::new(self.shop.clone())],
            secrets: secrets.map(|name| (name, "hash".to_owned())).collect(),
            logins: logins
                .map(|name| (name.clone(), content(&self.objects, &name)))
                .collect(),
            bindings,
            ..service::Observed::default()
        };
        let valid = service::validate(&workload, &seen, &platform()).ready();
        service::desired(&valid.expect("valid"))
    }

    fn ready(&self, name: &str) -> DatabaseBinding {
        let mut binding: DatabaseBinding = self.planned("DatabaseBinding", name);
        binding.metadata.generation = Some(1);
        binding.status = serde_json::from_value(json!({
            "binding": { "name": format!("{name}-db") },
            "conditions": [{ "type": "Ready", "status": "True", "reason": "Ready", "message": "",
                "observedGeneration": 1, "lastTransitionTime": "1970-01-01T00:00:00Z" }],
        }))
        .expect("a status");
        binding
    }

    fn workload(&self, name: &str) -> ServiceDeployment {
        let mut teams = self.teams.iter();
        let team = teams.find(|team| team.name_any() == name).cloned();
        team.unwrap_or_else(|| self.planned("ServiceDeployment", name))
    }

    fn planned<K: DeserializeOwned>(&self, kind: &str, name: &str) -> K {
        let mut items = self.objects.items.iter();
        let item = items.find(|it| it.key.kind == kind && it.key.name == name);
        let body = item.expect("planned").body.clone();
        serde_json::from_value(body).expect("it decodes")
    }
}

fn content(objects: &Objects<Planned>, name: &str) -> Data {
    let secret = objects.items.iter();
    let mut secret = secret.filter(|it| it.key.kind == "Secret" && it.key.name == name);
    let secret = secret
        .next()
        .unwrap_or_else(|| panic!("Secret {name} is planned"));
    let secret: k8s_openapi::api::core::v1::Secret =
        serde_json::from_value(secret.body.clone()).expect("a Secret");
    let data = secret.data.unwrap_or_default().into_iter();
    data.map(|(key, value)| (key, value.0)).collect()
}
