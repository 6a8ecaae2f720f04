//! The snapshot of objects: the input of this crate.

use std::collections::BTreeMap;
use std::sync::Arc;

use crds::{JwtPolicy, RateLimitPolicy};
use k8s_openapi::api::core::v1::{Secret, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::ObjectName;
use crate::api::{Gateway, HTTPRoute, ReferenceGrant};

/// How far the references of one gateway may reach.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scope {
    /// Routes, backends and certificates are in the gateway's namespace, which is all that a data plane with a
    /// namespaced Role can read. References to other namespaces are refused.
    #[default]
    Namespace,
    /// References may cross namespaces where listeners and ReferenceGrants allow it.
    Cluster,
}

/// A snapshot of the objects that decide about routing.
///
/// Objects are shared, so that a snapshot of thousands costs pointers and not copies.
#[derive(Clone, Debug, Default)]
pub struct Objects {
    /// How far references may reach.
    pub scope: Scope,
    /// Gateways of our class only.
    pub gateways: Vec<Arc<Gateway>>,
    /// HTTPRoutes, whatever their parents are.
    pub http_routes: Vec<Arc<HTTPRoute>>,
    /// ReferenceGrants; only read in [`Scope::Cluster`].
    pub reference_grants: Vec<Arc<ReferenceGrant>>,
    /// The policies for tokens.
    pub jwt_policies: Vec<Arc<JwtPolicy>>,
    /// The policies for rates.
    pub rate_limit_policies: Vec<Arc<RateLimitPolicy>>,
    /// Services that routes may name.
    pub services: Vec<Arc<Service>>,
    /// Endpoints of these Services; conditions do not need them.
    pub endpoint_slices: Vec<Arc<EndpointSlice>>,
    /// The TLS Secrets that listeners name, as far as they exist.
    pub certificates: BTreeMap<ObjectName, CertificateState>,
    /// Labels of namespaces; only read in [`Scope::Cluster`].
    pub namespaces: BTreeMap<String, BTreeMap<String, String>>,
}

/// Whether a Secret can be served as a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CertificateState {
    /// Certificate chain and key are there and decode.
    Usable,
    /// The reason why it cannot.
    Malformed(String),
}

/// Checks a Secret without keeping anything of it.
pub fn inspect_certificate(secret: &Secret) -> CertificateState {
    let part = |key: &str| secret.data.as_ref().and_then(|data| data.get(key));
    let problem = match (part("tls.crt"), part("tls.key")) {
        (None, _) => Some("tls.crt is missing"),
        (_, None) => Some("tls.key is missing"),
        (Some(chain), Some(key)) => {
            let mut chain = CertificateDer::pem_slice_iter(&chain.0).peekable();
            if chain.peek().is_none() || chain.any(|certificate| certificate.is_err()) {
                Some("tls.crt holds no PEM certificate chain")
            } else if PrivateKeyDer::from_pem_slice(&key.0).is_err() {
                Some("tls.key holds no PEM private key")
            } else {
                None
            }
        }
    };
    problem.map_or(CertificateState::Usable, |why| {
        CertificateState::Malformed(why.to_owned())
    })
}
