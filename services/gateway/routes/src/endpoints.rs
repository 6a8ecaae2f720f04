//! Endpoints of Services that may receive new requests.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Service, ServicePort};
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointSlice};

use crate::ObjectName;

/// EndpointSlices by Service.
pub(crate) struct Endpoints<'a> {
    slices: HashMap<ObjectName, Vec<&'a EndpointSlice>>,
}

impl<'a> Endpoints<'a> {
    pub fn new(slices: &'a [Arc<EndpointSlice>], services: &[Arc<Service>]) -> Self {
        let mut index: HashMap<ObjectName, Vec<&EndpointSlice>> = HashMap::new();
        for slice in slices {
            let labels = slice.metadata.labels.as_ref();
            let Some(service) = labels.and_then(|labels| labels.get("kubernetes.io/service-name"))
            else {
                continue;
            };
            let namespace = slice.metadata.namespace.clone().unwrap_or_default();
            index
                .entry(ObjectName::new(namespace, service.clone()))
                .or_default()
                .push(slice);
        }
        for service in services {
            let namespace = service.metadata.namespace.clone().unwrap_or_default();
            let name = service.metadata.name.clone().unwrap_or_default();
            if let Some(slices) = index.get_mut(&ObjectName::new(namespace, name)) {
                keep_first_family(slices, service);
            }
        }
        Self { slices: index }
    }

    /// The addresses behind a port of a Service, sorted, without duplicates: those that are ready; where none
    /// is, those that still serve while they terminate, so that deleting the only pod of a Service costs no
    /// request as long as the pod answers. With them whether they are ready.
    pub fn usable(&self, service: &ObjectName, port: &ServicePort) -> (Arc<[SocketAddr]>, bool) {
        let ready = self.addresses(service, port, is_ready);
        if ready.is_empty() {
            (self.addresses(service, port, is_serving), false)
        } else {
            (ready, true)
        }
    }

    fn addresses(
        &self,
        service: &ObjectName,
        port: &ServicePort,
        test: fn(&Endpoint) -> bool,
    ) -> Arc<[SocketAddr]> {
        let wanted = port.name.as_deref().unwrap_or_default();
        let mut found = Vec::new();
        for slice in self.slices.get(service).into_iter().flatten() {
            let number = slice
                .ports
                .iter()
                .flatten()
                .find(|candidate| candidate.name.as_deref().unwrap_or_default() == wanted)
                .and_then(|candidate| u16::try_from(candidate.port?).ok());
            let Some(number) = number else { continue };
            found.extend(
                slice
                    .endpoints
                    .iter()
                    .filter(|endpoint| test(endpoint))
                    .flat_map(|endpoint| &endpoint.addresses)
                    .filter_map(|address| address.parse::<IpAddr>().ok())
                    .map(|address| SocketAddr::new(address, number)),
            );
        }
        found.sort_unstable();
        found.dedup();
        found.into()
    }
}

/// Of a Service with two IP families, whose pods are listed once for each, only the slices of the first family stay:
/// a pod under two addresses would count twice, and a request that failed would be tried again at the same pod.
fn keep_first_family(slices: &mut Vec<&EndpointSlice>, service: &Service) {
    let families = service
        .spec
        .as_ref()
        .and_then(|spec| spec.ip_families.as_ref());
    let Some(first) = families.and_then(|families| families.first()) else {
        return;
    };
    if slices.iter().any(|slice| slice.address_type == *first) {
        slices.retain(|slice| slice.address_type == *first);
    }
}

fn is_ready(endpoint: &Endpoint) -> bool {
    endpoint.conditions.as_ref().is_none_or(|conditions| {
        conditions.ready != Some(false) && conditions.terminating != Some(true)
    })
}

/// Nothing is said about `serving` where it means the same as `ready`.
fn is_serving(endpoint: &Endpoint) -> bool {
    endpoint
        .conditions
        .as_ref()
        .is_some_and(|conditions| conditions.serving.or(conditions.ready) == Some(true))
}
