//! Who is asking: bearer tokens of people, the shared secret of our own services.

mod caller;
mod internal;
mod keys;
mod verifier;

pub use caller::{Caller, MaybeCaller};
pub use internal::{InternalCaller, InternalToken};
pub use verifier::{Claims, Unverified, Verifier};
