//! Connections that are closed together, before their broker ends.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_nats::Client;
use tokio_util::sync::CancellationToken;

/// Connections that are to be closed before their broker ends: a client takes a broker that ends first for a
/// fault, logs it and tries to reconnect.
///
/// Dropping all of a connection's clients would not close it: a service's connection stays open for as long
/// as its process lives, because its own event handler holds a client (see
/// [`NatsArgs::connect`](super::NatsArgs::connect)).
#[derive(Clone, Debug, Default)]
pub struct Connections(Arc<Mutex<Vec<(Client, CancellationToken)>>>);

impl Connections {
    /// Adds a connection, whose event handler cancels `closed` once it is closed.
    pub(super) fn add(&self, client: Client, closed: CancellationToken) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((client, closed));
    }

    /// Closes all connections, and waits for at most `limit`: a connection whose broker is away is not closed
    /// in time.
    pub async fn close(&self, limit: Duration) {
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
        if tokio::time::timeout(limit, closing).await.is_err() {
            tracing::debug!("some connections to the broker could not be closed in time");
        }
    }
}
