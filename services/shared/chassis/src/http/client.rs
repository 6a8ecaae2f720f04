//! Calls to peers: bounded in time, traced.

use std::time::Duration;

use http::Method;

/// An HTTP client that hands on the request id and the trace of the work in hand. Clones share
/// connections.
#[derive(Debug, Clone)]
pub struct Client {
    inner: reqwest::Client,
}

/// A client whose calls end within `timeout`. It follows no redirects: our peers give none.
pub fn http_client(timeout: Duration) -> Result<Client, reqwest::Error> {
    let inner = reqwest::Client::builder()
        .timeout(timeout)
        .connect_timeout(timeout.min(Duration::from_secs(2)))
        // Less than the idle time that servers here allow, so that no call meets a closing socket.
        .pool_idle_timeout(Duration::from_secs(30))
        .redirect(reqwest::redirect::Policy::none())
        .build()?;
    Ok(Client { inner })
}

impl Client {
    /// Starts a call.
    pub fn request(&self, method: Method, url: impl reqwest::IntoUrl) -> reqwest::RequestBuilder {
        let mut call = self.inner.request(method, url);
        if let Some(traceparent) = traces::current() {
            call = call.header("traceparent", traceparent);
        }
        if let Some(id) = traces::request_id() {
            call = call.header("x-request-id", &*id);
        }
        call
    }

    /// Starts a GET.
    pub fn get(&self, url: impl reqwest::IntoUrl) -> reqwest::RequestBuilder {
        self.request(Method::GET, url)
    }

    /// Starts a POST.
    pub fn post(&self, url: impl reqwest::IntoUrl) -> reqwest::RequestBuilder {
        self.request(Method::POST, url)
    }

    /// Starts a PUT.
    pub fn put(&self, url: impl reqwest::IntoUrl) -> reqwest::RequestBuilder {
        self.request(Method::PUT, url)
    }
}
