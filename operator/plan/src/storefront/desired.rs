use super::{Valid, catalogue, data_services, edge, flows, secrets};
use crate::{Objects, Planned};

/// Everything that a shop consists of, in the order in which it is written: what others mount or
/// obey comes first.
pub fn desired(valid: &Valid) -> Objects<Planned> {
    let mut objects = Objects::new();
    secrets::plan(valid, &mut objects);
    flows::plan(valid, &mut objects);
    data_services::plan(valid, &mut objects);
    catalogue::plan(valid, &mut objects);
    edge::plan(valid, &mut objects);
    objects
}
