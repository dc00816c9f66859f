//! A user of a broker, whose events and refusals can be awaited.

use std::time::Duration;

use async_nats::{Client, ConnectOptions, Event, ServerError};
use tidemap_wire::NodeId;
use tokio::{sync::mpsc, time::timeout};

use crate::wait::TEST_TIMEOUT;

/// A connection whose events can be awaited.
pub(crate) struct User {
    pub(crate) client: Client,
    pub(crate) events: mpsc::Receiver<Event>,
}

impl User {
    /// Connects, and retries while the broker is still reloading its users.
    pub(crate) async fn connect_by(options: ConnectOptions, url: String, inbox: &str) -> Self {
        let (sender, events) = mpsc::channel(64);
        let options = options
            .custom_inbox_prefix(inbox)
            .retry_on_initial_connect()
            .reconnect_delay_callback(|_| Duration::from_millis(20))
            .event_callback(move |event| {
                let sender = sender.clone();
                async move { drop(sender.send(event).await) }
            });
        let client = options.connect(url).await.unwrap();
        let mut user = Self { client, events };
        user.until(|event| matches!(event, Event::Connected)).await;
        user
    }

    pub(crate) async fn until(&mut self, is_it: impl Fn(&Event) -> bool) -> Event {
        let found = async {
            loop {
                let event = self.events.recv().await.expect("the client lives");
                if is_it(&event) {
                    return event;
                }
            }
        };
        timeout(TEST_TIMEOUT, found).await.expect("the broker says so")
    }

    /// Waits until the broker refuses what this user tried, and returns the broker's words.
    pub(crate) async fn refused(&mut self, what: &str) -> String {
        let words = what.to_lowercase();
        let event = self
            .until(|event| match event {
                Event::ServerError(ServerError::Other(error)) => {
                    let error = error.to_lowercase();
                    error.contains("permissions violation") && error.contains(&words)
                }
                _ => false,
            })
            .await;
        event.to_string()
    }

    pub(crate) async fn publish(&self, subject: &str) {
        self.client.publish(subject.to_owned(), "x".into()).await.unwrap();
    }
}

pub(crate) fn node(name: &str) -> NodeId {
    NodeId::from_name(name).unwrap()
}
