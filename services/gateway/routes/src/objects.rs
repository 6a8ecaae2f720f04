//! The snapshot of objects: the input of this crate.

use std::collections::BTreeMap;
use std::sync::Arc;

use crds::{JwtPolicy, RateLimitPolicy};
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::EndpointSlice;

use crate::ObjectName;
use crate::api::{BackendTLSPolicy, Gateway, HTTPRoute, ReferenceGrant};
use crate::certificate::{CertificateState, Validity};

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
    /// The policies that ask for TLS towards Services.
    pub backend_tls_policies: Vec<Arc<BackendTLSPolicy>>,
    /// Key sets that a data plane has no key of, with the reason; only conditions need them.
    pub unusable_key_sets: BTreeMap<String, String>,
    /// Key sets that a data plane cannot fetch again, with the reason, and whose keys it still has.
    pub stale_key_sets: BTreeMap<String, String>,
    /// Services that routes may name.
    pub services: Vec<Arc<Service>>,
    /// Endpoints of these Services; conditions do not need them.
    pub endpoint_slices: Vec<Arc<EndpointSlice>>,
    /// The TLS Secrets that listeners name, as far as they exist.
    pub certificates: BTreeMap<ObjectName, CertificateState>,
    /// The last good certificates, by gateway and listener: served where none of a listener's own can be.
    pub kept_certificates: BTreeMap<(ObjectName, String), Validity>,
    /// Labels of namespaces; only read in [`Scope::Cluster`].
    pub namespaces: BTreeMap<String, BTreeMap<String, String>>,
}
