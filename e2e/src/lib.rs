//! What the user stories share: kubectl, HTTP through the gateway, Prometheus. No crate of the workspace is a
//! dependency: the public contract is read as users read it, from manifests and HTTP responses.
#![expect(missing_docs, reason = "only the stories use it")]
//!
//! A run needs a cluster that `make up` or `make test` booted: `STOREFRONT_E2E_STATE` names its
//! state folder (the one that holds `kubeconfig`).

pub mod audit;
pub mod database;
pub mod faults;
pub mod kubectl;
pub mod mail;
pub mod namespace;
pub mod objects;
pub mod processes;
pub mod shop;
pub mod traces;
pub mod wait;

pub use kubectl::Kubectl;
pub use namespace::Namespace;
pub use shop::Shop;
pub use wait::eventually;
