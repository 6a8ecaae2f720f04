//! Bearer tokens of requests, as policies ask for them.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use chassis::Problem;
use gateway_routes::JwtSettings;
use http::header::WWW_AUTHENTICATE;
use http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::{Map, Value};
use tokens::{Algorithm, LEEWAY_SECS, TokenError, TokenRules, Verified};

use crate::clock::unix_now;
use crate::policy::issuers::Issuers;

/// What issuers may sign with: ES256 for issuers outside, which seldom know EdDSA.
const ALGORITHMS: [Algorithm; 2] = [Algorithm::EdDSA, Algorithm::ES256];
/// Verified tokens that a worker remembers for each policy.
const MAX_REMEMBERED: usize = 4096;

/// The claims of a verified token.
#[derive(Debug)]
pub struct Identity {
    claims: Map<String, Value>,
    expires: u64,
    keys_version: u64,
}

impl Identity {
    pub fn subject(&self) -> Option<&str> {
        self.claims.get("sub").and_then(Value::as_str)
    }

    fn has_role(&self, wanted: &[String]) -> bool {
        let roles = self.claims.get("roles").and_then(Value::as_array);
        roles
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .any(|role| wanted.iter().any(|wanted| wanted == role))
    }
}

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The route requires a token and there is none.
    Absent,
    /// The token is not valid.
    Invalid,
    /// The caller has none of the roles.
    Forbidden,
    /// The issuer's keys could not be fetched yet.
    NoKeys,
}

impl Refusal {
    fn of(error: &TokenError) -> Self {
        tracing::debug!(error = traces::chain(error), "token refused");
        match error {
            TokenError::KeysUnavailable => Self::NoKeys,
            _ => Self::Invalid,
        }
    }

    /// Label in metrics.
    pub fn outcome(self) -> &'static str {
        match self {
            Self::Absent => "absent",
            Self::Invalid => "invalid",
            Self::Forbidden => "forbidden",
            Self::NoKeys => "no_keys",
        }
    }

    pub fn problem(self) -> Problem {
        let challenge = |text| HeaderValue::from_static(text);
        match self {
            Self::Absent => Problem::new(
                StatusCode::UNAUTHORIZED,
                "unauthenticated",
                "A bearer token is required",
            )
            .header(WWW_AUTHENTICATE, challenge("Bearer")),
            Self::Invalid => Problem::new(
                StatusCode::UNAUTHORIZED,
                "invalid_token",
                "The bearer token is invalid",
            )
            .header(
                WWW_AUTHENTICATE,
                challenge("Bearer error=\"invalid_token\""),
            ),
            Self::Forbidden => Problem::new(
                StatusCode::FORBIDDEN,
                "forbidden",
                "Insufficient permissions",
            )
            .header(
                WWW_AUTHENTICATE,
                challenge("Bearer error=\"insufficient_scope\""),
            ),
            Self::NoKeys => {
                let title = "The bearer token cannot be verified right now";
                Problem::new(StatusCode::SERVICE_UNAVAILABLE, "keys_unavailable", title)
                    .header(http::header::RETRY_AFTER, HeaderValue::from_static("2"))
            }
        }
    }
}

/// Verified tokens of one policy.
type Tokens = HashMap<Box<str>, Rc<Identity>>;

/// Verifies tokens for one worker and remembers those that are valid: verifying a signature costs more than
/// the rest of a request.
#[derive(Debug, Default)]
pub struct TokenMemory {
    remembered: RefCell<HashMap<Box<str>, Tokens>>,
}

impl TokenMemory {
    /// The caller of a request; `None` where there is no token and the policy requires none.
    pub async fn admit(
        &self,
        settings: &Arc<JwtSettings>,
        issuers: &Issuers,
        headers: &HeaderMap,
    ) -> Result<Option<Rc<Identity>>, Refusal> {
        let bearer = tokens::bearer(headers).map_err(|_| Refusal::Invalid)?;
        let Some(token) = bearer else {
            return if settings.is_required {
                Err(Refusal::Absent)
            } else {
                Ok(None)
            };
        };
        let identity = self.identify(settings, issuers, token).await?;
        if !settings.roles.is_empty() && !identity.has_role(&settings.roles) {
            return Err(Refusal::Forbidden);
        }
        Ok(Some(identity))
    }

    /// After a change of the configuration: what was valid may not be any more.
    pub fn forget(&self) {
        self.remembered.borrow_mut().clear();
    }

    async fn identify(
        &self,
        settings: &JwtSettings,
        issuers: &Issuers,
        token: &str,
    ) -> Result<Rc<Identity>, Refusal> {
        let issuer = issuers.get(&settings.jwks_uri).ok_or(Refusal::NoKeys)?;
        let policy = settings.policy.to_string();
        if let Some(known) = self.recall(&policy, token, issuer.version()) {
            return Ok(known);
        }
        let rules = TokenRules::new(&settings.issuer, &settings.audiences, &ALGORITHMS);
        let verified = tokens::verify::<Map<String, Value>>(token, &issuer, &rules).await;
        let Verified {
            claims,
            keys_version,
        } = verified.map_err(|error| Refusal::of(&error))?;
        let expires = claims
            .get("exp")
            .and_then(Value::as_u64)
            .ok_or(Refusal::Invalid)?;
        let identity = Rc::new(Identity {
            claims,
            expires,
            keys_version,
        });
        self.remember(policy, token, identity.clone());
        Ok(identity)
    }

    fn recall(&self, policy: &str, token: &str, version: u64) -> Option<Rc<Identity>> {
        let remembered = self.remembered.borrow();
        let known = remembered.get(policy)?.get(token)?;
        let is_valid = known.keys_version == version && unix_now() < known.expires + LEEWAY_SECS;
        is_valid.then(|| known.clone())
    }

    fn remember(&self, policy: String, token: &str, identity: Rc<Identity>) {
        let mut remembered = self.remembered.borrow_mut();
        let tokens = remembered.entry(policy.into()).or_default();
        if tokens.len() >= MAX_REMEMBERED {
            tokens.clear();
        }
        tokens.insert(token.into(), identity);
    }
}

/// Puts claims into headers: strings, numbers and booleans as they are, lists of strings joined by commas.
pub fn pass_claims(settings: &JwtSettings, identity: &Identity, headers: &mut HeaderMap) {
    for (claim, name) in &settings.claim_to_headers {
        let text = match identity.claims.get(claim) {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Array(items)) => items
                .iter()
                .filter_map(Value::as_str)
                .collect::<Vec<_>>()
                .join(","),
            Some(value @ (Value::Number(_) | Value::Bool(_))) => value.to_string(),
            _ => continue,
        };
        if let Ok(value) = HeaderValue::try_from(text) {
            headers.insert(name, value);
        }
    }
}
