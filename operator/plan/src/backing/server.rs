//! What every backing server has to answer. There are no default answers: a new server is asked for each.

use crds::StorefrontSpec;

use super::embedded::Embedded;
use crate::{
    Applied, Invalid, Objects, Planned,
    own_secret::OwnSecret,
    readiness::Part,
    storefront::{Data, Valid},
};

/// A server behind the services of a shop.
pub(crate) trait Server {
    /// The workload, where the operator runs the server.
    fn embedded(&self) -> Option<&'static Embedded>;

    /// Whether the server can be made as the spec says; what the schema checks is not checked again.
    fn check(&self, spec: &StorefrontSpec) -> Result<(), Invalid>;

    /// The user's Secret that says where the server is.
    fn reference<'a>(&self, spec: &'a StorefrontSpec) -> Option<Reference<'a>>;

    /// The Secrets that are made for it. Their names are taken.
    fn secrets(&self) -> &'static [OwnSecret];

    /// Plans the Secrets with generated content.
    fn plan_credentials(&self, valid: &Valid, objects: &mut Objects<Planned>);

    /// Plans the Secrets that are computed from those, from the spec and from the user's Secret.
    fn plan_configuration(&self, valid: &Valid, objects: &mut Objects<Planned>);

    /// Plans who may connect to it.
    fn plan_policies(&self, valid: &Valid, objects: &mut Objects<Planned>);

    /// Plans what runs it, and the names by which it is found.
    fn plan_workload(&self, valid: &Valid, objects: &mut Objects<Planned>);

    /// Whether it is ready, from the objects of the shop called `shop`. `valid` is given by a
    /// reconciliation that applied something.
    fn readiness(
        &self,
        spec: &StorefrontSpec,
        shop: &str,
        valid: Option<&Valid>,
        objects: &Objects<Applied>,
    ) -> Part;
}

/// A Secret of the user that the spec refers to.
pub(crate) struct Reference<'a> {
    /// The field that names it.
    pub(crate) field: &'static str,
    /// Its name.
    pub(crate) name: &'a str,
    /// Keys that it must have.
    pub(crate) keys: &'static [&'static str],
    /// Whether the values can be read.
    pub(crate) check: fn(&Data) -> Result<(), Unreadable>,
}

/// A value of the user's Secret that cannot be read. The value itself is never repeated.
pub(crate) struct Unreadable {
    /// Its key.
    pub(crate) key: &'static str,
    /// What it must be, to follow "the <key> in the Secret <name>".
    pub(crate) must: &'static str,
}
