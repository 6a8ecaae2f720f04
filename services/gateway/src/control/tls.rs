//! Certificates: chosen by server name, replaced without a restart, and never by something worse.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use gateway_routes::certificate::{Pair, Validity, kept_pairs, kept_secret, read_certificate};
use gateway_routes::{CertificateState, ListenerTable, ObjectName, PortTable, Table, hostname};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Secret;
use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::{ClientHello, ResolvesServerCert, ServerSessionMemoryCache};
use rustls::sign::CertifiedKey;

/// TLS sessions that clients without tickets may resume.
const MAX_SESSIONS: usize = 4096;

/// Secrets that were read before, with their result.
type Read = BTreeMap<ObjectName, (Arc<Secret>, Result<Pair, CertificateState>)>;

/// Reads Secrets and builds the TLS configuration of each port.
pub struct Certificates {
    gateway: ObjectName,
    provider: Arc<CryptoProvider>,
    // One for all configurations, so that sessions survive a new certificate.
    tickets: Arc<dyn rustls::server::ProducesTickets>,
    sessions: Arc<ServerSessionMemoryCache>,
    read: Read,
    /// What the operator keeps for new pods.
    kept: Option<(Arc<Secret>, BTreeMap<String, Pair>)>,
    /// The last good pair of each listener in this process, which may be ahead of the operator.
    held: BTreeMap<String, Pair>,
}

/// What the Secrets hold, for [`gateway_routes::Objects`].
pub struct Seen {
    pub certificates: BTreeMap<ObjectName, CertificateState>,
    pub kept: BTreeMap<(ObjectName, String), Validity>,
}

impl std::fmt::Debug for Certificates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Certificates")
            .field("secrets", &self.read.keys())
            .finish_non_exhaustive()
    }
}

impl Certificates {
    /// Of a gateway, without certificates yet.
    pub fn new(gateway: ObjectName) -> Result<Self, rustls::Error> {
        Ok(Self {
            gateway,
            provider: Arc::new(aws_lc_rs::default_provider()),
            tickets: aws_lc_rs::Ticketer::new()?,
            sessions: ServerSessionMemoryCache::new(MAX_SESSIONS),
            read: Read::new(),
            kept: None,
            held: BTreeMap::new(),
        })
    }

    /// Takes over the current Secrets, and reports which of them can be used.
    pub fn replace(&mut self, secrets: &BTreeMap<ObjectName, Arc<Secret>>) -> Seen {
        let kept_name = kept_secret(&self.gateway.name)
            .map(|name| ObjectName::new(self.gateway.namespace.clone(), name));
        let mut read = Read::new();
        for (name, secret) in secrets {
            if Some(name) == kept_name.as_ref() {
                continue;
            }
            let known = self
                .read
                .remove(name)
                .filter(|(old, _)| Arc::ptr_eq(old, secret));
            let entry = known.unwrap_or_else(|| (secret.clone(), read_logged(name, secret)));
            read.insert(name.clone(), entry);
        }
        self.read = read;
        self.read_kept(kept_name.and_then(|name| secrets.get(&name)));
        Seen {
            certificates: self
                .read
                .iter()
                .map(|(name, (_, pair))| (name.clone(), state(pair)))
                .collect(),
            kept: self
                .kept_pairs()
                .chain(&self.held)
                .map(|(listener, pair)| {
                    let key = (self.gateway.clone(), listener.clone());
                    (key, pair.validity)
                })
                .collect(),
        }
    }

    fn read_kept(&mut self, secret: Option<&Arc<Secret>>) {
        let Some(secret) = secret else {
            self.kept = None;
            return;
        };
        if self
            .kept
            .as_ref()
            .is_some_and(|(old, _)| Arc::ptr_eq(old, secret))
        {
            return;
        }
        let data = secret.data.iter().flatten();
        let pairs = kept_pairs(data.map(|(name, value)| (name.as_str(), value.0.as_slice())));
        self.kept = Some((secret.clone(), pairs));
    }

    fn kept_pairs(&self) -> impl Iterator<Item = (&String, &Pair)> {
        self.kept.iter().flat_map(|(_, pairs)| pairs)
    }

