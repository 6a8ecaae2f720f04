//! What the operator relies on in an API server, as requests and answers.
//!
//! The same requests go to the fake that the stories run on and, where `STOREFRONT_KUBECONFIG` names a
//! cluster, to a real API server: what the fake answers otherwise than Kubernetes is found here. Only what
//! the fake claims to do is asked (see [`crate::fake`]). On a cluster everything happens in a namespace of
//! its own, which is deleted afterwards.

use std::time::Duration;

use futures::{Stream, StreamExt};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Secret};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;
use kube::api::{
    Api, ApiResource, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams,
    Preconditions, WatchEvent, WatchParams,
};
use kube::client::ClientBuilder;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::PartialObjectMeta;
use kube::{Client, Config, ResourceExt};
use operator::applier::handed_over;
use operator_plan::objects::MANAGER;
use serde_json::{Value, json};

use crate::fake::Fake;

/// One API server, with a namespace to work in.
struct Server {
    client: Client,
    namespace: String,
    /// The fake, if it is that: some states can only be forced there.
    fake: Option<Fake>,
}

impl Server {
    fn maps(&self) -> Api<ConfigMap> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    fn secrets(&self) -> Api<Secret> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// A custom resource with a status of its own, of a class that no controller serves.
    fn gateways(&self) -> Api<DynamicObject> {
        let resource = ApiResource::erase::<gateway_routes::api::Gateway>(&());
        Api::namespaced_with(self.client.clone(), &self.namespace, &resource)
    }
}

#[tokio::test(start_paused = true)]
async fn the_fake_api_server_keeps_the_contract() {
    let fake = Fake::new();
    let server = Server {
        client: ClientBuilder::new(fake.clone(), "contract").build(),
        namespace: "contract".into(),
        fake: Some(fake),
    };
    contract(&server).await;
}

#[tokio::test]
async fn a_real_api_server_keeps_the_contract() {
    #[expect(clippy::disallowed_methods, reason = "a test has no config.rs")]
    let path = std::env::var("STOREFRONT_KUBECONFIG").ok();
    let Some(path) = path else {
        println!("STOREFRONT_KUBECONFIG is not set: nothing was compared");
        return;
    };
    drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
    let file = Kubeconfig::read_from(path).expect("a kubeconfig");
    let options = KubeConfigOptions::default();
    let config = Config::from_custom_kubeconfig(file, &options).await;
    let client = Client::try_from(config.expect("a context")).expect("a client");
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let made = json!({ "metadata": { "generateName": "contract-" } });
    let made = serde_json::from_value(made).expect("a namespace");
    let made = namespaces.create(&PostParams::default(), &made).await;
    let namespace = made.expect("a namespace").name_any();
    let server = Server {
        client,
        namespace: namespace.clone(),
        fake: None,
    };
    contract(&server).await;
    namespaces
        .delete(&namespace, &DeleteParams::background())
        .await
        .expect("deleted");
}

async fn contract(server: &Server) {
    a_create_gives_what_identifies_an_object_and_happens_once(server).await;
    a_write_onto_another_version_or_object_is_a_conflict(server).await;
    an_apply_owns_what_it_names(server).await;
    an_apply_that_does_not_force_yields_to_another_manager(server).await;
    what_a_create_wrote_can_be_handed_over_to_an_apply(server).await;
    a_finalizer_outlives_the_hand_over_and_the_apply(server).await;
    a_status_and_a_spec_are_written_apart(server).await;
    an_object_with_a_finalizer_is_deleted_in_two_steps(server).await;
    a_delete_checks_its_preconditions(server).await;
    selectors_select(server).await;
    a_watch_shows_changes_and_bookmarks_and_expires(server).await;
    an_immutable_secret_cannot_be_changed(server).await;
    what_a_deleted_owner_had_is_deleted(server).await;
}

fn map(name: &str, data: &Value) -> ConfigMap {
    let object = json!({ "metadata": { "name": name, "labels": { "test": name } }, "data": data });
    serde_json::from_value(object).expect("a ConfigMap")
}

