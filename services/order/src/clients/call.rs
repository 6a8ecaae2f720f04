use axum::http::{Method, StatusCode};
use chassis::{Client, InternalToken};
use contracts::Problem;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A service that did not answer, or not in a way that decides anything. The call may have had its effect.
#[derive(Debug, thiserror::Error)]
pub enum Unavailable {
    /// The connection failed, or the answer took too long.
    #[error("service {service} did not answer")]
    NoAnswer {
        service: &'static str,
        #[source]
        source: reqwest::Error,
    },
    /// A status, or a body, that is not part of the contract.
    #[error("service {service} answered {status}, which its contract does not define here")]
    Undefined {
        service: &'static str,
        status: StatusCode,
    },
}

/// Calls one service.
#[derive(Clone)]
pub(super) struct Caller {
    service: &'static str,
    client: Client,
    base: String,
    token: InternalToken,
}

impl Caller {
    pub(super) fn new(
        service: &'static str,
        client: Client,
        url: &str,
        token: InternalToken,
    ) -> Self {
        Self {
            service,
            client,
            base: url.trim_end_matches('/').to_owned(),
            token,
        }
    }

    pub(super) async fn get(&self, path: &str) -> Result<Answer, Unavailable> {
        self.send(Method::GET, path, None::<&()>).await
    }

    pub(super) async fn put<T: Serialize>(
        &self,
        path: &str,
        body: &T,
    ) -> Result<Answer, Unavailable> {
        self.send(Method::PUT, path, Some(body)).await
    }

    pub(super) async fn post<T: Serialize>(
        &self,
        path: &str,
        body: Option<&T>,
    ) -> Result<Answer, Unavailable> {
        self.send(Method::POST, path, body).await
    }

    async fn send<T: Serialize>(
        &self,
        method: Method,
        path: &str,
        body: Option<&T>,
    ) -> Result<Answer, Unavailable> {
        let service = self.service;
        let no_answer = |source: reqwest::Error| Unavailable::NoAnswer {
            service,
            // The address adds nothing to the service's name.
            source: source.without_url(),
        };
        let url = format!("{}{path}", self.base);
        let mut call = self
            .client
            .request(method, url)
            .bearer_auth(self.token.expose());
        if let Some(body) = body {
            call = call.json(body);
        }
        let response = call.send().await.map_err(no_answer)?;
        let status = response.status();
        let body = response.bytes().await.map_err(no_answer)?;
        Ok(Answer {
            service,
            status,
            body,
        })
    }
}

/// What a service answered.
pub(super) struct Answer {
    service: &'static str,
    status: StatusCode,
    body: axum::body::Bytes,
}

impl Answer {
    /// The contract's answer with status 200, or the problem that the contract defines.
    pub(super) fn decide<T, P>(&self) -> Result<Result<T, P>, Unavailable>
    where
        T: DeserializeOwned,
        P: Problem + DeserializeOwned,
    {
        if self.status == StatusCode::OK {
            return self.read().map(Ok);
        }
        self.problem().map(Err)
    }

    /// Nothing but that it is done, or the problem that the contract defines.
    pub(super) fn done_or<P: Problem + DeserializeOwned>(
        &self,
    ) -> Result<Result<(), P>, Unavailable> {
        if self.status.is_success() {
            return Ok(Ok(()));
        }
        self.problem().map(Err)
    }

    pub(super) fn done(&self) -> Result<(), Unavailable> {
        if self.status.is_success() {
            Ok(())
        } else {
            Err(self.undefined())
        }
    }

    fn read<T: DeserializeOwned>(&self) -> Result<T, Unavailable> {
        serde_json::from_slice(&self.body).map_err(|error| {
            tracing::error!(service = self.service, %error, "answer does not match the contract");
            self.undefined()
        })
    }

    /// A problem has a code that the contract knows: a 404 of a proxy on the way has none, and decides nothing.
    fn problem<P: Problem + DeserializeOwned>(&self) -> Result<P, Unavailable> {
        serde_json::from_slice(&self.body)
            .ok()
            .filter(|problem: &P| problem.status() == self.status.as_u16())
            .ok_or_else(|| self.undefined())
    }

    const fn undefined(&self) -> Unavailable {
        Unavailable::Undefined {
            service: self.service,
            status: self.status,
        }
    }
}
