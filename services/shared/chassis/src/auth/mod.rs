//! Who is asking: bearer tokens of people, the shared secret of our own services.

mod caller;
mod internal;
mod verifier;

pub use caller::{Caller, MaybeCaller};
pub use internal::{InternalCaller, InternalToken};
pub use tokens::{Claims, Verifier};
pub use verifier::verifier;
