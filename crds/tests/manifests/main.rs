//! The examples are fixtures: every good one is accepted, every bad one is refused for the reason
//! that its first line gives, and the generated definitions are those that are committed.

mod schema;

use std::{collections::BTreeMap, fs, path::PathBuf, sync::LazyLock};

use crds::{DatabaseBinding, JwtPolicy, RateLimitPolicy, ServiceDeployment, Storefront, manifests};
use kube::core::cel::Validator;
use serde::Deserialize;
use serde_json::{Value, json};
use service_catalogue::Service;

fn folder(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn texts(name: &str) -> Vec<(String, String)> {
    let mut list: Vec<_> = fs::read_dir(folder(name))
        .expect("the folder is there")
        .map(|entry| entry.expect("readable").path())
        .map(|path| {
            let file = path
                .file_name()
                .expect("a file")
                .to_string_lossy()
                .into_owned();
            (file, fs::read_to_string(&path).expect("readable"))
        })
        .collect();
    list.sort();
    assert!(!list.is_empty(), "{name} is empty");
    list
}

fn documents(text: &str) -> Vec<Value> {
    serde_yaml::Deserializer::from_str(text)
        .map(|document| Value::deserialize(document).expect("YAML"))
        .filter(|value| !value.is_null())
        .collect()
}

/// The schema of an object's kind, without what the API server itself adds to every kind.
fn schema_of(object: &Value) -> &'static Value {
    // Made once: there are many examples.
    static SCHEMAS: LazyLock<BTreeMap<String, Value>> = LazyLock::new(|| {
        let definitions = manifests::definitions().into_iter();
        let schemas = definitions.map(|definition| {
            let schema = definition.spec.versions[0].schema.as_ref();
            let schema = &schema.expect("a schema").open_api_v3_schema;
            let schema = serde_json::to_value(schema).expect("JSON");
            (definition.spec.names.kind, schema)
        });
        schemas.collect()
    });
    let kind = object["kind"].as_str().expect("a kind");
    let found = SCHEMAS.get(kind);
    found.unwrap_or_else(|| panic!("no definition of {kind}"))
}

/// What the API server would say to `object`; nothing when it would take it.
fn refusals(object: &Value, old: Option<&Value>) -> Vec<String> {
    let schema = schema_of(object);
    let mut object = object.clone();
    schema::fill_defaults(schema, &mut object);
    let spec = schema::complaints(&schema["properties"]["spec"], &object["spec"], "spec");
    if !spec.is_empty() {
        return spec;
    }
    match Validator::new().validate(schema, &object, old) {
        Ok(()) => Vec::new(),
        Err(errors) => vec![errors.to_string()],
    }
}

fn decodes(object: &Value) -> Result<(), serde_json::Error> {
    let object = object.clone();
    match object["kind"].as_str() {
        Some("Storefront") => serde_json::from_value::<Storefront>(object).map(drop),
        Some("ServiceDeployment") => serde_json::from_value::<ServiceDeployment>(object).map(drop),
        Some("DatabaseBinding") => serde_json::from_value::<DatabaseBinding>(object).map(drop),
        Some("JwtPolicy") => serde_json::from_value::<JwtPolicy>(object).map(drop),
        Some("RateLimitPolicy") => serde_json::from_value::<RateLimitPolicy>(object).map(drop),
        other => panic!("an example of the kind {other:?}"),
    }
}

#[test]
fn every_good_example_is_accepted_and_decodes() {
    for (file, text) in texts("examples/good") {
        for object in documents(&text) {
            assert_eq!(refusals(&object, None), Vec::<String>::new(), "{file}");
            decodes(&object).unwrap_or_else(|e| panic!("{file}: {e}"));
        }
    }
}

#[test]
fn every_good_example_may_be_applied_again() {
    for (file, text) in texts("examples/good") {
        for mut object in documents(&text) {
            schema::fill_defaults(schema_of(&object), &mut object);
            assert_eq!(
                refusals(&object, Some(&object)),
                Vec::<String>::new(),
                "{file}"
            );
        }
    }
}

