#![doc = include_str!("../README.md")]

// Reading order: what a service states, how it is assembled, what its parts use.
mod spec;

mod builder;
mod bus_check;
mod run;

mod api;
mod caller;
mod core;
mod error;
mod fields;
mod gather;
mod periodic;
mod subscriptions;
mod wakeup;

pub use crate::api::Api;
pub use crate::builder::Builder;
pub use crate::caller::{
    Caller, EndpointPermission, ManageCatalogue, ManageStock, Permitted, ReadNotifications,
    ReplayNotifications,
};
pub use crate::core::Core;
pub use crate::error::{StoreError, failed};
pub use crate::fields::invalid;
pub use crate::gather::Gather;
pub use crate::periodic::{PeriodicTask, Progress};
pub use crate::run::run;
pub use crate::spec::Spec;
pub use crate::subscriptions::{Consume, Received, Subscriptions};
pub use crate::wakeup::Wakeup;
pub use service_catalogue::Service;
