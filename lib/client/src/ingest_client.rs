//! Requests to ingest workers, by partition.

use std::time::Duration;

use async_nats::{Client, Message, StatusCode, Subscriber, connection::State};
use futures_util::StreamExt;
use tidemap_wire::{
    DecodeError, ForgetReply, ForgetRequest, History, NodeId, Partition, SnapshotChunk, SnapshotRequest,
    decode, encode, subject,
};

use crate::snapshot::{Assembly, Snapshot};

/// For a whole snapshot, which may take megabytes.
const SNAPSHOT_TIMEOUT: Duration = Duration::from_secs(2);
/// A worker answers at once, except while it reads its log again; and a request may be lost while connections
/// move to another server. So the request is sent again after this time, which doubles with each attempt.
const FIRST_ATTEMPT_TIMEOUT: Duration = Duration::from_millis(250);
/// For requests of a person who waits.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(1);

/// Why a request has no answer.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// There is no connection at the moment.
    #[error("the broker is not connected")]
    NotConnected,
    /// No worker owns the partition at the moment.
    #[error("the partition has no owner at the moment")]
    NoOwner,
    /// A worker owns the partition but does not answer.
    #[error("the partition's owner did not answer in time")]
    TimedOut,
    /// The answer cannot be decoded.
    #[error("the partition's owner gave an answer that cannot be read: {0}")]
    Unreadable(DecodeError),
    /// The connection was closed.
    #[error("the request could not be sent: {0}")]
    NotSent(String),
}

impl From<DecodeError> for RequestError {
    /// The message has the error, so it is no `source`: `{:#}` would print it twice.
    fn from(error: DecodeError) -> Self {
        Self::Unreadable(error)
    }
}

/// Sends requests to the worker that owns a partition. Clones share a connection.
#[derive(Clone, Debug)]
pub struct IngestClient(Client);

impl IngestClient {
    /// Sends requests over this connection.
    pub fn new(client: Client) -> Self {
        Self(client)
    }

    /// A node's recent past; `None` when its worker does not know the node.
    ///
    /// # Errors
    ///
    /// See [`RequestError`].
    pub async fn history(&self, partition: Partition, node: NodeId) -> Result<Option<History>, RequestError> {
        let request = encode(&SnapshotRequest { node: Some(node) });
        let reply = self.one_reply(subject::snapshot(partition), request).await?;
        Ok(decode::<SnapshotChunk>(&reply.payload)?.history)
    }

    /// Makes the partition's owner forget a node, until it reports again.
    ///
    /// # Errors
    ///
    /// See [`RequestError`].
    pub async fn forget(&self, partition: Partition, node: NodeId) -> Result<ForgetReply, RequestError> {
        let request = encode(&ForgetRequest { node });
        Ok(decode(&self.one_reply(subject::forget(partition), request).await?.payload)?)
    }

    /// All nodes of a partition.
    pub(crate) async fn snapshot(&self, partition: Partition) -> Result<Snapshot, RequestError> {
        let collect = async {
            let (mut replies, first) = self.first_of_snapshot(partition).await?;
            let mut assembly = Assembly::default();
            let mut chunk = decode(&first.payload)?;
            loop {
                if let Some(snapshot) = assembly.add(chunk) {
                    return Ok(snapshot);
                }
                chunk = decode(&next(&mut replies).await?.payload)?;
            }
        };
        tokio::time::timeout(SNAPSHOT_TIMEOUT, collect).await.map_err(|_| RequestError::TimedOut)?
    }

    /// Repeats the request for a snapshot until the first part of the answer arrives.
    async fn first_of_snapshot(&self, partition: Partition) -> Result<(Subscriber, Message), RequestError> {
        let request = encode(&SnapshotRequest { node: None });
        let (inbox, mut replies) = self.inbox().await?;
        let mut attempt_timeout = FIRST_ATTEMPT_TIMEOUT;
        loop {
            self.publish(subject::snapshot(partition), &inbox, request.clone()).await?;
            if let Ok(reply) = tokio::time::timeout(attempt_timeout, next(&mut replies)).await {
                return Ok((replies, reply?));
            }
            attempt_timeout *= 2;
        }
    }

    async fn one_reply(&self, subject: String, request: Vec<u8>) -> Result<Message, RequestError> {
        let reply = async {
            let (inbox, mut replies) = self.inbox().await?;
            self.publish(subject, &inbox, request).await?;
            next(&mut replies).await
        };
        tokio::time::timeout(ANSWER_TIMEOUT, reply).await.map_err(|_| RequestError::TimedOut)?
    }

    /// An inbox for a request's replies that ends with its subscriber. (`Client::request` would keep an entry
    /// for every reply that is lost.)
    async fn inbox(&self) -> Result<(String, Subscriber), RequestError> {
        if self.0.connection_state() != State::Connected {
            return Err(RequestError::NotConnected);
        }
        let inbox = self.0.new_inbox();
        let replies = self.0.subscribe(inbox.clone()).await;
        Ok((inbox, replies.map_err(|error| RequestError::NotSent(error.to_string()))?))
    }

    async fn publish(&self, subject: String, inbox: &str, request: Vec<u8>) -> Result<(), RequestError> {
        let published = self.0.publish_with_reply(subject, inbox.to_owned(), request.into()).await;
        published.map_err(|error| RequestError::NotSent(error.to_string()))
    }
}

async fn next(replies: &mut Subscriber) -> Result<Message, RequestError> {
    match replies.next().await {
        Some(reply) if reply.status == Some(StatusCode::NO_RESPONDERS) => Err(RequestError::NoOwner),
        Some(reply) => Ok(reply),
        None => Err(RequestError::NotConnected),
    }
}
