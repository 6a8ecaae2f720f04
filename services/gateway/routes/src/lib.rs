#![doc = include_str!("../README.md")]

pub mod api;
mod attach;
pub mod certificate;
mod compile;
mod duration;
mod endpoints;
pub mod filter;
mod grant;
pub mod hostname;
mod listener;
pub mod matcher;
mod names;
mod objects;
mod own;
pub mod path;
mod policy;
mod rule;
pub mod settings;
mod status;
mod table;
mod unsupported;
mod verdict;
mod view;
mod weight;

pub use certificate::{CertificateState, inspect_certificate};
pub use listener::{ADMIN_PORT, certificate_names, certificate_problems, container_port};
pub use matcher::RequestHead;
pub use names::ObjectName;
pub use objects::{Objects, Scope};
pub use own::OwnRoutes;
pub use policy::{Guard, JwtSettings, Limit, refresh_of};
pub use rule::{Backends, Choice, RouteRule, Target, Timeout};
pub use settings::Settings;
pub use status::{DataPlane, SUPPORTED_FEATURES, gateway_class_status};
pub use table::{Cluster, Hosts, ListenerTable, Matched, PortTable, Table};
pub use view::View;
