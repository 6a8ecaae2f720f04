use std::collections::BTreeMap;
use std::sync::Arc;

use gateway_routes::ObjectName;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::key_sets::{admin, told};
use crate::support::{Backend, NAMESPACE, Rig, client, eventually, free_port};

pub struct Issued {
    pub secret: Arc<Secret>,
    der: rustls::pki_types::CertificateDer<'static>,
}

pub fn issue(name: &str) -> Issued {
    issue_until(&[name], 2100)
}

fn issue_until(names: &[&str], year: i32) -> Issued {
    let key = KeyPair::generate().expect("a key");
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).expect("parameters");
    params.not_before = rcgen::date_time_ymd(2020, 1, 1);
    params.not_after = rcgen::date_time_ymd(year, 1, 1);
    let certificate = params.self_signed(&key).expect("a certificate");
    let data = BTreeMap::from([
        (
            "tls.crt".to_owned(),
            ByteString(certificate.pem().into_bytes()),
        ),
        (
            "tls.key".to_owned(),
            ByteString(key.serialize_pem().into_bytes()),
        ),
    ]);
    let secret = Arc::new(Secret {
        data: Some(data),
        ..Secret::default()
    });
    Issued {
        secret,
        der: certificate.der().clone(),
    }
}

pub fn connector(roots: &[&Issued]) -> TlsConnector {
    let mut store = RootCertStore::empty();
    for root in roots {
        store.add(root.der.clone()).expect("a root");
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(store)
        .with_no_client_auth();
    TlsConnector::from(Arc::new(config))
}

/// One request over TLS; an error says that the handshake failed.
pub async fn get(
    connector: &TlsConnector,
    port: u16,
    name: &str,
    host: &str,
) -> std::io::Result<String> {
    let stream = TcpStream::connect(("127.0.0.1", port)).await?;
    let name = ServerName::try_from(name.to_owned()).expect("a name");
    let mut stream = connector.connect(name, stream).await?;
    let request = format!("GET / HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    // The end of the stream may come without a goodbye.
    let _ = stream.read_to_end(&mut answer).await;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

fn secret_name(name: &str) -> ObjectName {
    ObjectName::new(NAMESPACE, name)
}

async fn rig() -> (Rig, Backend, u16, Issued, Issued) {
    let backend = Backend::start("one").await;
    let mut rig = Rig::start(&[]);
    let port = free_port();
    let a = issue("a.example");
    let b = issue_until(&["b.example", "*.example"], 2100);
    let listener = |name: &str, host: &str| {
        json!({"name": name, "hostname": host, "port": port, "protocol": "HTTPS",
            "tls": {"certificateRefs": [{"name": name}]}})
    };
    rig.listeners(json!([
        listener("a", "a.example"),
        listener("b", "*.example")
    ]));
    rig.secrets.insert(secret_name("a"), a.secret.clone());
    rig.secrets.insert(secret_name("b"), b.secret.clone());
    rig.service("one", &[backend.address]);
    rig.route(
        "all",
        json!([{"backendRefs": [{"name": "one", "port": 80}]}]),
    );
    rig.publish().await;
    (rig, backend, port, a, b)
}

#[tokio::test]
async fn each_name_gets_its_certificate_and_strangers_get_none() {
    let (_rig, _backend, port, a, b) = rig().await;
    let only_a = connector(&[&a]);
    let only_b = connector(&[&b]);
    let answer = get(&only_a, port, "a.example", "a.example")
        .await
        .expect("a handshake");
    assert!(
        answer.starts_with("HTTP/1.1 200") && answer.contains("https"),
        "{answer}"
    );
    let answer = get(&only_b, port, "b.example", "b.example")
        .await
        .expect("a handshake");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(get(&only_b, port, "a.example", "a.example").await.is_err());
    assert!(
        get(&only_a, port, "elsewhere.test", "elsewhere.test")
            .await
            .is_err()
    );
}

#[tokio::test]
async fn a_connection_for_one_name_serves_no_other_listener() {
    let (_rig, _backend, port, a, b) = rig().await;
    let both = connector(&[&a, &b]);
    let answer = get(&both, port, "a.example", "b.example")
        .await
        .expect("a handshake");
    assert!(answer.starts_with("HTTP/1.1 421"), "{answer}");
}

#[tokio::test]
async fn a_new_certificate_is_served_without_a_restart_and_what_cannot_be_served_replaces_none() {
    let (mut rig, _backend, port, old, b) = rig().await;
    let new = issue("a.example");
    rig.secrets.insert(secret_name("a"), new.secret.clone());
    rig.publish().await;
    let fresh = connector(&[&new]);
    let answer = get(&fresh, port, "a.example", "a.example")
        .await
        .expect("a handshake");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(
        get(&connector(&[&old]), port, "a.example", "a.example")
            .await
            .is_err()
    );

    let mut mixed = Secret::clone(&new.secret);
    let other = issue("a.example");
    let key = other.secret.data.as_ref().expect("data")["tls.key"].clone();
    mixed
        .data
        .as_mut()
        .expect("data")
        .insert("tls.key".to_owned(), key);
    let served = async |rig: &mut Rig, issued: &Issued| {
        rig.publish().await;
        // A client without a session from before: those may be resumed, whatever the certificate is now.
        let fresh = connector(&[issued]);
        let answer = get(&fresh, port, "a.example", "a.example").await;
        answer.expect("a handshake").starts_with("HTTP/1.1 200")
    };
    rig.secrets.insert(secret_name("a"), Arc::new(mixed));
    assert!(served(&mut rig, &new).await, "a key of another certificate");
    rig.secrets.insert(secret_name("a"), Arc::default());
    assert!(served(&mut rig, &new).await, "an empty Secret");
    rig.secrets.remove(&secret_name("a"));
    assert!(served(&mut rig, &new).await, "no Secret");
    let expired = issue_until(&["a.example"], 2021);
    rig.secrets.insert(secret_name("a"), expired.secret.clone());
    assert!(served(&mut rig, &new).await, "an expired certificate");
    let next = issue("a.example");
    rig.secrets.insert(secret_name("a"), next.secret.clone());
    assert!(served(&mut rig, &next).await, "a good one");
    let only_b = connector(&[&b]);
    let answer = get(&only_b, port, "b.example", "b.example")
        .await
        .expect("a handshake");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    eventually("failed handshakes are counted", || async {
        rig.metric("gateway_connections_total{outcome=\"tls_failed\"}") >= 1
    })
    .await;
}

#[tokio::test]
async fn a_certificate_that_cannot_be_used_is_told_and_the_gateway_stays_ready() {
    let (mut rig, _backend, _port, old, _b) = rig().await;
    let readyz = admin(&rig).await;
    assert_eq!(told(&readyz).await.0, 200);
    let expired = issue_until(&["a.example"], 2021);
    let cases = [
        (None, "Secret shop/a does not exist"),
        (Some(Arc::default()), "holds no certificate"),
        (Some(expired.secret), "the certificate expired at 2021"),
    ];
    for (secret, why) in cases {
        rig.secrets.remove(&secret_name("a"));
        rig.secrets
            .extend(secret.map(|secret| (secret_name("a"), secret)));
        rig.publish().await;
        let (status, told) = told(&readyz).await;
        assert_eq!((status, &told["ready"]), (300, &json!(true)));
        let degraded = told["degraded"].as_object().expect("an object");
        let text = degraded["certificate of listener a"].as_str();
        let text = text.unwrap_or_default();
        assert!(
            text.contains(why) && text.contains("the last good certificate"),
            "{text}"
        );
        assert_eq!(degraded.len(), 1, "{degraded:?}");
    }
    rig.secrets.insert(secret_name("a"), old.secret.clone());
    rig.publish().await;
    assert_eq!(told(&readyz).await.0, 200);
}

#[tokio::test]
async fn a_pod_that_starts_while_the_secret_is_bad_serves_what_the_operator_kept() {
    let (mut rig, _backend, port, old, _b) = rig().await;
    let data = old.secret.data.as_ref().expect("data");
    let kept = BTreeMap::from([
        ("a.crt".to_owned(), data["tls.crt"].clone()),
        ("a.key".to_owned(), data["tls.key"].clone()),
    ]);
    let kept = Secret {
        data: Some(kept),
        ..Secret::default()
    };
    let (port_of_new, backend) = (free_port(), Backend::start("one").await);
    let mut fresh = Rig::start(&[]);
    let gateway = serde_json::to_string(&*rig.objects.gateways[0]).expect("JSON");
    let gateway = gateway.replace(&port.to_string(), &port_of_new.to_string());
    fresh.objects = rig.objects.clone();
    fresh.objects.gateways = vec![Arc::new(serde_json::from_str(&gateway).expect("a Gateway"))];
    fresh.service("one", &[backend.address]);
    fresh.secrets.insert(secret_name("a"), Arc::default());
    fresh
        .secrets
        .insert(secret_name("demo-kept-certificates"), Arc::new(kept));
    fresh.publish().await;
    let answer = get(&connector(&[&old]), port_of_new, "a.example", "a.example").await;
    let answer = answer.expect("a handshake");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    // The listener without any certificate, of before or of now, is not served.
    let names = get(&connector(&[&old]), port_of_new, "b.example", "b.example").await;
    assert!(names.is_err());
    rig.publish().await;
}

#[tokio::test]
async fn a_host_with_https_is_redirected_to_it_except_where_certificates_are_asked_for() {
    let (mut rig, _backend, port, a, _b) = rig().await;
    let plain = rig.port;
    let listener = |name: &str| {
        json!({"name": name, "hostname": format!("{name}.example"), "port": port, "protocol": "HTTPS",
            "tls": {"certificateRefs": [{"name": name}]}})
    };
    let http = json!({"name": "http", "port": plain, "protocol": "HTTP"});
    rig.annotations = json!({"storefront.dev/https-redirect": "true",
        "storefront.dev/hsts": "max-age=600"});
    rig.listeners(json!([listener("a"), http]));
    rig.publish().await;
    let ask = async |host: &str, path: &str| {
        let request = client().get(format!("http://127.0.0.1:{plain}{path}"));
        let response = request.header("host", host).send().await;
        let response = response.expect("an answer");
        let location = response.headers().get("location");
        let location = location.map(|value| value.to_str().expect("text").to_owned());
        assert!(!response.headers().contains_key("strict-transport-security"));
        (response.status().as_u16(), location)
    };
    let moved = format!("https://a.example:{port}/x%20y?q=1");
    assert_eq!(ask("a.example", "/x%20y?q=1").await, (308, Some(moved)));
    assert_eq!(
        ask("a.example", "/.well-known/acme-challenge/token").await,
        (200, None)
    );
    assert_eq!(ask("other.test", "/").await, (200, None));
    let answer = get(&connector(&[&a]), port, "a.example", "a.example").await;
    let answer = answer.expect("a handshake");
    assert!(
        answer.contains("strict-transport-security: max-age=600"),
        "{answer}"
    );

    // Nothing is served over HTTPS without a certificate, so there is nowhere to redirect to.
    let mut listeners = json!([listener("a"), http]);
    listeners[0]["name"] = json!("never");
    listeners[0]["tls"]["certificateRefs"] = json!([{"name": "missing"}]);
    rig.listeners(listeners);
    rig.publish().await;
    assert_eq!(ask("a.example", "/").await, (200, None));
}
