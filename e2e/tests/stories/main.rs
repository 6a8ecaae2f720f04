//! The users' stories on the embedded cluster. One file a story; each has a namespace of its own.
//! `make e2e` boots the cluster and runs them, several at a time.

mod a_shop_from_apply_to_mail;
mod accounts;
mod alone;
mod bad_manifests;
mod deletion;
mod developer;
mod drift;
mod endings;
mod families;
mod https;
mod mail;
mod metrics;
mod neighbours;
mod outages;
mod room;
mod routes;
mod slips;
mod support;
mod team_service;
mod traces;
mod upgrade;
