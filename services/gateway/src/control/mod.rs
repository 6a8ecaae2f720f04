//! From objects to what workers serve.

mod admin;
mod publish;
mod tls;
mod watch;

pub use admin::router as admin_router;
pub use publish::Publisher;
pub use watch::run as watch;
