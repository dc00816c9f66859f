//! Connections that are closed together, before their broker ends.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_nats::Client;
use tokio_util::sync::CancellationToken;

/// The connections that were made with it. Who ends a broker closes them before: a client takes a broker that goes first
/// for a fault, says so in the log and tries to come back.
///
/// To drop all of a connection's clients does not do: a service's stays open for as long as its process lives, because
/// its own event handler holds a client (see [`NatsArgs::connect`](super::NatsArgs::connect)).
#[derive(Clone, Debug, Default)]
pub struct Connections(Arc<Mutex<Vec<(Client, CancellationToken)>>>);

impl Connections {
    /// Keeps a connection in mind; its event handler cancels `closed` when it is.
    pub(super) fn add(&self, client: Client, closed: CancellationToken) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((client, closed));
    }

    /// Closes all connections. One whose broker is not there cannot hear the wish: it is not waited for any longer than
    /// this.
    pub async fn close(&self, within: Duration) {
        let connections = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        let closing = async {
            for (client, _) in &connections {
                // It fails only when the client has ended.
                client.drain().await.ok();
            }
            for (_, closed) in &connections {
                closed.cancelled().await;
            }
        };
        if tokio::time::timeout(within, closing).await.is_err() {
            tracing::debug!("some connections to the broker could not be closed in time");
        }
    }
}
