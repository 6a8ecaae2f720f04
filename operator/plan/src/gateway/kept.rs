//! The Secret in which the last good certificates of a Gateway's listeners are kept, for pods of its data plane
//! that start while what the listeners name cannot be served.

use gateway_routes::certificate::{Data, KEPT_TYPE, kept_secret};

use super::{Valid, data_plane};
use crate::{Objects, Planned, pods};

/// Plans the Secret, where there is something to keep.
pub fn keep(valid: &Valid, kept: Data, objects: &mut Objects<Planned>) {
    let Some(name) = kept_secret(valid.gateway()).filter(|_| !kept.is_empty()) else {
        return;
    };
    let mut meta = data_plane::meta(valid);
    meta.name = Some(name);
    objects.apply(&pods::secret(meta, KEPT_TYPE, kept));
}
