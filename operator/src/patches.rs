//! How this operator's writes are marked.

use kube::api::PatchParams;
use operator_plan::objects::MANAGER;

/// For a merge patch: what it sets belongs to this operator.
pub fn merge_params() -> PatchParams {
    PatchParams {
        field_manager: Some(MANAGER.to_owned()),
        ..PatchParams::default()
    }
}
