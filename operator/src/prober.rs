//! Asks workloads themselves: the requests of [`operator_plan::probe`].

use std::collections::BTreeMap;
use std::time::Duration;

use chassis::http_client;
use futures::future::BoxFuture;
use operator_plan::probe::{Question, Said};
use serde::Deserialize;

/// A pod that takes longer has not answered; its own checks take up to [`chassis::READINESS_LIMIT`].
const TIMEOUT: Duration = Duration::from_secs(3);
/// Longest answer that is read.
const MAX_BYTES: usize = 16 * 1024;

/// Sends the request of a probe.
pub trait Prober: Send + Sync {
    /// What is answered.
    fn ask<'a>(&'a self, question: &'a Question) -> BoxFuture<'a, Said>;
}

/// Asks over HTTP.
pub struct HttpProber(chassis::Client);

/// The answer of a process of ours.
#[derive(Default, Deserialize)]
struct Body {
    #[serde(default)]
    failing: BTreeMap<String, String>,
    #[serde(default)]
    degraded: BTreeMap<String, String>,
}

impl HttpProber {
    /// Fails where no client can be made.
    pub fn new() -> anyhow::Result<Self> {
        Ok(Self(http_client(TIMEOUT)?))
    }

    async fn response(&self, question: &Question) -> Option<Said> {
        let Question {
            host, port, path, ..
        } = question;
        let host = if host.contains(':') {
            format!("[{host}]")
        } else {
            host.clone()
        };
        let mut response = self
            .0
            .get(format!("http://{host}:{port}{path}"))
            .send()
            .await
            .ok()?;
        let code = response.status().as_u16();
        let mut bytes = Vec::new();
        while let Ok(Some(chunk)) = response.chunk().await {
            if bytes.len() + chunk.len() > MAX_BYTES {
                bytes.clear();
                break;
            }
            bytes.extend_from_slice(&chunk);
        }
        let body: Body = serde_json::from_slice(&bytes).unwrap_or_default();
        Some(Said::Response {
            code,
            failing: body.failing,
            degraded: body.degraded,
        })
    }
}

impl Prober for HttpProber {
    fn ask<'a>(&'a self, question: &'a Question) -> BoxFuture<'a, Said> {
        Box::pin(async move { self.response(question).await.unwrap_or(Said::Nothing) })
    }
}
