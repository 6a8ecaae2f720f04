//! Client connections.

use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use chassis::listen::on_every_family;
use gateway_routes::hostname;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::client_stream::ClientStream;
use super::head_timer::HeadTimer;
use super::held_stream::HeldStream;
use super::shared::{Phase, Shared};
use super::stall::Unstalled;
use crate::config::Limits;
use crate::edge::{Connection, WorkerState, handle, record_refused};

const BACKLOG: u32 = 1024;
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Pause where accepting fails, for lack of file descriptors above all.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How long to collect connections that the kernel has accepted and the worker has not.
const LATE_ACCEPT: Duration = Duration::from_millis(20);
/// How long such a connection may take to send its request.
const LATE_REQUEST: Duration = Duration::from_secs(1);
const MAX_STREAMS: u32 = 128;

/// A socket of this worker. All workers bind the same port, and the kernel distributes connections.
pub fn bind(address: IpAddr, port: u16) -> std::io::Result<TcpListener> {
    let address = SocketAddr::new(address, gateway_routes::container_port(port));
    on_every_family(address, |socket, address| {
        socket.set_reuseaddr(true)?;
        socket.set_reuseport(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)
    })
}

/// Takes a connection. A client of IPv4 has its own address, whichever family the socket is of.
async fn accept(socket: &TcpListener) -> std::io::Result<(TcpStream, SocketAddr)> {
    let (stream, peer) = socket.accept().await?;
    let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
    Ok((stream, peer))
}

/// Accepts the connections of one port.
#[derive(Clone)]
pub struct Acceptor {
    worker: Rc<WorkerState>,
    port: u16,
    phase: watch::Receiver<Phase>,
    drain: Duration,
}

impl Acceptor {
    pub fn new(worker: &Rc<WorkerState>, shared: &Shared, port: u16) -> Self {
        Self {
            worker: worker.clone(),
            port,
            phase: shared.phase.clone(),
            drain: shared.drain,
        }
    }

    /// Accepts until `stop`; connections that the kernel has accepted by then are still served.
    pub async fn accept(self, socket: TcpListener, stop: CancellationToken) {
        let _hold = self.worker.live.hold();
        loop {
            let accepted = tokio::select! {
                biased;
                () = stop.cancelled() => break,
                accepted = self.next(&socket) => accepted,
            };
            match accepted {
                Ok((stream, peer)) => self.admit(stream, peer, &stop),
                Err(error) => {
                    tracing::warn!(port = self.port, %error, "failed to accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        // Their first request is on its way; the response to it closes them. One short time for all of them:
        // clients that keep connecting must not keep the port open.
        let late = CancellationToken::new();
        let until = tokio::time::Instant::now() + LATE_ACCEPT;
        for _ in 0..BACKLOG {
            let Ok(Ok((stream, peer))) = tokio::time::timeout_at(until, accept(&socket)).await
            else {
                break;
            };
            self.admit(stream, peer, &late);
        }
        drop(socket);
        tokio::time::sleep(LATE_REQUEST).await;
        late.cancel();
    }

    async fn next(&self, socket: &TcpListener) -> std::io::Result<(TcpStream, SocketAddr)> {
        let max = self.worker.limits().max_connections;
        while self.worker.live.count() >= max {
            self.worker.live.one_less().await;
        }
        accept(socket).await
    }

    fn admit(&self, stream: TcpStream, peer: SocketAddr, stop: &CancellationToken) {
        let connections = &self.worker.metrics().connections;
        connections.with_label_values(&["accepted"]).inc();
        let (acceptor, stop, hold) = (self.clone(), stop.clone(), self.worker.live.hold());
        crate::spawn_local(async move {
            let _hold = hold;
            let open = acceptor.worker.metrics().open_connections.clone();
            open.inc();
            acceptor.secure(stream, peer.ip(), stop).await;
            open.dec();
        });
    }

    /// Completes the TLS handshake where the port asks for one.
    async fn secure(self, stream: TcpStream, peer: IpAddr, stop: CancellationToken) {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "client closed the connection at once");
            return;
        }
        let published = self.worker.published();
        let Some(port) = published.table.port(self.port) else {
            return;
        };
        let mut connection = Connection {
            worker: self.worker.clone(),
            peer,
            port: self.port,
            is_tls: port.is_tls,
            listener: None,
            conversation: Arc::default(),
        };
        if !port.is_tls {
            return self.http(stream, connection, stop).await;
        }
        let Some(config) = published.tls.get(&self.port).cloned() else {
            return;
        };
        let handshake = TlsAcceptor::from(config).accept(stream);
        let Ok(Ok(stream)) = tokio::time::timeout(HANDSHAKE_TIMEOUT, handshake).await else {
            let connections = &self.worker.metrics().connections;
            connections.with_label_values(&["tls_failed"]).inc();
            return;
        };
        let name = stream.get_ref().1.server_name();
        let host = name.and_then(hostname::normalise).unwrap_or_default();
        connection.listener = port.listener(&host).map(|listener| listener.name.clone());
        self.http(stream, connection, stop).await;
    }

    async fn http(
        mut self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        connection: Connection,
        stop: CancellationToken,
    ) {
        let idle = Duration::from_secs(self.worker.limits().idle_timeout_secs);
        let conversation = connection.conversation.clone();
        let request_ids = self.worker.request_ids.split();
        let stream = Unstalled::new(stream, idle);
        let timer = HeadTimer::new(head_timeout(self.worker.limits()));
        let stream = ClientStream::new(stream, conversation, request_ids, timer);
        let held = HeldStream::new(stream);
        let builder = builder(self.worker.limits());
        let connection = Rc::new(connection);
        let asked = connection.clone();
        let service = service_fn(move |request| handle(asked.clone(), request));
        let stream = TokioIo::new(held.clone());
        let mut serving = pin!(builder.serve_connection_with_upgrades(stream, service));
        let ended = tokio::select! {
            ended = serving.as_mut() => ended,
            () = stop.cancelled() => {
                serving.as_mut().graceful_shutdown();
                tokio::select! {
                    ended = serving => ended,
                    _ = self.phase.wait_for(|phase| *phase == Phase::Cut) => return,
                    () = tokio::time::sleep(self.drain) => return,
                }
            }
        };
        // How a client ends its connection does not matter: its requests have been recorded, but for one that
        // was refused before it was one.
        if ended.is_err() {
            tokio::select! {
                () = ClientStream::answer_late(&held) => {}
                _ = self.phase.wait_for(|phase| *phase == Phase::Cut) => {}
            }
        }
        record_refused(&connection);
    }
}

fn head_timeout(limits: &Limits) -> Duration {
    Duration::from_secs(limits.head_timeout_secs.max(1))
}

fn builder(limits: &Limits) -> Builder<LocalExecutor> {
    let mut builder = Builder::new(LocalExecutor);
    builder
        .http1()
        .timer(TokioTimer::new())
        // The stream is faster, and answers. This one makes hyper read while the connection is idle.
        .header_read_timeout(head_timeout(limits) * 2)
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
