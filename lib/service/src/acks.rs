//! Publishing to JetStream with acknowledgements: each message carries a token in its reply subject, and the
//! broker's answers come to one subscription. async-nats's own request machinery would keep an entry for ever
//! for each answer that is lost in an outage.
//!
//! [`InFlight`] and [`RetryQueue`] are pure and say what waits, what is overdue and what goes again.
//! [`AckInbox`] is the I/O. What to publish, and what a refusal means, is the caller's business.

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

/// async-nats takes a message into its queue at once, unless that is full because the connection just broke.
const SEND_TIMEOUT: Duration = Duration::from_millis(500);

/// Why the broker did not store a message.
#[derive(Debug, thiserror::Error)]
pub enum AckError {
    /// Nothing listens on the subject.
    #[error("no stream takes it: is ingest running?")]
    NoStream,
    /// The stream refuses it.
    #[error("{0}")]
    Refused(String),
    /// Neither an acknowledgement nor a refusal.
    #[error("an answer that cannot be read: {0}")]
    Unreadable(#[from] serde_json::Error),
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
    /// When it has not.
    pub fn verdict(&self) -> Result<(), AckError> {
        if self.message.status == Some(StatusCode::NO_RESPONDERS) {
            return Err(AckError::NoStream);
        }
        match serde_json::from_slice::<Response<PublishAck>>(&self.message.payload)? {
            Response::Ok(_) => Ok(()),
            Response::Err { error } => Err(AckError::Refused(error.to_string())),
        }
    }

    /// What the broker wrote.
    pub fn payload(&self) -> &Bytes {
        &self.message.payload
    }
}

/// A connection's inbox for acknowledgements.
pub struct AckInbox {
    client: Client,
    answers: ReadyChunks<Subscriber>,
    /// Of reply subjects, with the dot before the token.
    prefix: String,
    connection: ConnectionWatch,
}

impl AckInbox {
    /// Subscribes to an inbox of its own. At most `chunk` answers are returned together; there is room for as
    /// many.
    ///
    /// # Errors
    ///
    /// When the client has given up its connection.
    pub async fn open(client: Client, chunk: usize) -> Result<Self, SubscribeError> {
        let prefix = format!("{}.", client.new_inbox());
        let answers = client.subscribe(format!("{prefix}>")).await?.ready_chunks(chunk);
        Ok(Self { client, answers, prefix, connection: ConnectionWatch::default() })
    }

    /// Whether the connection stands, as far as the client knows.
    pub fn is_connected(&self) -> bool {
        self.client.connection_state() == State::Connected
    }

    /// Publishes a message whose answer will carry `token`. `false` means that the client does not take it
    /// now, so that no answer will come.
    pub async fn publish(&self, subject: Subject, token: impl Display, payload: Bytes) -> bool {
        let reply = format!("{}{token}", self.prefix);
        let sending = self.client.publish_with_reply(subject, reply, payload);
        matches!(timeout(SEND_TIMEOUT, sending).await, Ok(Ok(())))
    }

    /// Waits for answers; several come together when they are there.
    ///
    /// # Errors
    ///
    /// When the client has given up its connection.
    pub async fn next(&mut self) -> anyhow::Result<impl Iterator<Item = Answer> + use<>> {
        let messages = self.answers.next().await.context("the connection to the broker is closed")?;
        let prefix_len = self.prefix.len();
        Ok(messages.into_iter().map(move |message| Answer { message, prefix_len }))
    }

    /// Whether the connection is another one than at the last call. Messages published on the
    /// old one are not answered.
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
    fn an_answer_names_its_message_and_says_whether_it_is_stored() {
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
