//! Rate limits of a request.

use std::hash::Hash;
use std::sync::Arc;

use chassis::Problem;
use gateway_routes::Limit;
use http::header::{HeaderName, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Method, StatusCode};

use super::state::WorkerState;
use crate::policy::rate_limit::{self, Verdict};

const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// The limit closest to refusing, which is the one that the response tells of.
#[derive(Debug, Default)]
pub struct TightestLimit(Option<(Arc<Limit>, Verdict)>);

impl TightestLimit {
    /// Counts a request of `who` at each of `limits` that covers it, and refuses it where one is exhausted.
    /// May be called once for each kind of `who`, as soon as that is known.
    pub fn count(
        &mut self,
        worker: &WorkerState,
        limits: &[Arc<Limit>],
        (method, path): (&Method, &str),
        who: impl Hash + Copy,
    ) -> Result<(), Problem> {
        let covering = limits.iter().filter(|limit| limit.covers(method, path));
        for limit in covering {
            let verdict = worker.resources.limiter.check(limit, who);
            if !verdict.is_allowed {
                let labels = [&*limit.id];
                let refused = &worker.metrics().rate_limited;
                refused.with_label_values(&labels).inc();
                self.0 = Some((limit.clone(), verdict));
                return Err(too_many_requests(verdict));
            }
            let tightest = self.0.as_ref().map(|(_, verdict)| verdict.remaining);
            if tightest.is_none_or(|remaining| verdict.remaining < remaining) {
                self.0 = Some((limit.clone(), verdict));
            }
        }
        Ok(())
    }

    /// Adds `RateLimit-Policy` and `RateLimit`.
    pub fn describe(&self, headers: &mut HeaderMap) {
        let Some((limit, verdict)) = &self.0 else {
            return;
        };
        if let Some((policy, state)) = rate_limit::header_values(limit, *verdict) {
            headers.insert(RATE_LIMIT_POLICY, policy);
            headers.insert(RATE_LIMIT, state);
        }
    }
}

fn too_many_requests(verdict: Verdict) -> Problem {
    let title = "Too many requests";
    Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many_requests", title)
        .header(RETRY_AFTER, HeaderValue::from(verdict.reset_secs))
}
