//! Who passes, and the tokens of those who must not.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::Response;
use http_body_util::Full;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ED25519, PublicKeyData};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::support::{Backend, Rig, client, json as body, policy};

const ISSUER: &str = "https://shop.example";
const AUDIENCE: &str = "demo";

pub struct Key {
    kid: &'static str,
    algorithm: Algorithm,
    pair: KeyPair,
}

impl Key {
    pub fn new(kid: &'static str, algorithm: Algorithm) -> Self {
        let family = match algorithm {
            Algorithm::ES256 => &PKCS_ECDSA_P256_SHA256,
            _ => &PKCS_ED25519,
        };
        Self {
            kid,
            algorithm,
            pair: KeyPair::generate_for(family).expect("a key"),
        }
    }

    fn jwk(&self) -> Value {
        let raw = self.pair.der_bytes();
        let part = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        match self.algorithm {
            Algorithm::ES256 => {
                json!({"kty": "EC", "crv": "P-256", "kid": self.kid, "alg": "ES256",
                "use": "sig", "x": part(&raw[1..33]), "y": part(&raw[33..65])})
            }
            _ => json!({"kty": "OKP", "crv": "Ed25519", "kid": self.kid, "alg": "EdDSA",
                "use": "sig", "x": part(raw)}),
        }
    }

    fn sign(&self, header: &Header, claims: &Value) -> String {
        let pem = self.pair.serialize_pem();
        let key = match self.algorithm {
            Algorithm::ES256 => EncodingKey::from_ec_pem(pem.as_bytes()),
            _ => EncodingKey::from_ed_pem(pem.as_bytes()),
        };
        encode(header, claims, &key.expect("a key")).expect("a token")
    }

    fn header(&self) -> Header {
        let mut header = Header::new(self.algorithm);
        header.typ = Some("at+jwt".to_owned());
        header.kid = Some(self.kid.to_owned());
        header
    }

    pub fn token(&self, claims: &Value) -> String {
        self.sign(&self.header(), claims)
    }
}

fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("after 1970")
        .as_secs()
}

pub fn claims() -> Value {
    json!({"iss": ISSUER, "aud": AUDIENCE, "sub": "0198-user", "exp": now() + 3600, "iat": now(),
        "nbf": now(), "jti": "1", "roles": ["customer"]})
}

fn with(key: &str, value: Value) -> Value {
    let mut claims = claims();
    claims[key] = value;
    claims
}

fn without(key: &str) -> Value {
    let mut claims = claims();
    claims.as_object_mut().expect("an object").remove(key);
    claims
}

/// Publishes keys, and can stop doing so.
pub struct KeyServer {
    pub url: String,
    document: Arc<Mutex<Option<Value>>>,
    pub fetches: Arc<AtomicUsize>,
}

