//! Our own services: a shared secret on routes that the gateway never serves.

use std::sync::Arc;

use axum::extract::{FromRef, FromRequestParts};
use http::request::Parts;
use subtle::ConstantTimeEq;

use crate::binding::Secret;
use crate::http::Problem;

/// The shop's internal token (`/bindings/internal/token`).
#[derive(Debug, Clone)]
pub struct InternalToken(Arc<Secret>);

impl InternalToken {
    /// Wraps the token.
    pub fn new(token: impl Into<String>) -> Self {
        Self(Arc::new(Secret::new(token)))
    }

    /// The token, for the `Authorization` header of a call to a peer.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }

    /// Compares without telling, by its time, how much of the guess was right.
    fn matches(&self, guess: &str) -> bool {
        let token = self.expose().as_bytes();
        !token.is_empty() && bool::from(token.ct_eq(guess.as_bytes()))
    }
}

/// A call by one of our own services; anybody else gets 401.
///
/// The router's state gives the token: `impl FromRef<AppState> for InternalToken`.
#[derive(Debug, Clone, Copy)]
pub struct InternalCaller;

impl<S> FromRequestParts<S> for InternalCaller
where
    S: Send + Sync,
    InternalToken: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let guess = tokens::bearer(&parts.headers)
            .ok()
            .flatten()
            .ok_or_else(Problem::unauthenticated)?;
        if InternalToken::from_ref(state).matches(guess) {
            Ok(Self)
        } else {
            Err(Problem::unauthenticated())
        }
    }
}
