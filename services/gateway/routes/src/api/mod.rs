//! The Gateway API objects, as far as this implementation reads or writes them.
//!
//! Decoding is lenient on purpose: unknown fields are collected and enumerations are plain strings, so
//! that an object from a newer bundle version still decodes and is answered with a condition instead
//! of a watch error. Field names and meanings are those of `gateway.networking.k8s.io/v1`.

use std::collections::BTreeMap;

mod backend_tls_policy;
mod gateway;
mod gateway_class;
mod http_route;
mod reference;
mod reference_grant;

pub use backend_tls_policy::*;
pub use gateway::*;
pub use gateway_class::*;
pub use http_route::*;
pub use reference::*;
pub use reference_grant::*;

pub use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, LabelSelector};

/// Fields of an object that no field here is for.
pub type Unknown = BTreeMap<String, serde_json::Value>;

/// The API group of every standard object.
pub const GROUP: &str = "gateway.networking.k8s.io";

/// The controller whose GatewayClasses we serve, and whose status entries are ours.
pub const CONTROLLER_NAME: &str = "storefront.dev/gateway-controller";