fn gateway(name: &str) -> DynamicObject {
    let object = json!({ "apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway",
        "metadata": { "name": name }, "spec": { "gatewayClassName": "of-nobody",
            "listeners": [{ "name": "http", "port": 80, "protocol": "HTTP" }] } });
    serde_json::from_value(object).expect("a Gateway")
}

async fn create(server: &Server, name: &str) -> ConfigMap {
    let object = map(name, &json!({ "a": "1" }));
    let made = server.maps().create(&PostParams::default(), &object).await;
    made.expect("created")
}

/// Code and reason of a refusal.
fn refused<T: std::fmt::Debug>(answer: kube::Result<T>) -> (u16, String) {
    match answer {
        Err(kube::Error::Api(status)) => (status.code, status.reason.clone()),
        other => panic!("not refused: {other:?}"),
    }
}

fn conflict() -> (u16, String) {
    (409, "Conflict".into())
}

fn not_found() -> (u16, String) {
    (404, "NotFound".into())
}

async fn a_create_gives_what_identifies_an_object_and_happens_once(server: &Server) {
    let made = create(server, "once").await;
    let meta = &made.metadata;
    assert!(meta.uid.is_some() && meta.resource_version.is_some());
    assert!(meta.creation_timestamp.is_some());
    let version = meta.resource_version.clone().expect("a version");
    assert!(
        version.parse::<u64>().is_ok(),
        "versions are numbers: {version}"
    );
    let again = map("once", &json!({}));
    let again = server.maps().create(&PostParams::default(), &again).await;
    assert_eq!(refused(again), (409, "AlreadyExists".into()));
    assert_eq!(refused(server.maps().get("never").await), not_found());
    let resource = server.gateways();
    let made = resource
        .create(&PostParams::default(), &gateway("generation"))
        .await;
    assert_eq!(made.expect("created").metadata.generation, Some(1));
}

async fn a_write_onto_another_version_or_object_is_a_conflict(server: &Server) {
    let made = create(server, "versions").await;
    let patch = |meta: Value| {
        let maps = server.maps();
        let body = json!({ "metadata": meta });
        async move {
            let params = PatchParams::default();
            maps.patch("versions", &params, &Patch::Merge(&body)).await
        }
    };
    let right = json!({ "resourceVersion": made.resource_version(), "uid": made.uid(),
        "labels": { "changed": "1" } });
    let changed = patch(right).await.expect("changed");
    assert_ne!(changed.resource_version(), made.resource_version());
    let old = json!({ "resourceVersion": made.resource_version(), "labels": { "changed": "2" } });
    assert_eq!(refused(patch(old).await), conflict());
    // Another uid is a change of an immutable field.
    let uid = "00000000-0000-0000-0000-000000000000";
    let other = json!({ "uid": uid, "labels": { "changed": "3" } });
    assert_eq!(refused(patch(other).await), (422, "Invalid".into()));
    let mut other = applied("versions", &json!({ "a": "3" }));
    other["metadata"]["uid"] = uid.into();
    let other = apply(server, "one", true, &other).await;
    assert_eq!(refused(other), (422, "Invalid".into()));
    // What changes nothing leaves the version as it is.
    let same = patch(json!({ "labels": { "changed": "1" } })).await;
    assert_eq!(
        same.expect("nothing").resource_version(),
        changed.resource_version()
    );
}

fn applied(name: &str, data: &Value) -> Value {
    json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": name }, "data": data })
}

async fn apply(
    server: &Server,
    manager: &str,
    is_forced: bool,
    body: &Value,
) -> kube::Result<ConfigMap> {
    let mut params = PatchParams::apply(manager);
    params.force = is_forced;
    let name = body["metadata"]["name"].as_str().expect("a name");
    server
        .maps()
        .patch(name, &params, &Patch::Apply(body))
        .await
}

fn data(map: &ConfigMap) -> Value {
    json!(map.data)
}

