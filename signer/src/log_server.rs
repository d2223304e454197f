//! The log over HTTPS for everybody: the signer's own certificate, TLS 1.3, no client certificate, read-only.

use crate::log::disk::LogDir;
use crate::log::serve::routes;
use crate::transport::Connection;
use axum::serve::Listener;
use keywright_signer_protocol::tls::TlsFolder;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_rustls::TlsAcceptor;

/// Connections at a time.
const MOST: usize = 128;
/// How long a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);

struct HttpsListener {
    ready: mpsc::Receiver<(Connection<()>, SocketAddr)>,
    address: SocketAddr,
}

impl Listener for HttpsListener {
    type Io = Connection<()>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, SocketAddr) {
        match self.ready.recv().await {
            Some(connection) => connection,
            // The accepting task ended, which it does with the process.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }
}

/// Serves the log in `dir` until the process ends. Errors: the listener has no address.
pub async fn serve(listener: TcpListener, folder: TlsFolder, dir: LogDir) -> io::Result<()> {
    let address = listener.local_addr()?;
    let (sender, ready) = mpsc::channel(16);
    let places = Arc::new(Semaphore::new(MOST));
    tokio::spawn(async move {
        while let Ok(place) = Arc::clone(&places).acquire_owned().await {
            let Ok((tcp, from)) = listener.accept().await else {
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            };
            tokio::spawn(shake(tcp, from, folder.clone(), sender.clone(), place));
        }
    });
    axum::serve(HttpsListener { ready, address }, routes(dir)).await
}

async fn shake(
    tcp: TcpStream,
    from: SocketAddr,
    folder: TlsFolder,
    sender: mpsc::Sender<(Connection<()>, SocketAddr)>,
    place: OwnedSemaphorePermit,
) {
    let acceptor = TlsAcceptor::from(folder.public_server());
    match tokio::time::timeout(HANDSHAKE, acceptor.accept(tcp)).await {
        Ok(Ok(tls)) => {
            // Fails only when the server ended.
            let _ = sender.send((Connection::new(tls, (), place), from)).await;
        }
        Ok(Err(error)) => tracing::debug!(%from, %error, "a reader of the log failed the handshake"),
        Err(_) => tracing::debug!(%from, "a reader of the log was too slow with the handshake"),
    }
}
