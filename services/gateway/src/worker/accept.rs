//! Client connections.

use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::stall::Unstalled;
use super::{Hold, Phase, Worker};
use crate::edge::{Connection, handle};

const BACKLOG: u32 = 1024;
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Out of file descriptors: connections get a moment to end.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How long to look for connections that the kernel has taken but we have not yet.
const LATE_ACCEPT: Duration = Duration::from_millis(20);
/// How long such a connection may take to send its request.
const LATE_REQUEST: Duration = Duration::from_secs(1);
const MAX_STREAMS: u32 = 128;

/// A socket of this worker. All workers bind the same port, and the kernel spreads connections.
pub fn bind(address: IpAddr, port: u16) -> std::io::Result<TcpListener> {
    let address = SocketAddr::new(address, gateway_routes::container_port(port));
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    socket.set_reuseaddr(true)?;
    socket.set_reuseport(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Accepts until `stop`; what the kernel has already accepted by then is still served.
pub async fn accept(worker: Rc<Worker>, socket: TcpListener, port: u16, stop: CancellationToken) {
    let _hold = worker.hold();
    loop {
        let accepted = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            accepted = next(&worker, &socket) => accepted,
        };
        match accepted {
            Ok((stream, peer)) => admit(&worker, stream, Client::new(&worker, peer, port), &stop),
            Err(error) => {
                tracing::warn!(port, %error, "accepting failed");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    // Their first request is on its way; the answer to it closes them. One short time for all of them:
    // clients that keep coming must not keep the port open.
    let late = CancellationToken::new();
    let until = tokio::time::Instant::now() + LATE_ACCEPT;
    for _ in 0..BACKLOG {
        let Ok(Ok((stream, peer))) = tokio::time::timeout_at(until, socket.accept()).await else {
            break;
        };
        admit(&worker, stream, Client::new(&worker, peer, port), &late);
    }
    drop(socket);
    tokio::time::sleep(LATE_REQUEST).await;
    late.cancel();
}

fn admit(worker: &Rc<Worker>, stream: TcpStream, client: Client, stop: &CancellationToken) {
    worker
        .metrics()
        .connections
        .with_label_values(&["accepted"])
        .inc();
    crate::spawn_local(client.serve(stream, stop.clone(), worker.hold()));
}

async fn next(worker: &Worker, socket: &TcpListener) -> std::io::Result<(TcpStream, SocketAddr)> {
    while worker.live.get() >= worker.limits().max_connections {
        worker.one_less.notified().await;
    }
    socket.accept().await
}

struct Client {
    worker: Rc<Worker>,
    peer: IpAddr,
    port: u16,
}

impl Client {
    fn new(worker: &Rc<Worker>, peer: SocketAddr, port: u16) -> Self {
        Self {
            worker: worker.clone(),
            peer: peer.ip(),
            port,
        }
    }

    async fn serve(self, stream: TcpStream, stop: CancellationToken, _hold: Hold) {
        let open = self.worker.metrics().open_connections.clone();
        open.inc();
        self.secure(stream, stop).await;
        open.dec();
    }

    async fn secure(self, stream: TcpStream, stop: CancellationToken) {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "the client is already gone");
            return;
        }
        let published = self.worker.published();
        let Some(port) = published.table.port(self.port) else {
            return;
        };
        if !port.is_tls {
            return self.http(stream, (false, None), stop).await;
        }
        let Some(config) = published.tls.get(&self.port).cloned() else {
            return;
        };
        let shaking = TlsAcceptor::from(config).accept(stream);
        let shaken = tokio::time::timeout(HANDSHAKE_TIMEOUT, shaking).await;
        let Ok(Ok(stream)) = shaken else {
            self.worker
                .metrics()
                .connections
                .with_label_values(&["tls_failed"])
                .inc();
            return;
        };
        let name = stream.get_ref().1.server_name();
        let host = name
            .and_then(gateway_routes::hostname::normalise)
            .unwrap_or_default();
        let listener = port.listener(&host).map(|listener| listener.name.clone());
        self.http(stream, (true, listener), stop).await;
    }

    /// `tls` is whether the connection is encrypted, and the listener whose certificate was shown.
    async fn http(
        self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        (is_tls, listener): (bool, Option<Box<str>>),
        stop: CancellationToken,
    ) {
        let worker = self.worker.clone();
        let connection = Rc::new(Connection {
            worker: self.worker,
            client: self.peer,
            port: self.port,
            is_tls,
            listener,
        });
        let idle = Duration::from_secs(worker.limits().idle_timeout_secs);
        let stream = Unstalled::new(stream, idle);
        let builder = builder(&worker);
        let service = service_fn(move |request| handle(connection.clone(), request));
        let mut serving =
            pin!(builder.serve_connection_with_upgrades(TokioIo::new(stream), service));
        // How a client ends its connection is its own business: requests have been logged.
        tokio::select! {
            _ = serving.as_mut() => return,
            () = stop.cancelled() => serving.as_mut().graceful_shutdown(),
        }
        let mut phase = worker.shared.phase.clone();
        tokio::select! {
            _ = serving => {}
            _ = phase.wait_for(|phase| *phase == Phase::Cut) => {}
            () = tokio::time::sleep(worker.shared.drain) => {}
        }
    }
}

fn builder(worker: &Worker) -> Builder<LocalExecutor> {
    let limits = worker.limits();
    let head_timeout = Duration::from_secs(limits.head_timeout_secs.max(1));
    let mut builder = Builder::new(LocalExecutor);
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(head_timeout)
        // The request line comes on top of the headers; more than this is refused with 431.
        .max_buf_size(usize::try_from(limits.max_head_bytes).unwrap_or(usize::MAX) * 2);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(limits.max_head_bytes)
        .max_concurrent_streams(MAX_STREAMS)
        .keep_alive_interval(Duration::from_secs(30))
        .keep_alive_timeout(Duration::from_secs(20));
    builder
}

/// Streams of HTTP/2 stay on the thread of their connection.
#[derive(Clone, Copy, Debug)]
struct LocalExecutor;

impl<F> hyper::rt::Executor<F> for LocalExecutor
where
    F: Future<Output = ()> + 'static,
{
    fn execute(&self, work: F) {
        crate::spawn_local(work);
    }
}