impl KeyServer {
    pub async fn start(keys: &[&Key]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!(
            "http://{}/jwks.json",
            listener.local_addr().expect("an address")
        );
        let server = Self {
            url,
            document: Arc::new(Mutex::new(Some(document(keys)))),
            fetches: Arc::default(),
        };
        let (shown, fetches) = (server.document.clone(), server.fetches.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (shown, fetches) = (shown.clone(), fetches.clone());
                tokio::spawn(async move {
                    let service = service_fn(move |_| {
                        fetches.fetch_add(1, Ordering::Relaxed);
                        let shown = shown.lock().expect("keys").clone();
                        let status = if shown.is_some() { 200 } else { 503 };
                        let text = shown.unwrap_or_default().to_string();
                        let response = Response::builder().status(status);
                        async move { response.body(Full::<Bytes>::from(text)) }
                    });
                    let builder = hyper::server::conn::http1::Builder::new();
                    let _ = builder
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        server
    }

    pub fn show(&self, document: Option<Value>) {
        *self.document.lock().expect("keys") = document;
    }
}

pub fn document(keys: &[&Key]) -> Value {
    json!({"keys": keys.iter().map(|key| key.jwk()).collect::<Vec<_>>()})
}

fn spec(server: &KeyServer, mode: &str, roles: &[&str], route: &str) -> Value {
    json!({
        "targetRefs": [{"group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "name": route}],
        "issuer": ISSUER, "audiences": [AUDIENCE], "jwksUri": server.url, "mode": mode, "roles": roles,
        "claimToHeaders": [{"claim": "sub", "header": "x-user-id"}, {"claim": "roles", "header": "x-user-roles"}],
    })
}

async fn rig(server: &KeyServer) -> (Rig, Backend) {
    let (mut rig, backend) = Rig::simple(&[]).await;
    let at = |path: &str| json!([{"matches": [{"path": {"value": path}}], "backendRefs": [{"name": "one", "port": 80}]}]);
    rig.route("required", at("/required"));
    rig.route("optional", at("/optional"));
    rig.route("admin", at("/admin"));
    rig.objects.jwt_policies = vec![
        policy("required", spec(server, "Required", &[], "required")),
        policy("optional", spec(server, "Optional", &[], "optional")),
        policy("admin", spec(server, "Required", &["admin"], "admin")),
    ];
    rig.publish().await;
    (rig, backend)
}

async fn ask(rig: &Rig, path: &str, token: Option<&str>) -> reqwest::Response {
    let mut request = client().get(rig.url(path)).header("x-user-id", "root");
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    request.send().await.expect("an answer")
}

#[tokio::test]
async fn good_tokens_pass_and_say_who_asks() {
    let (ed, ec) = (
        Key::new("ed", Algorithm::EdDSA),
        Key::new("ec", Algorithm::ES256),
    );
    let server = KeyServer::start(&[&ed, &ec]).await;
    let (rig, _backend) = rig(&server).await;
    for key in [&ed, &ec] {
        let token = key.token(&claims());
        for path in ["/required", "/optional", "/required"] {
            let response = ask(&rig, path, Some(&token)).await;
            assert_eq!(response.status(), 200, "{} {path}", key.kid);
            let seen = body(response).await;
            assert_eq!(seen["headers"]["x-user-id"], json!(["0198-user"]));
            assert_eq!(seen["headers"]["x-user-roles"], json!(["customer"]));
        }
        assert_eq!(ask(&rig, "/admin", Some(&token)).await.status(), 403);
        let admin = key.token(&with("roles", json!(["customer", "admin"])));
        assert_eq!(ask(&rig, "/admin", Some(&admin)).await.status(), 200);
    }
    let several = ed.token(&with("aud", json!(["other", AUDIENCE])));
    assert_eq!(ask(&rig, "/required", Some(&several)).await.status(), 200);
    assert!(server.fetches.load(Ordering::Relaxed) <= 2);
}

#[tokio::test]
async fn without_a_token_only_optional_routes_pass_and_identity_is_never_the_clients_word() {
    let key = Key::new("ed", Algorithm::EdDSA);
    let server = KeyServer::start(&[&key]).await;
    let (rig, _backend) = rig(&server).await;
    let refused = ask(&rig, "/required", None).await;
    assert_eq!(refused.status(), 401);
    assert_eq!(refused.headers()["www-authenticate"], "Bearer");
    assert_eq!(body(refused).await["code"], "unauthenticated");
    for path in ["/optional", "/public"] {
        let anonymous = ask(&rig, path, None).await;
        assert_eq!(anonymous.status(), 200);
        assert_eq!(
            body(anonymous).await["headers"]["x-user-id"],
            Value::Null,
            "{path}"
        );
    }
}

#[tokio::test]
#[expect(
    clippy::too_many_lines,
    reason = "most of it is the table of forgeries"
)]
async fn forged_tokens_pass_nowhere() {
    let (ed, ec) = (
        Key::new("ed", Algorithm::EdDSA),
        Key::new("ec", Algorithm::ES256),
    );
    let stranger = Key::new("ed", Algorithm::EdDSA);
    let unknown = Key::new("unknown", Algorithm::EdDSA);
    let server = KeyServer::start(&[&ed, &ec]).await;
    let (rig, backend) = rig(&server).await;
    assert_eq!(
        ask(&rig, "/required", Some(&ed.token(&claims())))
            .await
            .status(),
        200
    );
    let before = backend.requests.load(Ordering::Relaxed);

    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let good = ed.token(&claims());
    let pieces: Vec<&str> = good.split('.').collect();
    let signature = pieces[2];
    let altered = |change: fn(&mut Header)| {
        let mut header = ed.header();
        change(&mut header);
        ed.sign(&header, &claims())
    };
    let hmac = |secret: &[u8]| {
        let mut header = Header::new(Algorithm::HS256);
        header.typ = Some("at+jwt".to_owned());
        header.kid = Some("ed".to_owned());
        encode(&header, &claims(), &EncodingKey::from_secret(secret)).expect("a token")
    };
    let mut crossed = ec.header();
    crossed.kid = Some("ed".to_owned());
    let raw_header = |header: Value| format!("{}.{}.{signature}", part(&header), pieces[1]);
    let forged: Vec<(&str, String)> = vec![
        ("no signature", format!("{}.{}.", pieces[0], pieces[1])),
        (
            "alg none",
            format!(
                "{}.{}.",
                part(&json!({"alg": "none", "typ": "at+jwt", "kid": "ed"})),
                pieces[1]
            ),
        ),
        (
            "alg None with signature",
            raw_header(json!({"alg": "None", "typ": "at+jwt", "kid": "ed"})),
        ),
        ("HS256 with the public key", hmac(ed.pair.der_bytes())),
        (
            "HS256 with the public PEM",
            hmac(ed.pair.public_key_pem().as_bytes()),
        ),
        ("another key under our kid", stranger.token(&claims())),
        ("unknown kid", unknown.token(&claims())),
        ("no kid", altered(|header| header.kid = None)),
        (
            "kid as a path",
            altered(|header| header.kid = Some("../../ed".to_owned())),
        ),
        (
            "kid as SQL",
            altered(|header| header.kid = Some("' or 1=1 --".to_owned())),
        ),
        (
            "wrong typ",
            altered(|header| header.typ = Some("JWT".to_owned())),
        ),
        ("no typ", altered(|header| header.typ = None)),
        ("key of another algorithm", ec.sign(&crossed, &claims())),
        ("jwk in the header", {
            let mut header = stranger.header();
            header.jwk = serde_json::from_value(stranger.jwk()).ok();
            stranger.sign(&header, &claims())
        }),
        (
            "jku in the header",
            altered_by(&stranger, |header| {
                header.jku = Some("http://evil.example".to_owned());
            }),
        ),
        (
            "crit",
            raw_header(
                json!({"alg": "EdDSA", "typ": "at+jwt", "kid": "ed", "crit": ["b64"], "b64": false}),
            ),
        ),
        ("expired", ed.token(&with("exp", json!(now() - 60)))),
        ("no exp", ed.token(&without("exp"))),
        ("exp as text", ed.token(&with("exp", json!("never")))),
        ("not yet", ed.token(&with("nbf", json!(now() + 600)))),
        (
            "wrong issuer",
            ed.token(&with("iss", json!("https://evil.example"))),
        ),
        ("no issuer", ed.token(&without("iss"))),
        ("wrong audience", ed.token(&with("aud", json!("other")))),
        ("no audience", ed.token(&without("aud"))),
        ("empty audience list", ed.token(&with("aud", json!([])))),
        ("no subject", ed.token(&without("sub"))),
        (
            "claims changed",
            format!(
                "{}.{}.{signature}",
                pieces[0],
                part(&with("sub", json!("root")))
            ),
        ),
        ("signature cut", good[..good.len() - 4].to_owned()),
        ("fourth part", format!("{good}.x")),
        ("garbage", "garbage".to_owned()),
        ("oversize", "a".repeat(9000)),
    ];
    assert!(forged.len() >= 15);
    for (name, token) in &forged {
        for path in ["/required", "/optional", "/admin"] {
            let response = ask(&rig, path, Some(token)).await;
            assert_eq!(response.status(), 401, "{name} {path}");
            assert_eq!(
                body(response).await["code"],
                "invalid_token",
                "{name} {path}"
            );
        }
    }
    for value in [
        "Basic cm9vdDpyb290",
        "Bearer",
        "Bearer ",
        &format!("bearer  {good}"),
        &good,
    ] {
        let request = client()
            .get(rig.url("/optional"))
            .header("authorization", value);
        assert_eq!(
            request.send().await.expect("an answer").status(),
            401,
            "{value}"
        );
    }
    let twice = client()
        .get(rig.url("/required"))
        .header("authorization", format!("Bearer {good}"))
        .header("authorization", format!("Bearer {good}"));
    assert_eq!(twice.send().await.expect("an answer").status(), 401);
    assert_eq!(backend.requests.load(Ordering::Relaxed), before);
    assert!(
        server.fetches.load(Ordering::Relaxed) <= 2,
        "unknown kids ask at most once a minute"
    );
}

fn altered_by(key: &Key, change: fn(&mut Header)) -> String {
    let mut header = key.header();
    change(&mut header);
    key.sign(&header, &claims())
}

#[tokio::test]
async fn keys_stay_while_the_issuer_is_away_and_without_keys_nobody_is_believed() {
    let key = Key::new("ed", Algorithm::EdDSA);
    let server = KeyServer::start(&[&key]).await;
    server.show(None);
    let (mut rig, _backend) = rig(&server).await;
    let token = key.token(&claims());
    // Two refused requests, two seconds each: time for every pause to grow as long as it may.
    for _ in 0..2 {
        let unknown = ask(&rig, "/required", Some(&token)).await;
        assert_eq!(unknown.status(), 503);
        assert_eq!(body(unknown).await["code"], "keys_unavailable");
    }
    server.show(Some(document(&[&key])));
    let first = ask(&rig, "/required", Some(&token)).await;
    assert_eq!(
        first.status(),
        200,
        "the first request after the keys came waits for them"
    );
    server.show(None);
    // A new table forgets what was remembered, but not the keys.
    rig.publish().await;
    assert_eq!(ask(&rig, "/required", Some(&token)).await.status(), 200);
}

#[tokio::test]
async fn a_policy_that_cannot_be_honoured_closes_its_routes() {
    let key = Key::new("ed", Algorithm::EdDSA);
    let server = KeyServer::start(&[&key]).await;
    let (mut rig, backend) = rig(&server).await;
    let mut broken = spec(&server, "Required", &[], "required");
    broken["jwksUri"] = json!("ftp://keys.example");
    rig.objects.jwt_policies = vec![policy("required", broken)];
    rig.publish().await;
    let refused = ask(&rig, "/required", Some(&key.token(&claims()))).await;
    assert_eq!(refused.status(), 500);
    assert_eq!(body(refused).await["code"], "broken_policy");
    assert_eq!(backend.requests.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn a_client_above_its_limit_costs_no_verification_of_tokens() {
    let (key, stranger) = (
        Key::new("ed", Algorithm::EdDSA),
        Key::new("ed", Algorithm::EdDSA),
    );
    let server = KeyServer::start(&[&key]).await;
    let (mut rig, _backend) = rig(&server).await;
    rig.objects.rate_limit_policies = vec![policy(
        "few",
        json!({
            "targetRefs": [{"group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "name": "required"}],
            "limits": [{"per": "ClientIP", "requests": 2, "window": "60s"}],
        }),
    )];
    rig.publish().await;
    let forged = stranger.token(&claims());
    let mut statuses = Vec::new();
    for token in [Some(&*forged), None, Some(&*forged), None] {
        let response = ask(&rig, "/required", token).await;
        assert!(response.headers().contains_key("ratelimit"));
        statuses.push(response.status().as_u16());
    }
    // Refused requests count as well, and the limit is checked first.
    assert_eq!(statuses, [401, 401, 429, 429]);
    let verified = rig.metric("gateway_jwt_total{outcome=\"invalid\",policy=\"shop/required\"}");
    assert_eq!(verified, 1);
}
