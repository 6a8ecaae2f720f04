//! The users' stories on the embedded cluster. One file a story; each has a namespace of its own.
//! `make e2e` boots the cluster and runs them.

mod a_shop_from_apply_to_mail;
mod bad_manifests;
mod deletion;
mod drift;
mod kill_nine;
mod metrics;
mod neighbours;
mod quiet_at_rest;
mod support;
mod team_service;
