use std::collections::BTreeMap;
use std::sync::Arc;

use gateway_routes::api::{Gateway, ListenerStatus};
use gateway_routes::certificate::{
    Data, Hosts, Validity, keep, kept_pairs, kept_secret, read_pair,
};
use gateway_routes::{CertificateState, ObjectName, Objects, Table, View, inspect_certificate};
use jiff::Timestamp;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use rcgen::{CertificateParams, KeyPair, date_time_ymd};

use crate::support::{at, brief, gateway, gateway_name, objects, plane, usable_in};

const HTTPS: &str =
    "[{name: https, port: 443, protocol: HTTPS, tls: {certificateRefs: [{name: shop}]}}]";

/// PEM of a chain and its key, valid in these years.
fn issue(from: i32, until: i32) -> (String, String) {
    let key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::new(vec!["shop.example".to_owned()]).expect("parameters");
    params.not_before = date_time_ymd(from, 1, 1);
    params.not_after = date_time_ymd(until, 1, 1);
    let certificate = params.self_signed(&key).expect("a certificate");
    (certificate.pem(), key.serialize_pem())
}

fn good() -> (String, String) {
    issue(2020, 2100)
}

fn data(chain: &str, key: &str) -> Data {
    [("tls.crt", chain), ("tls.key", key)]
        .map(|(name, text)| (name.to_owned(), text.as_bytes().to_vec()))
        .into()
}

fn secret(data: Data) -> Secret {
    let data = data
        .into_iter()
        .map(|(name, value)| (name, ByteString(value)));
    Secret {
        data: Some(data.collect()),
        ..Secret::default()
    }
}

fn why_not(chain: &str, key: &str) -> String {
    match inspect_certificate(&secret(data(chain, key))) {
        CertificateState::Malformed(why) => why,
        other => panic!("{other:?}"),
    }
}

fn now() -> Timestamp {
    at(0)
}

#[test]
fn each_way_in_which_a_pair_cannot_be_served_is_named() {
    let (chain, key) = good();
    let (_, other) = good();
    let encrypted = include_str!("../certificates/encrypted.key");
    let encrypted_chain = include_str!("../certificates/encrypted.crt");
    let weak = include_str!("../certificates/weak.key");
    let weak_chain = include_str!("../certificates/weak.crt");
    let rubbish = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let cases = [
        (chain.as_str(), other.as_str(), "is not the key of"),
        (encrypted_chain, encrypted, "encrypted with a passphrase"),
        (weak_chain, weak, "RSA of 2048"),
        ("rubbish", key.as_str(), "no PEM certificate"),
        (rubbish, key.as_str(), "malformed"),
        (chain.as_str(), "rubbish", "no PEM private key"),
    ];
    for (chain, key, expected) in cases {
        let why = why_not(chain, key);
        assert!(why.contains(expected), "{why}, not {expected}");
    }
    assert_eq!(
        inspect_certificate(&secret(Data::new())),
        CertificateState::NoCertificate
    );
    let whole = inspect_certificate(&secret(data(&chain, &key)));
    assert!(matches!(whole, CertificateState::Usable(..)), "{whole:?}");
}

#[test]
fn a_certificate_is_valid_from_its_first_to_its_last_second() {
    let (chain, key) = issue(2023, 2024);
    let validity = read_pair(chain.as_bytes(), key.as_bytes())
        .expect("a pair")
        .validity;
    let instant = |text: &str| text.parse::<Timestamp>().expect("an instant");
    let problem = |text: &str| validity.problem(instant(text));
    assert!(problem("2022-12-31T23:59:59Z").is_some_and(|why| why.contains("not valid before")));
    assert_eq!(problem("2023-01-01T00:00:00Z"), None);
    assert_eq!(problem("2024-01-01T00:00:00Z"), None);
    assert!(problem("2024-01-01T00:00:01Z").is_some_and(|why| why.contains("expired at")));
    let turn = |text: &str| validity.turn(instant(text)).map(|turn| turn.as_secs());
    assert_eq!(turn("2022-12-31T23:59:59Z"), Some(2));
    assert_eq!(turn("2023-12-31T23:59:59Z"), Some(2));
    assert_eq!(turn("2025-01-01T00:00:00Z"), None);
}

fn validity(from: &str, until: &str) -> Validity {
    Validity {
        not_before: from.parse().expect("an instant"),
        not_after: until.parse().expect("an instant"),
    }
}

fn always() -> Validity {
    validity("2020-01-01T00:00:00Z", "2100-01-01T00:00:00Z")
}

fn world(state: Option<CertificateState>, kept: Option<Validity>) -> Objects {
    let mut all = objects(Vec::new());
    all.gateways = vec![gateway(HTTPS)];
    all.certificates = state
        .map(|state| (ObjectName::new("shop", "shop"), state))
        .into_iter()
        .collect();
    all.kept_certificates = kept
        .map(|validity| ((gateway_name(), "https".to_owned()), validity))
        .into_iter()
        .collect();
    all
}

fn listener(all: &Objects) -> ListenerStatus {
    let status = View::new(all).gateway_status(&all.gateways[0], &plane(), now());
    status.listeners.expect("listeners").remove(0)
}

fn message(listener: &ListenerStatus) -> &str {
    let mut conditions = listener.conditions.iter();
    let found = conditions.find(|condition| condition.type_ == "ResolvedRefs");
    &found.expect("ResolvedRefs").message
}

fn serves(all: &Objects) -> bool {
    Table::compile(all, &gateway_name()).port(443).is_some()
}

