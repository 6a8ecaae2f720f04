//! Which tokens are accepted, and when key sets are fetched.

mod issuer;
mod refetch;
mod refusals;
