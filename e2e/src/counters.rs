//! What a broker counts about itself, asked through its system account.

use std::time::Duration;

use anyhow::Context;
use async_nats::Client;
use serde::{Deserialize, de::DeserializeOwned};
use tidemap_service::{keys::Keys, nats::NatsArgs};
use tokio::time::timeout;

/// For an answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// A connection of the operator's.
pub struct Counters {
    client: Client,
}

/// The broker's counters at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Counts {
    /// What the server has to do with others.
    pub server: ServerCounts,
    /// What it keeps.
    pub jetstream: JetStreamCounts,
}

/// What the server has to do with others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
pub struct ServerCounts {
    /// Clients, this one included.
    pub connections: u64,
    /// Subscriptions, the server's own included.
    pub subscriptions: u64,
    /// Messages received.
    pub in_msgs: u64,
    /// Their payloads and headers.
    pub in_bytes: u64,
    /// Messages sent.
    pub out_msgs: u64,
    /// Their payloads and headers.
    pub out_bytes: u64,
    /// Clients that did not read fast enough.
    pub slow_consumers: u64,
}

/// What the server keeps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
pub struct JetStreamCounts {
    /// Readers of streams.
    pub consumers: u64,
    /// Messages in all streams.
    pub messages: u64,
    /// Their bytes on disk.
    pub bytes: u64,
}

#[derive(Deserialize)]
struct Answer<T> {
    data: T,
}

impl Counters {
    /// Connects as the operator whose keys these are.
    ///
    /// # Errors
    ///
    /// When the key cannot be read.
    pub async fn open(url: &str, keys: &Keys) -> anyhow::Result<Self> {
        let client = NatsArgs::new(url, Some(&keys.sys_seed_path())).connect("counters", None).await?;
        Ok(Self { client })
    }

    /// Asks the broker.
    ///
    /// # Errors
    ///
    /// When it does not answer.
    pub async fn read(&self) -> anyhow::Result<Counts> {
        Ok(Counts { server: self.ask("VARZ").await?, jetstream: self.ask("JSZ").await? })
    }

    async fn ask<T: DeserializeOwned>(&self, what: &str) -> anyhow::Result<T> {
        let asking = self.client.request(format!("$SYS.REQ.SERVER.PING.{what}"), "".into());
        let answer = timeout(PATIENCE, asking).await.with_context(|| format!("no {what}"))??;
        let Answer { data } = serde_json::from_slice(&answer.payload).with_context(|| what.to_owned())?;
        Ok(data)
    }
}
