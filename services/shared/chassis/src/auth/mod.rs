//! Authentication: the verifier of bearer tokens, and the shared secret of the shop's services.

mod internal;
mod verifier;

pub use internal::{InternalCaller, InternalToken};
pub use tokens::Verifier;
pub use verifier::verifier;