#[test]
fn every_bad_example_is_refused_for_the_reason_it_gives() {
    for (file, text) in texts("examples/bad") {
        let reason = text
            .lines()
            .next()
            .and_then(|line| line.strip_prefix("# refused: "));
        let reason = reason.unwrap_or_else(|| panic!("{file} does not say why it is refused"));
        let object = documents(&text).pop().expect("one object");
        let said = refusals(&object, None).join("\n");
        assert!(!said.is_empty(), "{file} is accepted");
        assert!(
            names_the_same(reason, &said),
            "{file}\n says: {reason}\n is refused with: {said}"
        );
    }
}

/// A rule's message is quoted; a schema's complaint has the field in its own spelling (`spec.routes[0].path`).
fn names_the_same(reason: &str, said: &str) -> bool {
    let field = reason.split(": ").next().unwrap_or_default();
    let plain = regex::Regex::new(r"\[\d+\]")
        .expect("a pattern")
        .replace_all(said, "");
    said.contains(reason) || (field.starts_with("spec.") && plain.contains(field))
}

#[test]
fn what_is_immutable_stays_as_it_was() {
    let old = json!({
        "apiVersion": "storefront.dev/v1alpha1", "kind": "DatabaseBinding",
        "metadata": { "name": "reviews", "namespace": "shops" },
        "spec": { "serverRef": { "storefront": "demo" }, "database": "reviews", "access": "Owner",
                  "reclaimPolicy": "Retain" },
    });
    for (path, value) in [
        ("/spec/serverRef/storefront", json!("other")),
        ("/spec/database", json!("ratings")),
        ("/spec/access", json!("ReadOnly")),
    ] {
        let mut new = old.clone();
        *new.pointer_mut(path).expect("there") = value;
        let said = refusals(&new, Some(&old)).join("\n");
        assert!(said.contains("is immutable"), "{path}: {said}");
    }
    let mut new = old.clone();
    new["spec"]["reclaimPolicy"] = json!("Delete");
    assert_eq!(refusals(&new, Some(&old)), Vec::<String>::new());
}

/// The demo shop as the API server stores it.
fn stored_demo() -> Value {
    let (_, text) = texts("examples/good")
        .into_iter()
        .find(|(file, _)| file == "storefront.yaml")
        .expect("the demo");
    let mut demo = documents(&text).pop().expect("one object");
    schema::fill_defaults(schema_of(&demo), &mut demo);
    demo
}

#[test]
fn a_shop_does_not_change_its_servers_or_volumes() {
    let old = stored_demo();
    for (path, value, word) in [
        (
            "/spec/database",
            json!({ "external": { "adminSecretRef": { "name": "x" } } }),
            "spec.database",
        ),
        (
            "/spec/database/embedded/storage",
            json!("512Mi"),
            "cannot shrink",
        ),
        (
            "/spec/queue/nats/replicas",
            json!(3),
            "replicas is immutable",
        ),
        ("/spec/queue/nats/storage", json!("1536Mi"), "cannot shrink"),
        (
            "/spec/queue/nats",
            json!({ "replicas": 1, "storage": "2Gi", "storageClassName": "fast" }),
            "storageClassName is immutable",
        ),
    ] {
        let mut new = old.clone();
        *new.pointer_mut(path)
            .unwrap_or_else(|| panic!("{path} is there")) = value;
        let said = refusals(&new, Some(&old)).join("\n");
        assert!(said.contains(word), "{path}: {said}");
    }
}

#[test]
fn a_volume_grows_and_a_size_that_was_not_granted_may_be_taken_back() {
    let old = stored_demo();
    for path in [
        "/spec/database/embedded/storage",
        "/spec/queue/nats/storage",
    ] {
        let sized = |size: &str| {
            let mut shop = old.clone();
            *shop.pointer_mut(path).expect("there") = json!(size);
            shop["status"] = json!({ "volumes": { "database": "4Gi", "queue": "4Gi" } });
            shop
        };
        let said = |old: &str, new: &str| refusals(&sized(new), Some(&sized(old))).join("\n");
        assert_eq!(said("4Gi", "9Gi"), "", "{path}");
        assert_eq!(said("9Gi", "4Gi"), "", "{path}");
        assert_eq!(said("4Gi", "4096Mi"), "", "{path}");
        assert!(said("9Gi", "3Gi").contains("cannot shrink"), "{path}");
        // A status of another size than the spec's can still be written.
        assert_eq!(said("3Gi", "3Gi"), "", "{path}");
    }
}

