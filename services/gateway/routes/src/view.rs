//! A snapshot with its lookups prepared once.

use std::collections::HashMap;

use k8s_openapi::api::core::v1::{Service, ServicePort};

use crate::ObjectName;
use crate::api::{GROUP, Gateway, HTTPBackendRef, HTTPRoute};
use crate::grant;
use crate::listener::{self, ListenerView};
use crate::objects::{Objects, Scope};
use crate::verdict::Verdict;

/// A snapshot, indexed. Build one per change; it serves any number of conditions.
pub struct View<'a> {
    pub(crate) objects: &'a Objects,
    pub(crate) gateways: HashMap<ObjectName, GatewayView<'a>>,
    pub(crate) routes: HashMap<ObjectName, &'a HTTPRoute>,
    services: HashMap<ObjectName, &'a Service>,
}

pub(crate) struct GatewayView<'a> {
    pub gateway: &'a Gateway,
    pub listeners: Vec<ListenerView<'a>>,
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
                    (
                        ObjectName::of(&**gateway),
                        GatewayView { gateway, listeners },
                    )
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
        }
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
