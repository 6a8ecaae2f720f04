use super::{Valid, catalogue, edge, policies, recovery, secrets};
use crate::{Objects, Planned, backing};

/// Everything that a shop consists of, in the order in which it is written: what others mount or obey
/// comes first.
pub fn desired(valid: &Valid) -> Objects<Planned> {
    let mut objects = Objects::new();
    secrets::plan(valid, &mut objects);
    recovery::plan(valid, &mut objects);
    policies::plan(valid, &mut objects);
    backing::plan_workloads(valid, &mut objects);
    catalogue::plan(valid, &mut objects);
    edge::plan(valid, &mut objects);
    objects
}
