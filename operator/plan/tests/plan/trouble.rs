//! Why pods are not ready, and that it reads the same until something changes.

use k8s_openapi::api::core::v1::Pod;
use operator_plan::trouble::{Trouble, why};
use serde_json::{Value, json};

/// A pod of one container in this state.
fn pod(name: &str, status: &Value) -> Pod {
    serde_json::from_value(json!({
        "metadata": { "name": name, "creationTimestamp": "2026-01-01T00:00:00Z" },
        "spec": { "containers": [{ "name": "order", "image": "registry.test/order:2.0.0" }] },
        "status": status,
    }))
    .expect("a pod")
}

fn container(state: &Value, last: &Value) -> Value {
    json!({ "phase": "Running", "containerStatuses": [{ "name": "order", "image": "sha256:1",
        "imageID": "", "ready": false, "restartCount": 3, "state": state, "lastState": last }] })
}

fn waiting(reason: &str, message: &str) -> Value {
    let state = json!({ "waiting": { "reason": reason, "message": message } });
    container(&state, &json!({}))
}

fn told(status: &Value) -> (&'static str, String) {
    let Trouble {
        reason, message, ..
    } = why(&[pod("order-1", status)]).expect("trouble");
    (reason, message)
}

#[test]
fn an_image_that_cannot_be_pulled_is_named_with_the_reason_of_its_registry() {
    for (said, why) in [
        (
            "rpc error: code = NotFound desc = failed to pull and unpack image: not found",
            "does not have it",
        ),
        (
            "pull access denied, repository does not exist or may require authorization",
            "refuses it, so it is not there or asks for an imagePullSecret",
        ),
        (
            "dial tcp: lookup registry.test on 10.96.0.10:53: read udp 10.0.0.7:41234: i/o timeout",
            "cannot be reached",
        ),
    ] {
        let text = format!(
            "Pod order-1: image registry.test/order:2.0.0 cannot be pulled: its registry {why}"
        );
        assert_eq!(
            told(&waiting("ErrImagePull", said)),
            ("ImagePullBackOff", text.clone())
        );
        let said = format!("Back-off pulling image \"order\": ErrImagePull: {said}");
        assert_eq!(
            told(&waiting("ImagePullBackOff", &said)),
            ("ImagePullBackOff", text)
        );
    }
    let (reason, text) = told(&waiting("ErrImageNeverPull", "whatever"));
    assert_eq!(reason, "ErrImageNeverPull");
    assert!(text.contains("order:2.0.0 is not on the node"), "{text}");
}

#[test]
fn a_crash_reads_the_same_while_it_has_ended_waits_and_runs_again() {
    let ended = json!({ "terminated": { "exitCode": 3, "reason": "Error",
        "finishedAt": "2026-01-01T00:00:00Z" } });
    let back_off =
        |text: &str| json!({ "waiting": { "reason": "CrashLoopBackOff", "message": text } });
    let seen = [
        container(&ended, &json!({})),
        container(
            &back_off("back-off 10s restarting failed container"),
            &ended,
        ),
        container(
            &back_off("back-off 5m0s restarting failed container"),
            &ended,
        ),
        container(
            &json!({ "waiting": { "reason": "ContainerCreating" } }),
            &ended,
        ),
        container(&json!({ "running": {} }), &ended),
    ];
    for status in seen {
        let (reason, text) = told(&status);
        assert_eq!(reason, "CrashLoopBackOff");
        assert_eq!(
            text,
            "Pod order-1: container order ended with exit code 3 and is started again; `kubectl logs -p order-1` says why"
        );
    }
}

#[test]
fn a_failed_pod_of_a_job_is_kept_and_its_log_named() {
    let ended = json!({ "terminated": { "exitCode": 3, "reason": "Error" } });
    let mut status = container(&ended, &json!({}));
    status["phase"] = "Failed".into();
    let mut failed = pod("migrate-1", &status);
    failed.spec.as_mut().expect("a spec").restart_policy = Some("Never".into());
    let Trouble {
        reason, message, ..
    } = why(&[failed]).expect("trouble");
    assert_eq!(reason, "PodFailed");
    assert_eq!(
        message,
        "Pod migrate-1: container order ended with exit code 3; `kubectl logs migrate-1` says why"
    );
}

#[test]
fn a_container_that_needs_too_much_memory_is_told_from_one_that_fails() {
    let ended = json!({ "terminated": { "exitCode": 137, "reason": "OOMKilled" } });
    let (reason, text) = told(&container(&json!({ "running": {} }), &ended));
    assert_eq!(reason, "OOMKilled");
    assert!(text.contains("more memory than its limit"), "{text}");
}

