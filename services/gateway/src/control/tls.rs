//! Certificates: chosen by server name, replaced without a restart.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use gateway_routes::{CertificateState, ObjectName, PortTable, Table, hostname};
use k8s_openapi::api::core::v1::Secret;
use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert, ServerSessionMemoryCache};
use rustls::sign::CertifiedKey;

/// TLS sessions that clients without tickets may resume.
const MAX_SESSIONS: usize = 4096;

/// Secrets that were read before, with their result.
type Read = BTreeMap<ObjectName, (Arc<Secret>, Result<Arc<CertifiedKey>, String>)>;

/// Reads Secrets and builds the TLS configuration of each port.
pub struct Certificates {
    provider: Arc<CryptoProvider>,
    // One for all configurations, so that sessions survive a new certificate.
    tickets: Arc<dyn rustls::server::ProducesTickets>,
    sessions: Arc<ServerSessionMemoryCache>,
    read: Read,
}

impl std::fmt::Debug for Certificates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Certificates")
            .field("secrets", &self.read.keys())
            .finish_non_exhaustive()
    }
}

impl Certificates {
    /// Without certificates yet.
    pub fn new() -> Result<Self, rustls::Error> {
        Ok(Self {
            provider: Arc::new(aws_lc_rs::default_provider()),
            tickets: aws_lc_rs::Ticketer::new()?,
            sessions: ServerSessionMemoryCache::new(MAX_SESSIONS),
            read: Read::new(),
        })
    }

    /// Takes over the current Secrets, and reports which of them can be used.
    pub fn replace(
        &mut self,
        secrets: &BTreeMap<ObjectName, Arc<Secret>>,
    ) -> BTreeMap<ObjectName, CertificateState> {
        let mut read = Read::new();
        for (name, secret) in secrets {
            let known = self
                .read
                .remove(name)
                .filter(|(old, _)| Arc::ptr_eq(old, secret));
            let entry = known.unwrap_or_else(|| {
                let key = certified_key(secret, &self.provider).map(Arc::new);
                if let Err(why) = &key {
                    tracing::warn!(secret = %name, why, "unusable certificate");
                }
                (secret.clone(), key)
            });
            read.insert(name.clone(), entry);
        }
        self.read = read;
        self.read
            .iter()
            .map(|(name, (_, key))| {
                let state = match key {
                    Ok(_) => CertificateState::Usable,
                    Err(why) => CertificateState::Malformed(why.clone()),
                };
                (name.clone(), state)
            })
            .collect()
    }

    /// The TLS configuration of every port that needs one.
    pub fn configs(&self, table: &Table) -> Result<HashMap<u16, Arc<ServerConfig>>, rustls::Error> {
        table
            .ports()
            .filter(|port| port.is_tls)
            .map(|port| Ok((port.port, Arc::new(self.config(port)?))))
            .collect()
    }

    fn config(&self, port: &PortTable) -> Result<ServerConfig, rustls::Error> {
        let keys = port
            .listeners()
            .map(|listener| {
                let keys = listener.certificates.iter().filter_map(|name| {
                    self.read
                        .get(name)
                        .and_then(|(_, key)| key.as_ref().ok())
                        .cloned()
                });
                (listener.name.clone(), keys.collect())
            })
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

fn certified_key(secret: &Secret, provider: &CryptoProvider) -> Result<CertifiedKey, String> {
    if let CertificateState::Malformed(why) = gateway_routes::inspect_certificate(secret) {
        return Err(why);
    }
    let part = |key: &str| secret.data.as_ref().and_then(|data| data.get(key));
    let (Some(chain), Some(key)) = (part("tls.crt"), part("tls.key")) else {
        return Err("tls.crt or tls.key is missing".to_owned());
    };
    let chain = CertificateDer::pem_slice_iter(&chain.0)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|_| "tls.crt holds no PEM certificate chain")?;
    let key =
        PrivateKeyDer::from_pem_slice(&key.0).map_err(|_| "tls.key holds no PEM private key")?;
    CertifiedKey::from_der(chain, key, provider).map_err(|error| error.to_string())
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
