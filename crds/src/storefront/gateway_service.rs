//! The Service in front of a shop's data plane.

use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::pods::{annotations, free_annotations, keys};

/// How a shop's data plane is reached from outside the cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(self.loadBalancerClass) || self.type == 'LoadBalancer'")
        .message("spec.gateway.service.loadBalancerClass needs type LoadBalancer")
        .field_path(".loadBalancerClass"),
    validation = Rule::new("!has(self.externalTrafficPolicy) || self.type != 'ClusterIP'")
        .message("spec.gateway.service.externalTrafficPolicy needs type LoadBalancer or NodePort: a ClusterIP has no traffic from outside")
        .field_path(".externalTrafficPolicy"),
    validation = Rule::new("self.type != 'LoadBalancer' || oldSelf.type != 'LoadBalancer' || (has(self.loadBalancerClass) == has(oldSelf.loadBalancerClass) && (!has(self.loadBalancerClass) || self.loadBalancerClass == oldSelf.loadBalancerClass))")
        .message("spec.gateway.service.loadBalancerClass is immutable while type is LoadBalancer: change type first")
)]
pub struct GatewayService {
    /// `ClusterIP`, `NodePort` or `LoadBalancer`.
    #[serde(default, rename = "type")]
    pub type_: ServiceType,
    /// The controller of the load balancer, where the cluster has several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub load_balancer_class: Option<String>,
    /// `Local` keeps the address of clients and uses only the pods of the node that a packet comes to; `Cluster`
    /// uses all pods. Default: `Cluster`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_traffic_policy: Option<TrafficPolicy>,
    /// Annotations of the Service, which controllers of load balancers read.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "annotations")]
    #[x_kube(
        validation = keys("spec.gateway.service.annotations"),
        validation = free_annotations("spec.gateway.service.annotations")
    )]
    pub annotations: BTreeMap<String, String>,
}

/// Type of a Service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ServiceType {
    /// Inside the cluster only.
    #[default]
    ClusterIP,
    /// On a port of every node, which the cluster chooses.
    NodePort,
    /// Through a load balancer that the cluster provides.
    LoadBalancer,
}

impl ServiceType {
    /// The value of a Service's `type`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ClusterIP => "ClusterIP",
            Self::NodePort => "NodePort",
            Self::LoadBalancer => "LoadBalancer",
        }
    }
}

/// Which pods traffic from outside reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TrafficPolicy {
    /// All of them.
    Cluster,
    /// Those of the node that a packet comes to.
    Local,
}

impl TrafficPolicy {
    /// The value of a Service's `externalTrafficPolicy`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cluster => "Cluster",
            Self::Local => "Local",
        }
    }
}