#[test]
fn a_container_that_was_killed_is_suspected_of_its_memory_before_the_runtime_says_so() {
    let ended = json!({ "terminated": { "exitCode": 137, "reason": "Error" } });
    for status in [
        container(&ended, &json!({})),
        container(&json!({ "running": {} }), &ended),
    ] {
        let (reason, text) = told(&status);
        assert_eq!(reason, "Killed");
        assert!(text.contains("more memory than its limit"), "{text}");
    }
}

#[test]
fn a_command_that_is_not_there_is_quoted_without_the_runtimes_ids() {
    let said = "failed to create containerd task: failed to create shim task: OCI runtime create failed: \
        runc create failed: unable to start container process: exec: \"/nope\": no such file or directory: unknown";
    let ended =
        json!({ "terminated": { "exitCode": 128, "reason": "StartError", "message": said } });
    let back_off =
        json!({ "waiting": { "reason": "CrashLoopBackOff", "message": "back-off 20s" } });
    let expected = "Pod order-1: container order cannot be started: exec: \"/nope\": no such file or directory";
    for status in [
        waiting("RunContainerError", said),
        container(&back_off, &ended),
    ] {
        assert_eq!(told(&status), ("StartError", expected.to_owned()));
    }
}

#[test]
fn what_a_container_cannot_be_made_of_is_quoted() {
    let (reason, text) = told(&waiting(
        "CreateContainerConfigError",
        "secret \"stripe\" not found",
    ));
    assert_eq!(reason, "CreateContainerConfigError");
    assert!(
        text.ends_with("cannot be made: secret \"stripe\" not found"),
        "{text}"
    );
    let said = "container has runAsNonRoot and image will run as root (pod: \"order-1_shops(5b9a)\", container: order)";
    let (_, text) = told(&waiting("CreateContainerConfigError", said));
    assert!(text.ends_with("image will run as root"), "{text}");
}

#[test]
fn a_pod_that_no_node_takes_says_what_the_scheduler_lacks() {
    let said = "0/1 nodes are available: 1 Insufficient cpu. preemption: 0/1 nodes are available: \
        1 No preemption victims found for incoming pod.";
    let status = json!({ "phase": "Pending", "conditions": [{ "type": "PodScheduled",
        "status": "False", "reason": "Unschedulable", "message": said }] });
    let text = "Pod order-1: no node takes it: 0/1 nodes are available: 1 Insufficient cpu";
    assert_eq!(told(&status), ("Unschedulable", text.to_owned()));
}

#[test]
fn nothing_is_said_of_pods_that_are_well_coming_up_or_going() {
    let fine = json!({ "phase": "Running", "containerStatuses": [{ "name": "order", "image": "",
        "imageID": "", "ready": true, "restartCount": 0, "state": { "running": {} } }] });
    let creating = waiting("ContainerCreating", "");
    let starting = container(&json!({ "running": {} }), &json!({}));
    let mut going = pod("order-2", &waiting("ErrImagePull", ""));
    going.metadata.deletion_timestamp = going.metadata.creation_timestamp.clone();
    let done = json!({ "terminated": { "exitCode": 0, "reason": "Completed" } });
    let mut job = pod("migrate-1", &container(&done, &json!({})));
    job.spec.as_mut().expect("a spec").restart_policy = Some("Never".into());
    let pods = [
        pod("a", &fine),
        pod("b", &creating),
        pod("c", &starting),
        pod("d", &json!({})),
        going,
        job,
    ];
    assert_eq!(why(&pods), None);
    assert_eq!(why(&[]), None);
}

#[test]
fn the_newest_pod_that_has_something_to_tell_speaks_whatever_the_order_of_the_list() {
    let mut old = pod("order-0", &waiting("CreateContainerConfigError", "old"));
    let new = pod("order-9", &waiting("ErrImagePull", "not found"));
    let twin = pod("order-8", &waiting("ErrImagePull", "not found"));
    let starting = pod("order-7", &waiting("ContainerCreating", ""));
    old.metadata.creation_timestamp = serde_json::from_value(json!("2025-01-01T00:00:00Z")).ok();
    let mut pods = vec![old, new, twin, starting];
    let first = why(&pods).expect("trouble");
    assert!(first.message.contains("order-8"), "{}", first.message);
    pods.reverse();
    assert_eq!(why(&pods), Some(first));
}
