//! Requests to ingest workers, by partition.

use std::time::Duration;

use async_nats::{Client, Message};
use tidemap_wire::{
    DecodeError, ForgetReply, ForgetRequest, History, NodeId, Partition, SnapshotChunk, SnapshotRequest,
    decode, encode, subject,
};

use crate::{
    requests::{Inbox, NoReply, Requests},
    snapshot::{Assembly, Snapshot},
};

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
pub struct IngestClient(Requests);

impl IngestClient {
    /// Sends requests over this connection.
    pub fn new(client: Client) -> Self {
        Self(Requests::new(client))
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
            let (mut inbox, first) = self.first_of_snapshot(partition).await?;
            let mut assembly = Assembly::default();
            let mut chunk = decode(&first.payload)?;
            loop {
                if let Some(snapshot) = assembly.add(chunk) {
                    return Ok(snapshot);
                }
                chunk = decode(&inbox.next().await?.payload)?;
            }
        };
        tokio::time::timeout(SNAPSHOT_TIMEOUT, collect).await.map_err(|_| RequestError::TimedOut)?
    }

    /// Repeats the request for a snapshot until the first part of the answer arrives.
    async fn first_of_snapshot(&self, partition: Partition) -> Result<(Inbox, Message), RequestError> {
        let request = encode(&SnapshotRequest { node: None });
        let mut inbox = self.0.inbox().await?;
        let mut attempt_timeout = FIRST_ATTEMPT_TIMEOUT;
        loop {
            inbox.send(subject::snapshot(partition), request.clone()).await?;
            if let Ok(reply) = tokio::time::timeout(attempt_timeout, inbox.next()).await {
                return Ok((inbox, reply?));
            }
            attempt_timeout *= 2;
        }
    }

    async fn one_reply(&self, subject: String, request: Vec<u8>) -> Result<Message, RequestError> {
        let reply = async {
            let mut inbox = self.0.inbox().await?;
            inbox.send(subject, request).await?;
            Ok(inbox.next().await?)
        };
        tokio::time::timeout(ANSWER_TIMEOUT, reply).await.map_err(|_| RequestError::TimedOut)?
    }
}

impl From<NoReply> for RequestError {
    fn from(why: NoReply) -> Self {
        match why {
            NoReply::NotConnected => Self::NotConnected,
            NoReply::NoResponders => Self::NoOwner,
            NoReply::NotSent(error) => Self::NotSent(error),
        }
    }
}
