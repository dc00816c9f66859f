//! Connections that are closed together, before their broker ends.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_nats::Client;
use tokio_util::sync::CancellationToken;

/// Connections to be closed before their broker ends. Otherwise each client would log the broker's end as a
/// fault and try to reconnect.
///
/// Dropping all clients of a connection does not close it: the event handler of a service's connection holds
/// a client of its own (see [`NatsArgs::connect`](super::NatsArgs::connect)).
#[derive(Clone, Debug, Default)]
pub struct Connections(Arc<Mutex<Vec<(Client, CancellationToken)>>>);

impl Connections {
    /// Adds a connection. Its event handler cancels `closed` once the connection is closed.
    pub(super) fn add(&self, client: Client, closed: CancellationToken) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((client, closed));
    }

    /// Closes all connections, and waits for at most `limit`. A connection whose broker is unreachable does
    /// not close in time.
    pub async fn close(&self, limit: Duration) {
        let connections = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        let closing = async {
            for (client, _) in &connections {
                // An error means that the client is closed already.
                client.drain().await.ok();
            }
            for (_, closed) in &connections {
                closed.cancelled().await;
            }
        };
        if tokio::time::timeout(limit, closing).await.is_err() {
            tracing::debug!("some connections to the broker could not be closed in time");
        }
    }
}
