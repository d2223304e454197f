//! Accepting connections: TLS 1.3, client certificate, pin; one bad peer never holds up another.

use keywright_signer_protocol::tls::{Pin, TlsFolder};
use std::io;
use std::pin::Pin as Pinned;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tonic::transport::server::Connected;

/// Connections at a time, handshakes included.
const MOST: usize = 1024;
/// How long a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// Who is at the other end: the pin of the certificate that the handshake verified.
#[derive(Debug, Clone, Copy)]
pub struct PeerPin(pub Pin);

/// A connection whose handshake is done; it takes one of a limited number of places while it lasts.
#[derive(Debug)]
pub struct Connection<P> {
    tls: TlsStream<TcpStream>,
    peer: P,
    _place: OwnedSemaphorePermit,
}

/// A connection of a pinned peer.
pub type PeerStream = Connection<Pin>;

impl<P> Connection<P> {
    /// A connection that holds this place.
    pub fn new(tls: TlsStream<TcpStream>, peer: P, place: OwnedSemaphorePermit) -> Self {
        Self { tls, peer, _place: place }
    }
}

impl Connected for PeerStream {
    type ConnectInfo = PeerPin;

    fn connect_info(&self) -> PeerPin {
        PeerPin(self.peer)
    }
}

impl<P: Unpin> AsyncRead for Connection<P> {
    fn poll_read(
        mut self: Pinned<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pinned::new(&mut self.tls).poll_read(cx, buf)
    }
}

impl<P: Unpin> AsyncWrite for Connection<P> {
    fn poll_write(mut self: Pinned<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pinned::new(&mut self.tls).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pinned<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pinned::new(&mut self.tls).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pinned<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pinned::new(&mut self.tls).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pinned<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pinned::new(&mut self.tls).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.tls.is_write_vectored()
    }
}

/// The connections that arrive at `listener` and get through the handshake. Ends when the receiver is dropped.
pub fn accept(listener: TcpListener, folder: TlsFolder) -> mpsc::Receiver<io::Result<PeerStream>> {
    let (sender, receiver) = mpsc::channel(16);
    let places = Arc::new(Semaphore::new(MOST));
    tokio::spawn(async move {
        while let Ok(place) = Arc::clone(&places).acquire_owned().await {
            let accepted = tokio::select! {
                () = sender.closed() => return,
                accepted = listener.accept() => accepted,
            };
            let (tcp, from) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            };
            let (sender, folder) = (sender.clone(), folder.clone());
            tokio::spawn(async move {
                match tokio::time::timeout(HANDSHAKE, shake(tcp, &folder)).await {
                    Ok(Ok((tls, pin))) => {
                        // Fails only when the server is stopping.
                        let _ = sender.send(Ok(Connection::new(tls, pin, place))).await;
                    }
                    Ok(Err(error)) => tracing::info!(%from, %error, "a peer failed the handshake"),
                    Err(_) => tracing::info!(%from, "a peer was too slow with the handshake"),
                }
            });
        }
    });
    receiver
}

async fn shake(tcp: TcpStream, folder: &TlsFolder) -> io::Result<(TlsStream<TcpStream>, Pin)> {
    tcp.set_nodelay(true)?;
    let tls = TlsAcceptor::from(folder.server()).accept(tcp).await?;
    let certificate = tls.get_ref().1.peer_certificates().and_then(<[_]>::first);
    let pin =
        certificate.and_then(Pin::of).ok_or_else(|| io::Error::other("the peer showed no certificate"))?;
    Ok((tls, pin))
}
