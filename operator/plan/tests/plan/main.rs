//! What is planned for the example manifests, and what must hold for every plan.

mod boundaries;
mod clients;
mod desired;
mod every_shop;
mod fixtures;
mod hosts;
mod jobs;
mod losses;
mod needs;
mod own_routes;
mod pod_settings;
mod proof;
mod properties;
mod pruning;
mod recovery;
mod restricted;
mod rivals;
mod scaling;
mod services;
mod shared_hosts;
mod specs;
mod stalled;
mod status;
mod teardown;
mod trouble;
mod volumes;
