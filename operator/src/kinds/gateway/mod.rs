//! The class `storefront`: GatewayClass, Gateways with their data planes, routes and policies.
//! What their statuses say is decided by [`gateway_routes`], what runs them by [`operator_plan::gateway`].
//! One data plane serves one namespace, so routes and policies are reconciled by namespace.
//!
//! These kinds are shared with other controllers, so their statuses are written another way than those
//! of our own kinds (see [`report`]); that is why they are not a [`crate::kind_loop::Kind`].

mod certificates;
mod class;
mod gateways;
mod key_sets;
mod observe;
mod report;
mod routes;

pub use class::GatewayClasses;
pub use gateways::Gateways;
pub use routes::Routes;
