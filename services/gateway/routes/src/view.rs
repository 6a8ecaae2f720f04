//! A snapshot with its lookups prepared once.

use std::collections::HashMap;

use crds::RateLimitPolicy;
use k8s_openapi::api::core::v1::{Service, ServicePort};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::ObjectName;
use crate::api::{BackendTLSPolicy, GROUP, Gateway, HTTPBackendRef, HTTPRoute};
use crate::grant;
use crate::listener::{self, ListenerView};
use crate::objects::{Objects, Scope};
use crate::own::OwnRoutes;
use crate::settings::own_routes;
use crate::verdict::Verdict;

/// A snapshot, indexed. Build one per change; it serves any number of conditions.
pub struct View<'a> {
    pub(crate) objects: &'a Objects,
    pub(crate) gateways: HashMap<ObjectName, GatewayView<'a>>,
    pub(crate) routes: HashMap<ObjectName, &'a HTTPRoute>,
    services: HashMap<ObjectName, &'a Service>,
    /// The policies that ask for TLS towards a Service, each with the name of the port, if it names one.
    tls_policies: HashMap<ObjectName, Vec<(Option<&'a str>, &'a BackendTLSPolicy)>>,
}

pub(crate) struct GatewayView<'a> {
    pub gateway: &'a Gateway,
    pub listeners: Vec<ListenerView<'a>>,
    /// Which routes are those of the shop whose Gateway it is.
    pub own: OwnRoutes,
}

impl GatewayView<'_> {
    /// Whether a policy for requests to the Gateway is that of the shop whose Gateway it is. It has the name and the owner of
    /// the Gateway; one that only claims them is put right, or removed, by the operator.
    pub fn is_shops(&self, policy: &RateLimitPolicy) -> bool {
        let (own, its) = (&self.gateway.metadata, &policy.metadata);
        let owner = shop_of(own);
        own.namespace == its.namespace
            && own.name == its.name
            && owner.is_some()
            && owner == shop_of(its)
    }

    /// Whether a Service is one of the shop whose Gateway it is, which alone decides how it is reached from there. It has the
    /// name of the workload; another object of this name stops that one.
    pub fn has_service(&self, service: &ObjectName) -> bool {
        self.gateway.metadata.namespace.as_ref() == Some(&service.namespace)
            && self.own.has_workload(&service.name)
    }
}

/// Name and uid of the Storefront that owns an object.
fn shop_of(meta: &ObjectMeta) -> Option<(&str, &str)> {
    let mut owners = meta.owner_references.iter().flatten();
    let owner = owners.find(|owner| owner.controller == Some(true))?;
    (owner.kind == "Storefront").then_some((owner.name.as_str(), owner.uid.as_str()))
}

impl<'a> View<'a> {
    /// Indexes a snapshot.
    pub fn new(objects: &'a Objects) -> Self {
        Self {
            objects,
            gateways: objects
                .gateways
                .iter()
                .map(|gateway| {
                    let listeners = listener::view(gateway, objects, None);
                    let view = GatewayView {
                        gateway,
                        listeners,
                        own: own_routes(gateway),
                    };
                    (ObjectName::of(&**gateway), view)
                })
                .collect(),
            routes: objects
                .http_routes
                .iter()
                .map(|route| (ObjectName::of(&**route), &**route))
                .collect(),
            services: objects
                .services
                .iter()
                .map(|service| (ObjectName::of(&**service), &**service))
                .collect(),
            tls_policies: tls_policies(objects),
        }
    }

    /// The reason why nothing may be sent from a Gateway to a port of a Service, if a policy asks for TLS towards it: that is
    /// not supported, and plain HTTP is what the policy forbids. Others' policies have no say over the services of a shop.
    pub(crate) fn asks_for_tls(
        &self,
        gateway: &GatewayView<'_>,
        service: &ObjectName,
        port: &ServicePort,
    ) -> Option<Verdict> {
        let policies = self.tls_policies.get(service)?.iter();
        let policies = policies.filter(|_| !gateway.has_service(service));
        let policy = policies
            .filter(|(section, _)| section.is_none_or(|name| port.name.as_deref() == Some(name)))
            .map(|(_, policy)| ObjectName::of(*policy))
            .min()?;
        let why = format!(
            "BackendTLSPolicy {policy} asks for TLS towards Service {service}, which is not supported: requests to it \
             are answered with 503; remove the policy, or this backend"
        );
        Some(Verdict::no("UnsupportedProtocol", why))
    }

    /// Whether a Service exists.
    pub(crate) fn has_service(&self, name: &ObjectName) -> bool {
        self.services.contains_key(name)
    }

    /// Resolves a backend reference of `route`, or gives the reason why it does not resolve.
    pub(crate) fn backend(
        &self,
        route: &HTTPRoute,
        reference: &HTTPBackendRef,
    ) -> Result<(ObjectName, &'a ServicePort), Verdict> {
        let backend = &reference.backend;
        if !backend.is_service() {
            let kind = backend.kind.as_deref().unwrap_or("Service");
            return Err(Verdict::no(
                "InvalidKind",
                format!("backend kind {kind} is not a Service"),
            ));
        }
        let home = route.metadata.namespace.clone().unwrap_or_default();
        let namespace = backend.namespace.clone().unwrap_or_else(|| home.clone());
        let name = ObjectName::new(namespace, backend.name.clone());
        if name.namespace != home {
            let pointer = grant::Pointer {
                group: GROUP,
                kind: "HTTPRoute",
                namespace: &home,
            };
            let allowed = self.objects.scope == Scope::Cluster
                && grant::allows(
                    self.objects,
                    &pointer,
                    &grant::Target::core("Service", &name),
                );
            if !allowed {
                let why = format!("no ReferenceGrant lets this HTTPRoute use Service {name}");
                return Err(Verdict::no("RefNotPermitted", why));
            }
        }
        let missing = |why: String| Err(Verdict::no("BackendNotFound", why));
        let Some(service) = self.services.get(&name) else {
            return missing(format!("Service {name} does not exist"));
        };
        let spec = service.spec.as_ref();
        if spec.and_then(|spec| spec.type_.as_deref()) == Some("ExternalName") {
            let why = format!("Service {name} is an ExternalName, which is not supported");
            return Err(Verdict::no("UnsupportedValue", why));
        }
        let Some(port) = backend.port else {
            return missing(format!("backend Service {name} needs a port"));
        };
        let ports = spec
            .and_then(|spec| spec.ports.as_deref())
            .unwrap_or_default();
        let Some(port) = ports
            .iter()
            .find(|candidate| candidate.port == i32::from(port))
        else {
            return missing(format!("Service {name} has no port {port}"));
        };
        match port.app_protocol.as_deref() {
            None | Some("http" | "kubernetes.io/ws") => Ok((name, port)),
            Some(other) => {
                let why = format!(
                    "Service {name} port {} has the unsupported appProtocol {other}",
                    port.port
                );
                Err(Verdict::no("UnsupportedProtocol", why))
            }
        }
    }
}

fn tls_policies(objects: &Objects) -> HashMap<ObjectName, Vec<(Option<&str>, &BackendTLSPolicy)>> {
    let mut all: HashMap<ObjectName, Vec<_>> = HashMap::new();
    for policy in &objects.backend_tls_policies {
        let namespace = policy.metadata.namespace.clone().unwrap_or_default();
        for target in policy.spec.target_refs.iter().filter(|it| it.is_service()) {
            let service = ObjectName::new(namespace.clone(), target.name.clone());
            let entry = (target.section_name.as_deref(), &**policy);
            all.entry(service).or_default().push(entry);
        }
    }
    all
}
