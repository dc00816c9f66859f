//! Requests over the broker, each with an inbox of its own.

use async_nats::{Client, Message, StatusCode, Subscriber, connection::State};
use futures_util::StreamExt;

/// Sends requests over a connection, which clones share.
#[derive(Clone, Debug)]
pub(crate) struct Requests(Client);

/// Where the replies to requests arrive. It ends with its subscriber. (`Client::request` would keep an entry
/// for every reply that is lost.)
#[derive(Debug)]
pub(crate) struct Inbox {
    client: Client,
    name: String,
    replies: Subscriber,
}

/// Why there is no reply.
#[derive(Debug)]
pub(crate) enum NoReply {
    /// There is no connection at the moment.
    NotConnected,
    /// Nobody takes such requests at the moment.
    NoResponders,
    /// The connection was closed.
    NotSent(String),
}

impl Requests {
    pub(crate) fn new(client: Client) -> Self {
        Self(client)
    }

    pub(crate) async fn inbox(&self) -> Result<Inbox, NoReply> {
        if self.0.connection_state() != State::Connected {
            return Err(NoReply::NotConnected);
        }
        let name = self.0.new_inbox();
        let replies = self.0.subscribe(name.clone()).await;
        let replies = replies.map_err(|error| NoReply::NotSent(error.to_string()))?;
        Ok(Inbox { client: self.0.clone(), name, replies })
    }
}

impl Inbox {
    pub(crate) async fn send(&self, subject: String, request: Vec<u8>) -> Result<(), NoReply> {
        let sent = self.client.publish_with_reply(subject, self.name.clone(), request.into()).await;
        sent.map_err(|error| NoReply::NotSent(error.to_string()))
    }

    pub(crate) async fn next(&mut self) -> Result<Message, NoReply> {
        match self.replies.next().await {
            Some(reply) if reply.status == Some(StatusCode::NO_RESPONDERS) => Err(NoReply::NoResponders),
            Some(reply) => Ok(reply),
            None => Err(NoReply::NotConnected),
        }
    }
}
