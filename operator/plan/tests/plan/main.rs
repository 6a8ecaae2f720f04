//! What is planned for the example manifests, and what must hold for every plan.

mod desired;
mod fixtures;
mod hosts;
mod needs;
mod proof;
mod properties;
mod restricted;
mod rivals;
mod services;
mod status;
mod teardown;
mod trouble;
