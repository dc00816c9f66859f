//! Requests to the owners of partitions.

use std::time::Duration;

use async_nats::{Client, Message, StatusCode, Subscriber, connection::State};
use futures_util::StreamExt;
use tidemap_wire::{
    DecodeError, ForgetReply, ForgetRequest, History, NodeId, Partition, SnapshotChunk, SnapshotRequest,
    decode, encode, subject,
};

use crate::view::{Assembly, Snapshot};

/// A whole partition may be megabytes.
const SNAPSHOT_TIMEOUT: Duration = Duration::from_secs(2);
/// An owner begins to answer at once. One that has to read its log anew says nothing, and a request may be lost while
/// connections move to another server: it is asked again after this, and after twice as long each time.
const SNAPSHOT_AGAIN: Duration = Duration::from_millis(250);
/// A person waits for these.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(1);

/// Why an owner's answer is not there.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RpcError {
    #[error("the broker is not connected")]
    NotConnected,
    #[error("the partition has no owner at the moment")]
    NoOwner,
    #[error("the partition's owner did not answer in time")]
    TimedOut,
    #[error("the partition's owner gave an answer that cannot be read: {0}")]
    Unreadable(#[from] DecodeError),
    #[error("the request could not be sent: {0}")]
    NotSent(String),
}

/// The partitions' owners, wherever they are.
#[derive(Clone, Debug)]
pub(crate) struct Owners(Client);

impl Owners {
    pub(crate) fn new(client: Client) -> Self {
        Self(client)
    }

    /// All nodes of a partition.
    pub(crate) async fn snapshot(&self, partition: Partition) -> Result<Snapshot, RpcError> {
        let request = encode(&SnapshotRequest { node: None });
        let collect = async {
            let (inbox, mut replies) = self.inbox().await?;
            let mut patience = SNAPSHOT_AGAIN;
            let mut reply = loop {
                self.publish(subject::snapshot(partition), &inbox, request.clone()).await?;
                match tokio::time::timeout(patience, next(&mut replies)).await {
                    Ok(reply) => break reply?,
                    Err(_) => patience *= 2,
                }
            };
            let mut assembly = Assembly::default();
            loop {
                if let Some(snapshot) = assembly.add(decode(&reply.payload)?) {
                    return Ok(snapshot);
                }
                reply = next(&mut replies).await?;
            }
        };
        tokio::time::timeout(SNAPSHOT_TIMEOUT, collect).await.map_err(|_| RpcError::TimedOut)?
    }

    /// A node's recent past; `None` when its owner does not know it.
    pub(crate) async fn history(
        &self,
        partition: Partition,
        node: NodeId,
    ) -> Result<Option<History>, RpcError> {
        let request = encode(&SnapshotRequest { node: Some(node) });
        let reply = self.one_reply(subject::snapshot(partition), request).await?;
        Ok(decode::<SnapshotChunk>(&reply.payload)?.history)
    }

    /// Drops a node.
    pub(crate) async fn forget(&self, partition: Partition, node: NodeId) -> Result<ForgetReply, RpcError> {
        let request = encode(&ForgetRequest { node });
        Ok(decode(&self.one_reply(subject::forget(partition), request).await?.payload)?)
    }

    async fn one_reply(&self, subject: String, request: Vec<u8>) -> Result<Message, RpcError> {
        let reply = async { next(&mut self.ask(subject, request).await?).await };
        tokio::time::timeout(ANSWER_TIMEOUT, reply).await.map_err(|_| RpcError::TimedOut)?
    }

    /// Sends a request, once.
    async fn ask(&self, subject: String, request: Vec<u8>) -> Result<Subscriber, RpcError> {
        let (inbox, replies) = self.inbox().await?;
        self.publish(subject, &inbox, request).await?;
        Ok(replies)
    }

    /// An inbox for a request's replies, which goes away with the subscriber. (The client's own `request` keeps an entry
    /// for every reply that is lost.)
    async fn inbox(&self) -> Result<(String, Subscriber), RpcError> {
        if self.0.connection_state() != State::Connected {
            return Err(RpcError::NotConnected);
        }
        let inbox = self.0.new_inbox();
        let replies = self.0.subscribe(inbox.clone()).await;
        Ok((inbox, replies.map_err(|error| RpcError::NotSent(error.to_string()))?))
    }

    async fn publish(&self, subject: String, inbox: &str, request: Vec<u8>) -> Result<(), RpcError> {
        let published = self.0.publish_with_reply(subject, inbox.to_owned(), request.into()).await;
        published.map_err(|error| RpcError::NotSent(error.to_string()))
    }
}

async fn next(replies: &mut Subscriber) -> Result<Message, RpcError> {
    match replies.next().await {
        Some(reply) if reply.status == Some(StatusCode::NO_RESPONDERS) => Err(RpcError::NoOwner),
        Some(reply) => Ok(reply),
        None => Err(RpcError::NotConnected),
    }
}