async fn an_apply_owns_what_it_names(server: &Server) {
    let first = applied("apply", &json!({ "a": "1", "b": "2" }));
    let made = apply(server, "one", true, &first).await.expect("created");
    let same = apply(server, "one", true, &first).await.expect("nothing");
    assert_eq!(same.resource_version(), made.resource_version());
    let theirs = applied("apply", &json!({ "c": "3" }));
    apply(server, "two", true, &theirs).await.expect("applied");
    // What it no longer names goes, what another manager named stays.
    let less = applied("apply", &json!({ "a": "1" }));
    let left = apply(server, "one", true, &less).await.expect("applied");
    assert_eq!(data(&left), json!({ "a": "1", "c": "3" }));
    // What two name stays until both have let go.
    let both = applied("apply", &json!({ "a": "1", "c": "3" }));
    apply(server, "one", true, &both).await.expect("applied");
    apply(server, "two", true, &applied("apply", &json!({})))
        .await
        .expect("applied");
    let left = apply(server, "one", true, &both).await.expect("applied");
    assert_eq!(data(&left), json!({ "a": "1", "c": "3" }));
    // An apply that names a uid does not create; one that names a version does.
    let mut body = applied("absent", &json!({}));
    body["metadata"]["uid"] = "00000000-0000-0000-0000-000000000000".into();
    assert_eq!(refused(apply(server, "one", true, &body).await), conflict());
    let mut body = applied("absent", &json!({}));
    body["metadata"]["resourceVersion"] = "1".into();
    apply(server, "one", true, &body).await.expect("created");
}

async fn an_apply_that_does_not_force_yields_to_another_manager(server: &Server) {
    let body = |value: &str| applied("force", &json!({ "a": value }));
    apply(server, "one", true, &body("1"))
        .await
        .expect("created");
    let other = apply(server, "two", false, &body("2")).await;
    assert_eq!(refused(other), conflict());
    // The same value is no conflict.
    apply(server, "two", false, &body("1"))
        .await
        .expect("shared");
    let forced = apply(server, "two", true, &body("2")).await;
    assert_eq!(data(&forced.expect("taken over")), json!({ "a": "2" }));
}

async fn what_a_create_wrote_can_be_handed_over_to_an_apply(server: &Server) {
    create_as_operator(server, "created").await;
    let less = applied("created", &json!({ "a": "1" }));
    let kept = apply(server, MANAGER, true, &less).await.expect("applied");
    assert_eq!(
        data(&kept),
        json!({ "a": "1", "b": "2" }),
        "the create owns it"
    );
    let handed = hand_over(server, "created").await;
    assert_eq!(handed_over(&handed), None);
    let left = apply(server, MANAGER, true, &less).await.expect("applied");
    assert_eq!(data(&left), json!({ "a": "1" }));
}

async fn a_finalizer_outlives_the_hand_over_and_the_apply(server: &Server) {
    create_as_operator(server, "kept").await;
    let finalizers = json!({ "metadata": { "finalizers": ["storefront.dev/test"] } });
    merge(server, "kept", &finalizers).await;
    let handed = hand_over(server, "kept").await;
    assert_eq!(handed_over(&handed), None, "once is enough");
    let less = applied("kept", &json!({ "a": "1" }));
    let left = apply(server, MANAGER, true, &less).await.expect("applied");
    assert_eq!(data(&left), json!({ "a": "1" }));
    assert_eq!(left.finalizers(), ["storefront.dev/test"]);
    let none = json!({ "metadata": { "finalizers": null } });
    merge(server, "kept", &none).await;
}

/// Creates an object as the operator.
async fn create_as_operator(server: &Server, name: &str) {
    let params = PostParams {
        field_manager: Some(MANAGER.to_owned()),
        ..PostParams::default()
    };
    let object = map(name, &json!({ "a": "1", "b": "2" }));
    let made = server.maps().create(&params, &object).await;
    made.expect("created");
}

/// Merges a patch as the operator.
async fn merge(server: &Server, name: &str, patch: &Value) -> ConfigMap {
    let (maps, params) = (server.maps(), PatchParams::apply(MANAGER));
    let answer = maps.patch(name, &params, &Patch::Merge(patch)).await;
    answer.expect("merged")
}

