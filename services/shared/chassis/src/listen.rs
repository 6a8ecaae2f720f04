//! Listening sockets.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use socket2::{Domain, Socket, Type};
use tokio::net::{TcpListener, TcpSocket};

/// Connections that the kernel holds until they are accepted.
const BACKLOG: u32 = 1024;

/// Listens on an address. The unspecified one of IPv4 means every address of the host, those of IPv6 too where it
/// has any, as in Go: in a cluster with both a Service leads to both.
///
/// # Errors
/// When the address cannot be bound.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    on_every_family(address, |socket, address| {
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)
    })
}

/// Does `open` with a socket for both families where that is what the address means, else for its own.
///
/// # Errors
/// Those of `open`, and when there can be no socket.
pub fn on_every_family<T>(
    address: SocketAddr,
    open: impl Fn(TcpSocket, SocketAddr) -> io::Result<T>,
) -> io::Result<T> {
    if address.ip() == IpAddr::V4(Ipv4Addr::UNSPECIFIED) {
        let both = SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), address.port());
        // A host without IPv6 has no such socket. What else fails here fails again below, and is reported then.
        if let Ok(opened) = socket(Domain::IPV6).and_then(|socket| open(socket, both)) {
            return Ok(opened);
        }
    }
    open(socket(Domain::for_address(address))?, address)
}

fn socket(domain: Domain) -> io::Result<TcpSocket> {
    let socket = Socket::new(domain, Type::STREAM, None)?;
    if domain == Domain::IPV6 {
        // Whatever the host's default is (net.ipv6.bindv6only).
        socket.set_only_v6(false)?;
    }
    socket.set_nonblocking(true)?;
    Ok(TcpSocket::from_std_stream(socket.into()))
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpStream;

    use super::*;

    #[tokio::test]
    async fn the_unspecified_address_takes_clients_of_both_families() {
        let listener = listen(SocketAddr::from(([0, 0, 0, 0], 0))).expect("a socket");
        let port = listener.local_addr().expect("an address").port();
        TcpStream::connect(("127.0.0.1", port)).await.expect("IPv4");
        // Where the host has no IPv6 there is nothing to show.
        if std::net::TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_ok() {
            TcpStream::connect((Ipv6Addr::LOCALHOST, port))
                .await
                .expect("IPv6");
        }
    }

    #[tokio::test]
    async fn another_address_is_bound_as_it_is() {
        let listener = listen(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a socket");
        assert!(listener.local_addr().expect("an address").is_ipv4());
        let taken = listener.local_addr().expect("an address");
        assert!(listen(taken).is_err(), "it is taken");
    }
}
