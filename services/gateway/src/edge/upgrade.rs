//! Connections that switch from HTTP to another protocol, such as WebSocket, and pass through as bytes.

use http::header::{CONNECTION, HeaderValue, UPGRADE};
use http::{HeaderMap, Request, Response, Version};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;

/// The protocol that a client asks to switch to.
pub fn wanted<B>(request: &Request<B>) -> Option<HeaderValue> {
    if request.version() != Version::HTTP_11 {
        return None;
    }
    let asks = request
        .headers()
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|token| token.trim().eq_ignore_ascii_case("upgrade"));
    let protocol = request.headers().get(UPGRADE)?;
    // Browsers ask for nothing else, and h2c would let requests pass unchecked.
    (asks && protocol.as_bytes().eq_ignore_ascii_case(b"websocket")).then(|| protocol.clone())
}

/// Asks the backend to switch, or tells the client that the backend did.
pub fn ask(headers: &mut HeaderMap, protocol: HeaderValue) {
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, protocol);
}

/// Joins both sides once both have switched, until one of them closes. Keeps `held` until then.
pub fn join<B>(client: OnUpgrade, response: &mut Response<B>, held: impl Sized + 'static) {
    let backend = hyper::upgrade::on(response);
    crate::spawn_local(async move {
        let _held = held;
        let (Ok(client), Ok(backend)) = (client.await, backend.await) else {
            return;
        };
        let (mut client, mut backend) = (TokioIo::new(client), TokioIo::new(backend));
        // Either side may close at any time: that is how most of these connections end.
        let _ = tokio::io::copy_bidirectional(&mut client, &mut backend).await;
    });
}