/// Hands over what was created, and returns who manages what then.
async fn hand_over(server: &Server, name: &str) -> Vec<ManagedFieldsEntry> {
    let found = server.maps().get(name).await.expect("there");
    let managed = found.metadata.managed_fields.clone().unwrap_or_default();
    let managed = handed_over(&managed).expect("something to hand over");
    let patch = json!({ "metadata": { "uid": found.uid(),
        "resourceVersion": found.resource_version(), "managedFields": managed } });
    let answer = merge(server, name, &patch).await;
    answer.metadata.managed_fields.unwrap_or_default()
}

async fn a_status_and_a_spec_are_written_apart(server: &Server) {
    let gateways = server.gateways();
    let name = "halves";
    let made = gateways
        .create(&PostParams::default(), &gateway(name))
        .await;
    made.expect("created");
    let status = json!({ "addresses": [{ "type": "IPAddress", "value": "10.0.0.7" }] });
    let both = json!({ "spec": { "gatewayClassName": "of-somebody" }, "status": status });
    let params = PatchParams::default();
    let answer = gateways
        .patch_status(name, &params, &Patch::Merge(&both))
        .await;
    let answer = answer.expect("a status");
    assert_eq!(answer.data["spec"]["gatewayClassName"], "of-nobody");
    assert_eq!(answer.data["status"]["addresses"], status["addresses"]);
    assert_eq!(answer.metadata.generation, Some(1));
    let both =
        json!({ "spec": { "gatewayClassName": "of-somebody" }, "status": { "addresses": [] } });
    let answer = gateways.patch(name, &params, &Patch::Merge(&both)).await;
    let answer = answer.expect("a spec");
    assert_eq!(answer.data["status"]["addresses"], status["addresses"]);
    assert_eq!(answer.metadata.generation, Some(2));
    let absent = gateways
        .patch_status("absent", &params, &Patch::Merge(&both))
        .await;
    assert_eq!(refused(absent), not_found());
}

async fn an_object_with_a_finalizer_is_deleted_in_two_steps(server: &Server) {
    let mut object = map("held", &json!({}));
    object.metadata.finalizers = Some(vec!["storefront.dev/test".into()]);
    let maps = server.maps();
    maps.create(&PostParams::default(), &object)
        .await
        .expect("created");
    maps.delete("held", &DeleteParams::background())
        .await
        .expect("asked");
    let held = maps.get("held").await.expect("still there");
    assert!(held.metadata.deletion_timestamp.is_some());
    let patch =
        json!({ "metadata": { "finalizers": [], "resourceVersion": held.resource_version() } });
    maps.patch("held", &PatchParams::default(), &Patch::Merge(&patch))
        .await
        .expect("released");
    assert_eq!(refused(maps.get("held").await), not_found());
}

async fn a_delete_checks_its_preconditions(server: &Server) {
    let made = create(server, "precious").await;
    let with = |resource_version: Option<String>, uid: Option<String>| {
        let seen = Preconditions {
            resource_version,
            uid,
        };
        let params = DeleteParams::background().preconditions(seen);
        let maps = server.maps();
        async move { maps.delete("precious", &params).await }
    };
    assert_eq!(refused(with(Some("1".into()), None).await), conflict());
    assert_eq!(
        refused(with(None, Some("another".into())).await),
        conflict()
    );
    with(made.resource_version(), made.uid())
        .await
        .expect("deleted");
    assert_eq!(refused(server.maps().get("precious").await), not_found());
}

async fn selectors_select(server: &Server) {
    create(server, "picked").await;
    create(server, "other").await;
    let maps = server.maps();
    for params in [
        ListParams::default().labels("test=picked"),
        ListParams::default().fields("metadata.name=picked"),
    ] {
        let found = maps.list(&params).await.expect("a list");
        let names: Vec<String> = found.iter().map(ResourceExt::name_any).collect();
        assert_eq!(names, ["picked"]);
        let found = maps.list_metadata(&params).await.expect("metadata");
        assert_eq!(found.items.len(), 1);
        let PartialObjectMeta { metadata, .. } = &found.items[0];
        assert_eq!(metadata.name.as_deref(), Some("picked"));
    }
}