#[test]
fn every_list_and_every_text_of_a_spec_has_a_limit() {
    for crd in manifests::definitions() {
        let version = &crd.spec.versions[0];
        let schema = serde_json::to_value(&version.schema).expect("JSON");
        let spec = &schema["openAPIV3Schema"]["properties"]["spec"];
        unlimited(spec, &crd.spec.names.kind);
    }
}

#[test]
fn no_field_of_a_spec_is_refused_with_a_regular_expression() {
    for crd in manifests::definitions() {
        let version = &crd.spec.versions[0];
        let schema = serde_json::to_value(&version.schema).expect("JSON");
        let spec = schema["openAPIV3Schema"]["properties"]["spec"].to_string();
        let pattern = spec.find("\"pattern\":");
        let around = pattern.map(|at| &spec[at.saturating_sub(200)..at]);
        assert_eq!(around, None, "{}", crd.spec.names.kind);
    }
}

fn unlimited(schema: &Value, path: &str) {
    match schema["type"].as_str() {
        Some("array") => {
            assert!(schema["maxItems"].is_u64(), "{path} has no maxItems");
            unlimited(&schema["items"], &format!("{path}[]"));
        }
        Some("string") if schema["enum"].is_null() => {
            assert!(schema["maxLength"].is_u64(), "{path} has no maxLength");
        }
        _ => {
            let entry = &schema["additionalProperties"];
            if entry.is_object() {
                assert!(
                    schema["maxProperties"].is_u64(),
                    "{path} has no maxProperties"
                );
                unlimited(entry, &format!("{path}.*"));
            }
            for (name, property) in schema["properties"].as_object().into_iter().flatten() {
                unlimited(property, &format!("{path}.{name}"));
            }
        }
    }
}

#[test]
fn a_payment_method_has_one_spelling() {
    let method = crds::PaymentMethodName::Manual;
    assert_eq!(json!(method), json!(method.as_str()));
}

#[test]
fn every_service_may_be_overridden_by_its_name() {
    let (_, text) = texts("examples/good")
        .into_iter()
        .find(|(file, _)| file == "storefront.yaml")
        .expect("the demo");
    let mut shop = documents(&text).pop().expect("one object");
    let all = Service::ALL.map(|service| {
        (
            service.name().to_owned(),
            json!({ "replicas": { "min": 2 } }),
        )
    });
    shop["spec"]["services"] = Value::Object(all.into_iter().collect());
    assert_eq!(refusals(&shop, None), Vec::<String>::new());
    let shop: Storefront = serde_json::from_value(shop).expect("a Storefront");
    for service in Service::ALL {
        assert!(shop.spec.overrides(service).is_some(), "{service}");
    }
}

#[test]
fn every_rule_says_what_to_do() {
    for (file, yaml) in manifests::files().expect("YAML") {
        let rules = yaml.matches(" rule: ").count();
        let messages = yaml.matches(" message: ").count();
        assert_eq!(rules, messages, "{file} has a rule without a message");
    }
}

#[test]
fn the_generated_definitions_are_the_committed_ones() {
    for (file, yaml) in manifests::files().expect("YAML") {
        let path = folder("generated").join(&file);
        let committed = fs::read_to_string(&path).unwrap_or_default();
        // Not assert_eq: it would print both, each of thousands of lines in one.
        assert!(committed == yaml, "{file} is stale: run `make gen`");
    }
}

#[test]
fn a_window_is_read_as_it_is_written() {
    let limit = |window: &str| crds::RateLimit {
        path: None,
        method: None,
        per: crds::LimitKey::ClientIP,
        requests: 1,
        window: window.into(),
    };
    let cases = [
        ("60s", Some(60)),
        ("5m", Some(300)),
        ("1h", Some(3_600)),
        ("2h", None),
        ("s", None),
        ("", None),
        ("1d", None),
    ];
    for (text, secs) in cases {
        assert_eq!(limit(text).window_secs(), secs, "{text}");
    }
}

#[test]
fn a_duration_is_read_as_it_is_written() {
    let cases = [
        ("10s", Some(10)),
        ("90m", Some(5_400)),
        ("720h", Some(2_592_000)),
        ("99999h", Some(359_996_400)),
        ("0s", None),
        ("-1s", None),
        ("1h30m", None),
        ("30d", None),
        ("5\u{e9}", None),
        ("s", None),
        ("", None),
    ];
    for (text, secs) in cases {
        assert_eq!(crds::duration_secs(text), secs, "{text}");
    }
}
