//! Events of nodes as ingest publishes them.

use anyhow::Context;
use async_nats::{Client, Subscriber};
use futures_util::StreamExt;
use tidemap_wire::{Event, decode, subject};

/// All events of all nodes: online, warning, offline, joined, forgotten, restarted.
/// Events are not stored: one that is published while the connection is down is lost. A program that must not
/// miss a change uses a [`Follower`](crate::Follower) instead.
/// nothing follows the view with a [`Follower`](crate::Follower) instead.
#[derive(Debug)]
pub struct Events(Subscriber);

impl Events {
    /// Subscribes to all events.
    ///
    /// # Errors
    ///
    /// When the connection was closed.
    pub async fn subscribe(client: &Client) -> anyhow::Result<Self> {
        Ok(Self(client.subscribe(subject::ALL_EVENTS).await.context("cannot subscribe to events")?))
    }

    /// Waits for the next event. Skips events that cannot be decoded, such as those of a newer version.
    ///
    /// # Errors
    ///
    /// When the connection was closed.
    pub async fn next(&mut self) -> anyhow::Result<Event> {
        loop {
            let message = self.0.next().await.context("the connection was closed")?;
            match decode(&message.payload) {
                Ok(event) => return Ok(event),
                Err(error) => tracing::debug!(subject = %message.subject, %error, "unreadable event"),
            }
        }
    }
}
