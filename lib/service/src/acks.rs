//! Publishing to JetStream with acknowledgements: each message carries a token in its reply subject, and the
//! broker's answers come to one subscription. async-nats's own request machinery would keep an entry for ever
//! for each answer that is lost in an outage.
//!
//! [`InFlight`] and [`RetryQueue`] are pure: they decide which messages wait for an answer, which are overdue
//! and which are published again. [`AckInbox`] is the I/O. The caller decides what to publish and what a
//! refusal means.

mod in_flight;

use std::{fmt::Display, time::Duration};

use anyhow::Context;
use async_nats::{
    Client, Message, StatusCode, Subject, SubscribeError, Subscriber,
    connection::State,
    jetstream::{publish::PublishAck, response::Response},
};
use bytes::Bytes;
use futures_util::{StreamExt, stream::ReadyChunks};
use tokio::time::timeout;

use crate::nats::{ConnectionWatch, NewConnection};
pub use in_flight::{InFlight, RetryQueue};

/// async-nats queues a message at once, unless its queue is full because the connection has just broken.
const SEND_TIMEOUT: Duration = Duration::from_millis(500);

/// Why the broker did not store a message.
#[derive(Debug, thiserror::Error)]
pub enum AckError {
    /// No stream captures the subject.
    #[error("no stream takes it: is ingest running?")]
    NoStream,
    /// The stream refused the message, with this description.
    #[error("{0}")]
    Refused(String),
    /// The answer is neither an acknowledgement nor a refusal. The cause is in the message, so it is no
    /// `source`, which `{:#}` would append.
    #[error("an answer that cannot be read: {0}")]
    Unreadable(serde_json::Error),
}

/// The broker's answer to one message.
#[derive(Debug)]
pub struct Answer {
    message: Message,
    prefix_len: usize,
}

impl Answer {
    /// The token that the message was published with.
    pub fn token(&self) -> &str {
        self.message.subject.get(self.prefix_len..).unwrap_or_default()
    }

    /// The token as a number.
    pub fn number(&self) -> Option<u64> {
        self.token().parse().ok()
    }

    /// Whether the broker has stored the message.
    ///
    /// # Errors
    ///
    /// The reason why it has not.
    pub fn verdict(&self) -> Result<(), AckError> {
        if self.message.status == Some(StatusCode::NO_RESPONDERS) {
            return Err(AckError::NoStream);
        }
        match serde_json::from_slice(&self.message.payload).map_err(AckError::Unreadable)? {
            Response::<PublishAck>::Ok(_) => Ok(()),
            Response::Err { error } => Err(AckError::Refused(error.to_string())),
        }
    }

    /// The answer's bytes, as the broker wrote them.
    pub fn payload(&self) -> &Bytes {
        &self.message.payload
    }
}

/// A connection's inbox for acknowledgements.
pub struct AckInbox {
    client: Client,
    answers: ReadyChunks<Subscriber>,
    /// The prefix of reply subjects, up to and with the dot before the token.
    prefix: String,
    connection: ConnectionWatch,
}

impl AckInbox {
    /// Subscribes to a new inbox. At most `chunk` answers are returned together.
    ///
    /// # Errors
    ///
    /// When the client is closed.
    pub async fn open(client: Client, chunk: usize) -> Result<Self, SubscribeError> {
        let prefix = format!("{}.", client.new_inbox());
        let answers = client.subscribe(format!("{prefix}>")).await?.ready_chunks(chunk);
        Ok(Self { client, answers, prefix, connection: ConnectionWatch::default() })
    }

    /// Whether the client is connected, as far as it knows.
    pub fn is_connected(&self) -> bool {
        self.client.connection_state() == State::Connected
    }

    /// Publishes a message whose answer will carry `token`. Returns `false` when the client cannot queue the
    /// message now; no answer comes then.
    pub async fn publish(&self, subject: Subject, token: impl Display, payload: Bytes) -> bool {
        let reply = format!("{}{token}", self.prefix);
        let sending = self.client.publish_with_reply(subject, reply, payload);
        matches!(timeout(SEND_TIMEOUT, sending).await, Ok(Ok(())))
    }

    /// Waits for answers, and returns all that have arrived.
    ///
    /// # Errors
    ///
    /// When the client is closed.
    pub async fn next(&mut self) -> anyhow::Result<impl Iterator<Item = Answer> + use<>> {
        let messages = self.answers.next().await.context("the connection to the broker is closed")?;
        let prefix_len = self.prefix.len();
        Ok(messages.into_iter().map(move |message| Answer { message, prefix_len }))
    }

    /// Whether the client has a new connection since the last call. Messages published on the old one are
    /// never answered.
    pub fn new_connection(&mut self) -> Option<NewConnection> {
        self.connection.look(&self.client)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: Option<u16>, payload: &'static str) -> Answer {
        let message = Message {
            subject: "_INBOX.a.b.17".into(),
            reply: None,
            payload: Bytes::from_static(payload.as_bytes()),
            headers: None,
            status: status.map(|code| StatusCode::from_u16(code).unwrap()),
            description: None,
            length: 0,
        };
        Answer { message, prefix_len: "_INBOX.a.b.".len() }
    }

    #[test]
    fn an_answer_has_the_messages_token_and_its_outcome() {
        let stored = answer(None, r#"{"stream":"TIDEMAP_0","seq":5}"#);
        assert_eq!((stored.token(), stored.number()), ("17", Some(17)));
        stored.verdict().unwrap();
        let why = |status, payload| answer(status, payload).verdict().unwrap_err().to_string();
        assert_eq!(why(Some(503), ""), "no stream takes it: is ingest running?");
        let full = r#"{"error":{"code":503,"err_code":10077,"description":"maximum messages exceeded"}}"#;
        assert!(why(None, full).contains("maximum messages exceeded"), "{}", why(None, full));
        assert!(why(None, "+OK").starts_with("an answer that cannot be read: "));
    }
}
