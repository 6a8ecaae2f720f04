#![doc = include_str!("../README.md")]

use std::sync::Arc;

use service::Builder;

mod spec;

// Reading order: who has an account, what tokens are signed with, who is logged in.
mod accounts;
mod keys;
mod opaque_token;
mod sessions;
mod throttle;

pub mod first_admin;

mod api;
mod config;
mod metrics;
mod state;

pub use accounts::hasher::Hasher;
pub use accounts::registrations::Registrations;
pub use api::{openapi, router};
pub use config::Config;
pub use keys::binding::{KeysError, read_keyring};
pub use metrics::Metrics;
pub use sessions::failed_logins::FailedLogins;
pub use sessions::sweep::SessionSweep;
pub use spec::{MIGRATOR, SCHEMA, SPEC};
pub use state::{AppState, Issuer};
pub use throttle::domain::Limit;

use first_admin::FirstAdmin;

/// Assembles the service.
pub fn assemble(config: Config, builder: Builder) -> anyhow::Result<Builder> {
    let metrics = Metrics::new(builder.registry())?;
    let app = AppState {
        core: builder.core(),
        hasher: Hasher::new(std::thread::available_parallelism()?.get(), metrics.clone())?,
        failed_logins: config.failed_logins(),
        registrations: config.registrations(),
        issuer: Arc::new(Issuer {
            keyring: read_keyring(&builder.binding("signing-keys")?)?,
            name: config.token_issuer,
            audience: config.token_audience,
        }),
        internal: builder.internal_token()?,
        metrics,
    };
    let admin = FirstAdmin::read(&builder.binding("admin")?)?;
    let stored = first_admin::Stored::default();
    let (readiness, keeper) = (stored.clone(), app.clone());
    Ok(builder
        .readiness("administrator", move || readiness.check())
        .task("administrator", |stop| {
            first_admin::keep(keeper, admin, stored, stop)
        })
        .periodic(SessionSweep::new(&app))
        .relay()
        .api(router(app)))
}