#[test]
fn without_a_usable_certificate_the_last_good_one_is_served_and_the_listener_says_why() {
    let bad = CertificateState::Malformed("tls.key holds no PEM private key".to_owned());
    let cases = [
        (Some(bad), "tls.key holds no PEM private key"),
        (
            Some(CertificateState::NoCertificate),
            "holds no certificate",
        ),
        (None, "does not exist"),
    ];
    for (state, cause) in cases {
        let never = world(state.clone(), None);
        assert!(!serves(&never), "{cause}");
        let kept = world(state, Some(always()));
        assert!(serves(&kept), "{cause}");
        let told = listener(&kept);
        let said = brief(&told.conditions);
        for expected in [
            "ResolvedRefs=False/InvalidCertificateRef",
            "Programmed=True/Programmed",
        ] {
            assert!(said.contains(&expected.to_owned()), "{cause}: {said:?}");
        }
        assert!(message(&told).contains(cause), "{}", message(&told));
        assert!(
            message(&told).contains("the last good certificate, valid until 2100-01-01T00:00:00Z"),
            "{}",
            message(&told)
        );
    }
}

#[test]
fn an_expired_or_future_certificate_is_served_for_want_of_a_better_one_and_said() {
    let past = validity("2020-01-01T00:00:00Z", "2021-01-01T00:00:00Z");
    let future = validity("2090-01-01T00:00:00Z", "2100-01-01T00:00:00Z");
    for (validity, cause) in [(past, "expired at 2021"), (future, "not valid before 2090")] {
        let alone = world(Some(usable_in(validity)), None);
        let told = listener(&alone);
        assert!(serves(&alone));
        assert!(
            brief(&told.conditions)
                .contains(&"ResolvedRefs=False/InvalidCertificateRef".to_owned())
        );
        assert!(message(&told).contains(cause), "{}", message(&told));
        assert!(message(&told).contains("served all the same"));
        let kept = world(Some(usable_in(validity)), Some(always()));
        assert!(message(&listener(&kept)).contains("the last good certificate"));
    }
    let good = world(Some(usable_in(always())), Some(past));
    assert!(
        brief(&listener(&good).conditions).contains(&"ResolvedRefs=True/ResolvedRefs".to_owned())
    );
}

#[test]
fn the_last_good_pair_of_each_listener_is_kept_until_there_is_another_good_one() {
    let gateway: Arc<Gateway> = gateway(
        "[{name: http, port: 80, protocol: HTTP}, \
          {name: https, port: 443, protocol: HTTPS, tls: {certificateRefs: [{name: shop}]}}]",
    );
    let (first, second, expired) = (good(), good(), issue(2020, 2021));
    let step = |current: Option<(&str, &str)>, before: &Data| {
        let current: BTreeMap<String, Arc<Data>> = current
            .map(|(chain, key)| ("shop".to_owned(), Arc::new(data(chain, key))))
            .into_iter()
            .collect();
        keep(&gateway, &current, before, now())
    };
    let holds = |kept: &Data, pair: &(String, String)| {
        kept.get("https.crt")
            .is_some_and(|chain| chain == pair.0.as_bytes())
            && kept
                .get("https.key")
                .is_some_and(|key| key == pair.1.as_bytes())
            && kept.len() == 2
    };
    let none = step(None, &Data::new());
    assert!(none.is_empty());
    let kept = step(Some((&first.0, &first.1)), &none);
    assert!(holds(&kept, &first));
    for bad in [
        None,
        Some((first.0.as_str(), second.1.as_str())),
        Some((expired.0.as_str(), expired.1.as_str())),
    ] {
        assert!(holds(&step(bad, &kept), &first));
    }
    let next = step(Some((&second.0, &second.1)), &kept);
    assert!(holds(&next, &second));
    let read = kept_pairs(
        next.iter()
            .map(|(name, value)| (name.as_str(), value.as_slice())),
    );
    assert_eq!(read.keys().collect::<Vec<_>>(), ["https"]);
    assert_eq!(
        kept_secret("demo").as_deref(),
        Some("demo-kept-certificates")
    );
    assert_eq!(kept_secret(&"x".repeat(250)), None);
}

#[test]
fn a_certificate_for_another_host_is_served_and_said() {
    let told = |hostname: &str| {
        let listeners = format!(
            "[{{name: https, port: 443, protocol: HTTPS, hostname: '{hostname}', \
              tls: {{certificateRefs: [{{name: shop}}]}}}}]"
        );
        let (chain, key) = good();
        let mut seen = world(Some(inspect_certificate(&secret(data(&chain, &key)))), None);
        seen.gateways = vec![gateway(&listeners)];
        assert!(serves(&seen), "{hostname}");
        let status = listener(&seen);
        let is_resolved =
            brief(&status.conditions).contains(&"ResolvedRefs=True/ResolvedRefs".to_owned());
        (is_resolved, message(&status).to_owned())
    };
    assert!(told("SHOP.example").0, "names have no case");
    for hostname in ["www.shop.example", "*.shop.example", "shop.example.org"] {
        let (is_resolved, message) = told(hostname);
        assert!(!is_resolved, "{hostname}");
        let wanted =
            format!("the certificate is for shop.example, so clients of {hostname} refuse it");
        assert!(message.contains(&wanted), "{message}");
    }
}

#[test]
fn a_star_stands_for_one_label() {
    let hosts = Hosts::new(["*.Example.com".to_owned()]);
    for host in ["a.example.com", "*.example.com"] {
        assert_eq!(hosts.problem(Some(host)), None, "{host}");
    }
    for host in ["example.com", "a.b.example.com", "*.b.example.com"] {
        assert!(hosts.problem(Some(host)).is_some(), "{host}");
    }
    assert_eq!(hosts.problem(None), None, "a listener of every host");
    let nobody = Hosts::new([]).problem(Some("a"));
    assert_eq!(
        nobody.unwrap(),
        "the certificate names no host, so clients of a refuse it"
    );
}
