//! What the API server refused, for a person: the field, why, and what to do.
//!
//! Its answers are made for clients: one object named three times, values of structures, several causes
//! in one line. Of these a condition gets the first causes with their fields, and the remedy.

use kube::core::Status;
use operator_plan::Invalid;
use operator_plan::quote::quote;

/// Longest quotation of the API server's words.
const LONGEST: usize = 300;
/// Causes that are named.
const CAUSES: usize = 2;

/// Whether trying again cannot help until somebody changes something. A conflict, a limit of requests or
/// a server in trouble passes by itself.
pub fn is_final(status: &Status) -> bool {
    let is_ending = status.message.contains("is being terminated");
    matches!(status.code, 400 | 403 | 405 | 413 | 422) && !is_ending
}

/// Why an object cannot be written as planned.
pub fn of(verb: &str, what: &str, status: &Status) -> Invalid {
    let (reason, remedy) = cause_of(status);
    let why = why(status);
    Invalid::new(
        reason,
        format!("the API server refused to {verb} {what}: {why}; {remedy}"),
    )
}

/// The fields and their messages, or the message as a whole.
pub fn why(status: &Status) -> String {
    let causes = status.details.iter().flat_map(|details| &details.causes);
    let named: Vec<String> = causes
        .filter(|cause| !cause.field.is_empty() && !cause.message.is_empty())
        .take(CAUSES)
        .map(|cause| format!("{}: {}", cause.field, short(&cause.message)))
        .collect();
    if named.is_empty() {
        return short(&status.message);
    }
    named.join("; ")
}

/// One line without what only a debugger would print.
fn short(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default().trim();
    quote(line.trim_end_matches('.'), LONGEST)
}

fn cause_of(status: &Status) -> (&'static str, &'static str) {
    let text = status.message.as_str();
    let field = status.details.iter().flat_map(|details| &details.causes);
    let mut field = field.map(|cause| cause.field.as_str());
    if text.contains("exceeded quota") || text.contains("failed quota") {
        return (
            "QuotaExceeded",
            "raise the ResourceQuota of the namespace, or set resources that it allows",
        );
    }
    if text.contains("must support resize") || text.contains("allowVolumeExpansion") {
        return (
            "VolumeCannotGrow",
            "set allowVolumeExpansion in the StorageClass of the claim, or set the storage of the spec back to the size in status.volumes",
        );
    }
    if text.contains("admission webhook") || text.contains("violates PodSecurity") {
        return (
            "DeniedByPolicy",
            "change the admission policy of the cluster, or the spec that it denies",
        );
    }
    if status.code == 403 && text.contains(" cannot ") {
        return (
            "RightMissing",
            "grant the operator's ServiceAccount this right, as its chart does",
        );
    }
    if field.any(|field| field.contains(".resources")) {
        return (
            "ResourcesRefused",
            "correct spec.resources of the ServiceDeployment (spec.services.<name>.resources of the Storefront)",
        );
    }
    (
        "ApplyRefused",
        "change the field of the spec that it is made from, or delete the object if somebody else changed it",
    )
}

#[cfg(test)]
mod tests {
    use kube::core::response::{StatusCause, StatusDetails};

    use super::*;

    fn refused(code: u16, message: &str, causes: &[(&str, &str)]) -> Status {
        let causes = causes.iter().map(|(field, message)| StatusCause {
            reason: String::new(),
            message: (*message).to_owned(),
            field: (*field).to_owned(),
        });
        let details = StatusDetails {
            name: String::new(),
            group: String::new(),
            kind: String::new(),
            uid: String::new(),
            causes: causes.collect(),
            retry_after_seconds: 0,
        };
        let mut status = Status::failure(message, "Invalid").with_code(code);
        status.details = Some(details);
        status
    }

    #[test]
    fn a_refusal_names_the_field_and_the_remedy_in_one_sentence() {
        let requests = "spec.template.spec.containers[0].resources.requests";
        let text = "Invalid value: \"1Gi\": must be less than or equal to memory limit of 256Mi";
        let long = format!("Deployment.apps \"demo-order\" is invalid: {requests}: {text}");
        let why = of(
            "apply",
            "Deployment shops/demo-order",
            &refused(422, &long, &[(requests, text)]),
        );
        assert_eq!(why.reason, "ResourcesRefused");
        assert_eq!(
            why.message,
            format!(
                "the API server refused to apply Deployment shops/demo-order: {requests}: {text}; correct spec.resources of the ServiceDeployment (spec.services.<name>.resources of the Storefront)"
            )
        );
    }

    #[test]
    fn quota_policy_and_rights_have_remedies_of_their_own() {
        for (message, reason) in [
            (
                "pods \"a\" is forbidden: exceeded quota: q",
                "QuotaExceeded",
            ),
            (
                "persistentvolumeclaims \"data-demo-nats-0\" is forbidden: only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support resize",
                "VolumeCannotGrow",
            ),
            (
                "admission webhook \"w\" denied the request: no",
                "DeniedByPolicy",
            ),
            (
                "services is forbidden: User \"u\" cannot create resource \"services\"",
                "RightMissing",
            ),
        ] {
            assert_eq!(
                of("apply", "Service a", &refused(403, message, &[])).reason,
                reason
            );
        }
    }

    #[test]
    fn what_passes_by_itself_is_no_refusal() {
        for code in [401, 404, 409, 429, 500, 503] {
            assert!(!is_final(&refused(code, "", &[])), "{code}");
        }
        assert!(is_final(&refused(422, "", &[])));
        let ending = "namespace shops is being terminated";
        assert!(!is_final(&refused(403, ending, &[])));
    }
}