async fn next<K>(
    events: &mut (impl Stream<Item = kube::Result<WatchEvent<K>>> + Unpin),
) -> WatchEvent<K> {
    let event = tokio::time::timeout(Duration::from_secs(30), events.next()).await;
    let event = event.expect("an event in time").expect("an event");
    event.expect("no failure")
}

async fn a_watch_shows_changes_and_bookmarks_and_expires(server: &Server) {
    let maps = server.maps();
    let only = ListParams::default().labels("test=watched");
    let listed = maps.list(&only).await.expect("a list");
    let version = listed.metadata.resource_version.expect("a version");
    let params = WatchParams::default().labels("test=watched").timeout(20);
    let events = maps.watch(&params, &version).await.expect("a watch");
    let mut events = events.boxed();
    create(server, "watched").await;
    assert!(
        matches!(next(&mut events).await, WatchEvent::Added(map) if map.name_any() == "watched")
    );
    let patch = json!({ "data": { "a": "2" } });
    let changed = maps
        .patch("watched", &PatchParams::default(), &Patch::Merge(&patch))
        .await;
    let changed = changed.expect("changed").resource_version();
    match next(&mut events).await {
        WatchEvent::Modified(map) => assert_eq!(map.resource_version(), changed),
        other => panic!("not modified: {other:?}"),
    }
    maps.delete("watched", &DeleteParams::background())
        .await
        .expect("deleted");
    let WatchEvent::Deleted(last) = next(&mut events).await else {
        panic!("not deleted");
    };
    let number = |version: Option<String>| version.and_then(|v| v.parse::<u64>().ok());
    assert!(number(last.resource_version()) > number(changed));
    // Before the watch ends, it says how far it came.
    assert!(matches!(next(&mut events).await, WatchEvent::Bookmark(_)));
    if let Some(fake) = &server.fake {
        fake.cut_watches();
    }
    let events = maps.watch(&params, "1").await.expect("a watch");
    let first = next(&mut events.boxed()).await;
    match first {
        WatchEvent::Error(status) => assert_eq!(status.code, 410),
        // A server that has kept all of its history shows it instead; the fake was made to forget.
        other => assert!(server.fake.is_none(), "{other:?}"),
    }
}

async fn an_immutable_secret_cannot_be_changed(server: &Server) {
    let object = json!({ "metadata": { "name": "fixed" }, "immutable": true,
        "data": { "a": "MQ==" } });
    let object = serde_json::from_value(object).expect("a Secret");
    let secrets = server.secrets();
    secrets
        .create(&PostParams::default(), &object)
        .await
        .expect("created");
    let patch = json!({ "data": { "a": "Mg==" } });
    let changed = secrets
        .patch("fixed", &PatchParams::default(), &Patch::Merge(&patch))
        .await;
    assert_eq!(refused(changed), (422, "Invalid".into()));
    let patch = json!({ "metadata": { "labels": { "a": "b" } } });
    let labelled = secrets
        .patch("fixed", &PatchParams::default(), &Patch::Merge(&patch))
        .await;
    labelled.expect("metadata may change");
}

async fn what_a_deleted_owner_had_is_deleted(server: &Server) {
    let owner = create(server, "owner").await;
    let mut child = map("child", &json!({}));
    let reference = json!({ "apiVersion": "v1", "kind": "ConfigMap", "name": "owner",
        "uid": owner.uid(), "controller": true });
    child.metadata.owner_references = Some(vec![
        serde_json::from_value(reference).expect("a reference"),
    ]);
    let maps = server.maps();
    maps.create(&PostParams::default(), &child)
        .await
        .expect("created");
    maps.delete("owner", &DeleteParams::background())
        .await
        .expect("deleted");
    let began = tokio::time::Instant::now();
    while maps.get_opt("child").await.expect("an answer").is_some() {
        assert!(began.elapsed() < Duration::from_secs(60), "it stays");
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}
