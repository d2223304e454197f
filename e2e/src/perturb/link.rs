//! A TCP connection that can be frozen: nothing passes, nothing breaks.

use crate::Error;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Forwards to a port of 127.0.0.1 for as long as it lives.
pub(super) struct Link {
    /// Where it listens on 127.0.0.1.
    pub(super) port: u16,
    open: Arc<watch::Sender<bool>>,
    task: tokio::task::JoinHandle<()>,
}

impl Link {
    /// Listens; what arrives goes to `to`.
    pub(super) async fn start(to: u16) -> Result<Self, Error> {
        let failed = |source| Error::Spawn { name: "the link".into(), source };
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(failed)?;
        let port = listener.local_addr().map_err(failed)?.port();
        let open = Arc::new(watch::Sender::new(true));
        let gate = Arc::clone(&open);
        let task = tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let gate = Arc::clone(&gate);
                tokio::spawn(async move {
                    let Ok(far) = TcpStream::connect(("127.0.0.1", to)).await else { return };
                    let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
                    tokio::select! {
                        () = pass(near_in, far_out, gate.subscribe()) => {}
                        () = pass(far_in, near_out, gate.subscribe()) => {}
                    }
                });
            }
        });
        Ok(Self { port, open, task })
    }

    /// Lets nothing through any more, or everything again.
    pub(super) fn freeze(&self, frozen: bool) {
        self.open.send_replace(!frozen);
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.task.abort();
        self.freeze(false);
    }
}

async fn pass(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut open: watch::Receiver<bool>,
) {
    let mut buffer = vec![0; 1 << 16];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        if open.wait_for(|open| *open).await.is_err() || to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}
