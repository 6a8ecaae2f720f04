//! The Secret `<shop>-recovery`: a copy of everything that was generated for the shop.
//!
//! A server keeps to the password that it was started with, its clients to theirs, and every token in use to
//! the key that signed it. So a value must not change because somebody deleted or edited the Secret that it
//! is in: it is put back from here, and nothing restarts. This Secret is made again from the others. Only
//! where both are lost is a value generated anew; then servers and clients roll over to it
//! (`backing/workload.rs`).

use super::{
    Data, Valid,
    known::{RECOVERY, SIGNING_KEYS, entry},
    needs::own_secrets,
    secret::{OPAQUE, plan_generated},
    secrets,
};
use crate::{Objects, Planned};

/// Plans the Secret, from what the others are planned with.
pub(super) fn plan(valid: &Valid, objects: &mut Objects<Planned>) {
    let mut copies = Data::new();
    for secret in own_secrets(&valid.storefront) {
        if let (Some(key), Some(value)) = (secret.content.key(), valid.generated(secret)) {
            copies.insert(entry(secret.part, key), value.as_bytes().to_vec());
        }
    }
    for (name, value) in &secrets::keys(valid).unwrap_or_default() {
        copies.insert(entry(SIGNING_KEYS.part, name), value.clone());
    }
    let copies = (!copies.is_empty()).then_some(copies);
    plan_generated(valid, objects, (&RECOVERY, OPAQUE), copies);
}
