use super::*;

const DAY: i64 = 24;

fn shop(tls: &serde_json::Value) -> Storefront {
    serde_json::from_value(serde_json::json!({
        "apiVersion": "storefront.dev/v1alpha1", "kind": "Storefront",
        "metadata": { "name": "demo", "namespace": "shops", "uid": "u" },
        "spec": {
            "hostnames": ["a.example", "b.example"],
            "gateway": { "tls": tls },
            "notifications": { "email": { "smtp": { "host": "m", "from": "a@b" } } },
        },
    }))
    .expect("a Storefront")
}

fn own() -> Storefront {
    shop(&serde_json::json!({ "selfSigned": {} }))
}

fn after(days: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_hours(days * DAY)
}

fn known(hostnames: &[&str]) -> Certificate {
    Certificate {
        hostnames: hostnames.iter().map(|name| (*name).to_owned()).collect(),
        not_before: after(0),
        not_after: after(300),
    }
}

#[test]
fn a_certificate_is_made_where_there_is_none_or_none_that_is_good_yet() {
    assert!(is_due(&own(), None, after(1)));
    let known = known(&["a.example", "b.example"]);
    assert!(!is_due(&own(), Some(&known), after(0)));
    let early = after(0) - SignedDuration::from_secs(1);
    assert!(is_due(&own(), Some(&known), early), "not good yet");
}

#[test]
fn a_certificate_is_made_again_before_a_third_of_its_life_is_left() {
    let known = known(&["b.example", "a.example"]);
    let just = after(200) - SignedDuration::from_secs(1);
    assert!(!is_due(&own(), Some(&known), just));
    assert!(is_due(&own(), Some(&known), after(200)));
}

#[test]
fn a_certificate_is_made_again_for_more_hosts_and_for_fewer() {
    let more = ["a.example", "b.example", "c.example"];
    for hostnames in [&more[..], &more[..1]] {
        assert!(is_due(&own(), Some(&known(hostnames)), after(1)));
    }
}

#[test]
fn a_certificate_of_the_user_or_an_issuer_is_never_made_by_the_operator() {
    for tls in [
        serde_json::json!({ "secretRef": { "name": "x" } }),
        serde_json::json!({ "issuerRef": { "name": "x", "kind": "Issuer" } }),
        serde_json::Value::Null,
    ] {
        assert!(!is_due(&shop(&tls), None, after(1)));
    }
}

#[test]
fn cert_manager_gets_the_annotations_that_it_accepts() {
    let said = |issuer: serde_json::Value| {
        let all = annotations(&shop(&serde_json::json!({ "issuerRef": issuer })));
        all.into_iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect::<Vec<_>>()
    };
    let plain = serde_json::json!({ "name": "ca" });
    assert_eq!(said(plain), ["cert-manager.io/issuer=ca"]);
    let cluster = serde_json::json!({
        "name": "ca", "kind": "ClusterIssuer", "group": "cert-manager.io" });
    assert_eq!(said(cluster), ["cert-manager.io/cluster-issuer=ca"]);
    let foreign = serde_json::json!({
        "name": "pca", "kind": "AWSPCAClusterIssuer", "group": "awspca.cert-manager.io" });
    assert_eq!(
        said(foreign),
        [
            "cert-manager.io/issuer=pca",
            "cert-manager.io/issuer-group=awspca.cert-manager.io",
            "cert-manager.io/issuer-kind=AWSPCAClusterIssuer"
        ]
    );
}
