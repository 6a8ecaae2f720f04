//! A server that the operator runs: one workload called `<shop>-<part>`.

use crds::StorefrontSpec;

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
}

/// What runs the pods of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Workload {
    /// With a volume for each pod.
    StatefulSet,
    /// Without volumes.
    Deployment,
}
