//! Asking a history station, and waiting for what it has done.

use std::time::Duration;

use anyhow::{Context, bail, ensure};
use async_nats::Client;
use futures_util::StreamExt;
use tidemap_service::{clock::unix_ms, streams};
use tidemap_wire::{
    MinuteRow, Minutes, NodeId, Slot, decode, encode,
    history_query::{HistoryAnswer, HistoryReply, HistoryRequest, HistoryStatus},
    subject,
};

use crate::{broker::jetstream, eventually};

/// For one answer.
const REPLY_TIMEOUT: Duration = Duration::from_secs(5);
/// For the stream to be there.
const STREAM_TIMEOUT: Duration = Duration::from_secs(30);
/// For what has been read to be stored, which waits until nothing more comes, and a minute at most.
const STORE_TIMEOUT: Duration = Duration::from_secs(180);

/// Asks for what is answered in one part. The first of several stations that replies is heard.
pub async fn ask(client: &Client, request: HistoryRequest) -> anyhow::Result<HistoryAnswer> {
    let inbox = client.new_inbox();
    let mut replies = client.subscribe(inbox.clone()).await?;
    client.publish_with_reply(subject::HISTORY, inbox, encode(&request).into()).await?;
    let reply = tokio::time::timeout(REPLY_TIMEOUT, replies.next()).await?.context("no reply")?;
    ensure!(reply.status.is_none(), "no station answers: {:?}", reply.status);
    let reply: HistoryReply = decode(&reply.payload)?;
    ensure!(reply.chunks == 1, "{} parts", reply.chunks);
    Ok(reply.answer)
}

/// Publishes rows of a node's minutes, as its owner does, and returns once the stream has them.
pub async fn publish_minutes(client: &Client, node: &NodeId, rows: &[MinuteRow]) -> anyhow::Result<()> {
    let mut minutes = Minutes::new(1, unix_ms());
    rows.iter().for_each(|row| minutes.push(node, row));
    let subject = subject::minutes(Slot::of(node), 1, 0);
    let message = encode(&minutes);
    // Whoever makes the stream may be starting. What is published twice joins.
    eventually(STREAM_TIMEOUT, async || {
        jetstream(client.clone()).publish(subject.clone(), message.clone().into()).await?.await?;
        Ok(())
    })
    .await
}

/// What a station says of itself.
pub async fn status(client: &Client) -> anyhow::Result<HistoryStatus> {
    match ask(client, HistoryRequest::Status).await? {
        HistoryAnswer::Status(status) => Ok(status),
        other => bail!("{other:?}"),
    }
}

/// The newest message of the stream of minutes.
pub async fn newest_message(client: &Client) -> anyhow::Result<u64> {
    let mut stream = jetstream(client.clone()).get_stream(streams::HISTORY).await?;
    Ok(stream.info().await?.state.last_sequence)
}

/// Waits until the station has read all messages up to `last`.
pub async fn has_read(client: &Client, last: u64) -> anyhow::Result<()> {
    reaches(client, |status| status.read_sequence, last).await
}

/// Waits until the station has stored all messages up to `last`.
pub async fn has_stored(client: &Client, last: u64) -> anyhow::Result<()> {
    reaches(client, |status| status.sequence, last).await
}

async fn reaches(client: &Client, done: fn(&HistoryStatus) -> u64, last: u64) -> anyhow::Result<()> {
    eventually(STORE_TIMEOUT, || async {
        let status = status(client).await?;
        ensure!(done(&status) >= last && status.trouble.is_none(), "{last} messages, {status:?}");
        Ok(())
    })
    .await
}
