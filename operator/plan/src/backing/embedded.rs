//! A server that the operator runs: one workload called `<shop>-<part>`.

use crds::{Resources, StorefrontSpec};

use crate::{
    settings::{Part, Settings},
    storefront::Valid,
};

/// A server that the operator runs.
pub(crate) struct Embedded {
    /// Name of its image and container, and end of the name of everything that is made for it.
    pub(crate) part: &'static str,
    /// Kind of its workload.
    pub(crate) workload: Workload,
    /// A command that ends with 0 wherever the image can start.
    pub(crate) trial: &'static [&'static str],
    /// User of its processes.
    pub(crate) uid: i64,
    /// How many volumes it has.
    pub(crate) volumes: fn(&StorefrontSpec) -> i32,
    /// The size that each of them shall have.
    pub(crate) storage: fn(&StorefrontSpec) -> Option<&str>,
    /// What the spec sets for its pods.
    pub(crate) own_settings: fn(&StorefrontSpec) -> Part<'_>,
}

impl Embedded {
    /// What is set for its pods.
    pub(crate) fn settings(&self, valid: &Valid) -> Settings {
        let spec = &valid.storefront.spec;
        Settings::of_part(spec, (self.own_settings)(spec))
    }

    /// What is set for the pods of a Job that only starts its image: they run where its own do, and reserve nothing
    /// of what it needs to work.
    pub(crate) fn settings_of_trial(&self, valid: &Valid) -> Settings {
        let mut settings = self.settings(valid);
        settings.resources = settings.resources.map(|resources| Resources {
            requests: None,
            ..resources
        });
        settings
    }
}

/// What runs the pods of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Workload {
    /// With a volume for each pod.
    StatefulSet,
    /// Without volumes.
    Deployment,
}
