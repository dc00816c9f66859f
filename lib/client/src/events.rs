//! What happens to nodes, as it happens.

use anyhow::Context;
use async_nats::{Client, Subscriber};
use futures_util::StreamExt;
use tidemap_wire::{Event, decode, subject};

/// All events of all nodes: online, warning, offline, joined, forgotten, restarted.
///
/// They are not stored: one that is published while the connection is down is lost. A program that must miss
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

    /// Waits for the next event. Skips those that cannot be read, as a newer version may publish some.
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
