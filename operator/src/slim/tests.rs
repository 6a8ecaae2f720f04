use serde_json::{Value, json};

use super::*;

fn deployment(change: impl FnOnce(&mut Value)) -> Trimmed<Deployment> {
    let mut object = json!({ "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": { "namespace": "shops", "name": "demo-web", "generation": 1, "resourceVersion": "5",
            "uid": "u", "annotations": { "storefront.dev/applied-hash": "1" },
            "ownerReferences": [{ "apiVersion": "storefront.dev/v1alpha1", "kind": "ServiceDeployment",
                "name": "demo-web", "uid": "o", "controller": true }] },
        "spec": { "replicas": 2, "selector": { "matchLabels": { "a": "b" } }, "template": { "spec": {
            "containers": [{ "name": "web", "image": "web:1", "env": [{ "name": "A", "value": "b" }] }] } } } });
    change(&mut object);
    Trimmed::of(serde_json::from_value(object).unwrap())
}

#[test]
fn what_statuses_are_computed_from_is_kept_and_the_rest_is_not() {
    let kept = deployment(|_| {});
    assert_eq!(kept.owner().unwrap().uid, "o");
    let spec = kept.object.spec.as_ref().unwrap();
    assert_eq!(spec.replicas, Some(2));
    let container = &spec.template.spec.as_ref().unwrap().containers[0];
    assert_eq!(container.image.as_deref(), Some("web:1"));
    assert_eq!(container.env, None);
}

#[test]
fn a_status_does_not_change_the_revision_but_a_spec_and_our_metadata_do() {
    let before = deployment(|_| {}).revision;
    let with = |change: fn(&mut Value)| deployment(change).revision;
    let status = with(|object| {
        object["status"] = json!({ "replicas": 2 });
        object["metadata"]["resourceVersion"] = "6".into();
        object["metadata"]["annotations"]["deployment.kubernetes.io/revision"] = "1".into();
    });
    assert_eq!(status, before);
    for changed in [
        with(|object| object["metadata"]["generation"] = 2.into()),
        with(|object| object["metadata"]["annotations"] = json!({})),
        with(|object| object["metadata"]["labels"] = json!({ "a": "b" })),
        with(|object| object["metadata"]["ownerReferences"] = json!([])),
        with(|object| object["metadata"]["uid"] = "v".into()),
    ] {
        assert_ne!(changed, before);
    }
}

#[test]
fn without_a_generation_every_version_is_another_revision() {
    let meta = |version: &str| ObjectMeta {
        resource_version: Some(version.into()),
        ..ObjectMeta::default()
    };
    assert_ne!(revision_of(&meta("1")), revision_of(&meta("2")));
}

fn pod(status: &Value) -> SlimPod {
    let object = json!({ "apiVersion": "v1", "kind": "Pod",
        "metadata": { "namespace": "shops", "name": "demo-web-5d9c-x7k2p", "resourceVersion": "5",
            "ownerReferences": [{ "apiVersion": "apps/v1", "kind": "ReplicaSet",
                "name": "demo-web-5d9c", "uid": "r", "controller": true }] },
        "spec": { "containers": [{ "name": "web", "image": "web:1" }] }, "status": status });
    SlimPod::of(serde_json::from_value(object).unwrap())
}

#[test]
fn a_pod_belongs_to_its_deployment_and_is_kept_only_while_it_has_something_to_report() {
    let well = pod(&json!({ "phase": "Running" }));
    assert_eq!(well.owner().unwrap().uid, "shops/Deployment/demo-web");
    assert!(well.unwell.is_none() && well.trouble().is_none());
    let ill = pod(
        &json!({ "phase": "Pending", "containerStatuses": [{ "name": "web",
        "ready": false, "restartCount": 0, "image": "", "imageID": "",
        "state": { "waiting": { "reason": "ErrImagePull", "message": "manifest unknown" } } }] }),
    );
    assert_eq!(ill.trouble().unwrap().reason, "ImagePullBackOff");
}