    /// The TLS configuration of every port that needs one.
    pub fn configs(
        &mut self,
        table: &Table,
        now: Timestamp,
    ) -> Result<HashMap<u16, Arc<ServerConfig>>, rustls::Error> {
        let ports: Vec<&PortTable> = table.ports().filter(|port| port.is_tls).collect();
        let mut held = BTreeMap::new();
        for listener in ports.iter().flat_map(|port| port.listeners()) {
            let name = String::from(listener.name.clone());
            let good = self.named(listener).find(|pair| pair.validity.holds(now));
            let last = good.or_else(|| self.held.get(&name));
            if let Some(pair) = last {
                held.insert(name, pair.clone());
            }
        }
        self.held = held;
        ports
            .into_iter()
            .map(|port| Ok((port.port, Arc::new(self.config(port, now)?))))
            .collect()
    }

    /// How long until another certificate is to be served although no Secret changes, because one becomes
    /// valid or expires.
    pub fn turn(&self, now: Timestamp) -> Option<SignedDuration> {
        let own = self
            .read
            .values()
            .filter_map(|(_, pair)| pair.as_ref().ok());
        own.chain(self.held.values())
            .chain(self.kept_pairs().map(|(_, pair)| pair))
            .filter_map(|pair| pair.validity.turn(now))
            .min()
    }

    /// The pairs in the Secrets that a listener names.
    fn named(&self, listener: &ListenerTable) -> impl Iterator<Item = &Pair> {
        listener
            .certificates
            .iter()
            .filter_map(|name| self.read.get(name)?.1.as_ref().ok())
    }

    /// What a listener serves: its own valid pairs, else the last good one, else what there is.
    fn served(&self, listener: &ListenerTable, now: Timestamp) -> Vec<Arc<CertifiedKey>> {
        let named: Vec<&Pair> = self.named(listener).collect();
        let name: &str = &listener.name;
        let kept = self.kept.as_ref().and_then(|(_, pairs)| pairs.get(name));
        let last: Vec<&Pair> = self.held.get(name).into_iter().chain(kept).collect();
        let valid = |pairs: &[&Pair]| -> Vec<Arc<CertifiedKey>> {
            let valid = pairs.iter().filter(|pair| pair.validity.holds(now));
            valid.map(|pair| pair.key.clone()).collect()
        };
        let any = |pairs: &[&Pair]| pairs.iter().map(|pair| pair.key.clone()).collect();
        let choices: [Vec<Arc<CertifiedKey>>; 4] =
            [valid(&named), valid(&last), any(&named), any(&last)];
        let first = choices.into_iter().find(|keys| !keys.is_empty());
        first.unwrap_or_default()
    }

    fn config(&self, port: &PortTable, now: Timestamp) -> Result<ServerConfig, rustls::Error> {
        let keys = port
            .listeners()
            .map(|listener| (listener.name.clone(), self.served(listener, now)))
            .collect();
        let resolver = Resolver {
            hosts: port.hosts(),
            keys,
        };
        let mut config = ServerConfig::builder_with_provider(self.provider.clone())
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(resolver));
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        config.ticketer = self.tickets.clone();
        config.session_storage = self.sessions.clone();
        Ok(config)
    }
}

fn read_logged(name: &ObjectName, secret: &Secret) -> Result<Pair, CertificateState> {
    let pair = read_certificate(secret);
    match &pair {
        Err(CertificateState::Malformed(why)) => {
            tracing::warn!(secret = %name, why, "unusable certificate");
        }
        Err(_) => tracing::warn!(secret = %name, "the Secret holds no certificate"),
        Ok(_) => {}
    }
    pair
}

fn state(pair: &Result<Pair, CertificateState>) -> CertificateState {
    match pair {
        Ok(pair) => pair.state(),
        Err(state) => state.clone(),
    }
}

/// Certificates by listener, listeners by server name.
#[derive(Debug)]
struct Resolver {
    hosts: gateway_routes::Hosts,
    keys: HashMap<Box<str>, Vec<Arc<CertifiedKey>>>,
}

impl ResolvesServerCert for Resolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let host = hello
            .server_name()
            .and_then(hostname::normalise)
            .unwrap_or_default();
        let keys = self.keys.get(self.hosts.listener(&host)?)?;
        keys.iter()
            .find(|key| key.key.choose_scheme(hello.signature_schemes()).is_some())
            .or_else(|| keys.first())
            .cloned()
    }
}
