//! The person who is asking, as an extractor.

use std::sync::Arc;

use axum::extract::{FromRef, FromRequestParts, OptionalFromRequestParts};
use http::HeaderMap;
use http::request::Parts;
use uuid::Uuid;

use super::{Claims, Verifier};
use crate::http::Problem;

/// A caller whose token was verified. Absent or bad tokens are refused with 401.
///
/// The router's state gives the verifier: `impl FromRef<AppState> for Arc<Verifier>`.
#[derive(Debug, Clone)]
pub struct Caller {
    claims: Claims,
}

impl Caller {
    /// A caller out of claims that were verified elsewhere.
    pub fn new(claims: Claims) -> Self {
        Self { claims }
    }

    /// Who is asking.
    pub fn id(&self) -> Uuid {
        self.claims.sub
    }

    /// What the token says.
    pub fn claims(&self) -> &Claims {
        &self.claims
    }

    /// True if the caller has the role.
    pub fn has_role(&self, role: &str) -> bool {
        self.claims.roles.iter().any(|has| has == role)
    }

    /// Refuses callers without the role (403).
    pub fn require_role(&self, role: &str) -> Result<(), Problem> {
        if self.has_role(role) {
            Ok(())
        } else {
            Err(Problem::forbidden())
        }
    }
}

/// The credential of a request, if it has one.
pub(super) fn bearer(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    tokens::bearer(headers).map_err(|_| Problem::unauthenticated())
}

async fn maybe_caller<S>(parts: &Parts, state: &S) -> Result<Option<Caller>, Problem>
where
    Arc<Verifier>: FromRef<S>,
{
    let Some(token) = bearer(&parts.headers)? else {
        return Ok(None);
    };
    let claims = Arc::<Verifier>::from_ref(state).verify(token).await?;
    Ok(Some(Caller { claims }))
}

impl<S> FromRequestParts<S> for Caller
where
    S: Send + Sync,
    Arc<Verifier>: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        maybe_caller(parts, state)
            .await?
            .ok_or_else(Problem::unauthenticated)
    }
}

/// `Option<Caller>`: no token is nobody, a bad token is refused.
impl<S> OptionalFromRequestParts<S> for Caller
where
    S: Send + Sync,
    Arc<Verifier>: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Option<Self>, Problem> {
        maybe_caller(parts, state).await
    }
}

/// The same as `Option<Caller>`, under a name.
#[derive(Debug, Clone)]
pub struct MaybeCaller(pub Option<Caller>);

impl<S> FromRequestParts<S> for MaybeCaller
where
    S: Send + Sync,
    Arc<Verifier>: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        maybe_caller(parts, state).await.map(Self)
    }
}
