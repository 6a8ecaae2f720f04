//! A Storefront that can be acted on, with what is known about it.

use crds::{DeletionPolicy, Storefront};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use service_catalogue::Service;

use super::{known::Known, observed::Observed};
use crate::{
    Platform, Waiting, clients::Client, own_secret::OwnSecret, pods::Scope, release::Release,
};

/// A Storefront that can be acted on.
#[derive(Clone, Debug)]
pub struct Valid {
    pub(crate) storefront: Storefront,
    pub(crate) scope: Scope,
    pub(crate) platform: Platform,
    pub(crate) release: Release,
    pub(crate) seen: Observed,
    pub(crate) missing: Vec<Missing>,
}

/// A Secret of the user that does not exist or is incomplete. Only what is made of it stays as it is
/// until it is complete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// Its name.
    pub secret: String,
    /// Field and remedy.
    pub on: Waiting,
}

impl Valid {
    /// The shop's name.
    pub fn name(&self) -> &str {
        &self.scope.owner.name
    }

    /// A name made from the shop's.
    pub(crate) fn child(&self, part: &str) -> String {
        format!("{}-{part}", self.name())
    }

    /// Metadata of the child that is called after a part of the shop.
    pub(crate) fn meta(&self, part: &str) -> ObjectMeta {
        let name = self.child(part);
        self.scope.meta(&name, part, &name)
    }

    /// An image of the shop's release.
    pub(crate) fn image(&self, name: &str) -> String {
        self.release.image(name)
    }

    /// Whether data is meant to survive the Storefront.
    pub(crate) fn retains(&self) -> bool {
        self.storefront.spec.deletion_policy == DeletionPolicy::Retain
    }

    /// Secrets of the user that are waited for.
    pub fn missing(&self) -> &[Missing] {
        &self.missing
    }

    /// Whether a Secret of the user is waited for.
    pub(crate) fn lacks(&self, secret: &str) -> bool {
        self.missing.iter().any(|missing| missing.secret == secret)
    }

    /// The workloads that log in to the shop's servers: its own services, then those of teams.
    pub(crate) fn clients(&self) -> Vec<Client> {
        let own = Service::ALL.into_iter();
        let own = own.map(|service| Client::of_shop(self.name(), service));
        own.chain(self.seen.clients.iter().cloned()).collect()
    }

    /// The generated value of one of the shop's Secrets: what the shop has, else what was generated for
    /// this reconciliation.
    pub(crate) fn generated(&self, secret: &OwnSecret) -> Option<&str> {
        let known = self.known().value(secret);
        let fresh = || {
            let name = self.child(secret.part);
            self.seen.fresh.passwords.get(&name).map(String::as_str)
        };
        known.or_else(fresh)
    }

    /// What is known of the shop's own Secrets.
    pub(super) fn known(&self) -> Known<'_> {
        Known::of(self.name(), &self.seen.own)
    }
}
