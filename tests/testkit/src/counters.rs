//! A broker's own counters, read through its system account.

use std::time::Duration;

use anyhow::Context;
use async_nats::Client;
use data_encoding::BASE64;
use serde::{Deserialize, de::DeserializeOwned};
use tidemap_broker::keys::Keys;
use tidemap_service::nats::NatsArgs;

use crate::within;

/// For the broker to answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// A connection with the operator's rights.
pub struct Counters {
    client: Client,
}

/// The broker's counters at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Counts {
    /// The server's connections and messages.
    pub server: ServerCounts,
    /// Its streams.
    pub jetstream: JetStreamCounts,
}

/// The server's connections and messages.
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

/// The server's streams.
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
    pub async fn open(url: &str, keys: &Keys) -> anyhow::Result<Self> {
        let client = NatsArgs::new(url, Some(&keys.sys_seed_path())).connect("counters", None).await?;
        Ok(Self { client })
    }

    /// Asks the broker.
    pub async fn read(&self) -> anyhow::Result<Counts> {
        Ok(Counts { server: self.ask("VARZ").await?, jetstream: self.ask("JSZ").await? })
    }

    /// The bytes in use on the broker's heap. Garbage, and memory that is kept in reserve, are not included.
    pub async fn live_heap_bytes(&self) -> anyhow::Result<u64> {
        #[derive(Deserialize)]
        struct Profile {
            profile: String,
        }
        // In text form, the profile ends with the runtime's memory statistics.
        let Profile { profile } = self.ask_with("PROFILEZ", r#"{"name": "heap", "debug": 1}"#).await?;
        let text = String::from_utf8(BASE64.decode(profile.as_bytes())?)?;
        let next = text.lines().find_map(|line| line.strip_prefix("# NextGC = ")).context("no NextGC")?;
        // Go collects when the heap has twice the size that the last collection left.
        Ok(next.trim().parse::<u64>()? / 2)
    }

    async fn ask<T: DeserializeOwned>(&self, what: &str) -> anyhow::Result<T> {
        self.ask_with(what, "").await
    }

    async fn ask_with<T: DeserializeOwned>(&self, what: &str, options: &'static str) -> anyhow::Result<T> {
        let asking = self.client.request(format!("$SYS.REQ.SERVER.PING.{what}"), options.into());
        let answer = within(ANSWER_TIMEOUT, asking).await.with_context(|| format!("no {what}"))??;
        let Answer { data } = serde_json::from_slice(&answer.payload).with_context(|| what.to_owned())?;
        Ok(data)
    }
}
