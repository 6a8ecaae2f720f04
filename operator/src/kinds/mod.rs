//! The custom resources, each a short story: what is read, what is decided in the plan, what is written.

pub mod database_binding;
pub mod gateway;
pub mod service_deployment;
pub mod storefront;
