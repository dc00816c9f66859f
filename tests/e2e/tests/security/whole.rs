//! The running services, and agents with keys of their own.

use std::collections::BTreeMap;

use anyhow::ensure;
use async_nats::{Client, jetstream};
use futures_util::StreamExt;
use serde_json::Value;
use tidemap_broker::keys;
use tidemap_service::{clock::unix_ms, nats::NatsArgs, streams};
use tidemap_testkit::{broker::TestBroker, eventually, http::get_json, process::Tidemap, within};
use tidemap_wire::{Bps, NodeId, PartitionStats, Report, Sample, decode, encode, http::StatsJson, subject};

use crate::EVENT_TIMEOUT;

pub(crate) struct Whole {
    pub(crate) broker: TestBroker,
    pub(crate) ingest: Tidemap,
    _api: Tidemap,
    pub(crate) url: String,
    services: Client,
}

impl Whole {
    pub(crate) async fn start() -> Self {
        let broker = TestBroker::start().await.unwrap();
        let ingest = broker.ingest(&[]).unwrap();
        let (api, url) = broker.api().await.unwrap();
        let services = broker.connect().await.unwrap();
        eventually(EVENT_TIMEOUT, || async {
            let stats: StatsJson = get_json(format!("{url}/api/stats")).await?;
            ensure!(stats.partitions_fresh == stats.partitions, "{stats:?}\n{}", ingest.log());
            Ok(())
        })
        .await
        .unwrap();
        Self { broker, ingest, _api: api, url, services }
    }

    /// A connection with a node's key, and its subject.
    pub(crate) async fn agent(&self, name: &str) -> (jetstream::Context, String) {
        let seed = self.broker.keys.service_seed_path();
        let node = NodeId::from_name(name).unwrap();
        let key = keys::enroll(seed.ancestors().nth(2).unwrap(), &node).unwrap().seed_path;
        self.broker.server.reload().unwrap();
        let args = NatsArgs::new(&self.broker.url, Some(&key));
        let client = args.connect("test", Some(&format!("_INBOX.{node}"))).await.unwrap();
        (tidemap_testkit::broker::jetstream(client), subject::sample(&node))
    }

    /// A node as the API shows it, without the fields that depend on the clock.
    pub(crate) async fn node(&self, name: &str) -> anyhow::Result<Value> {
        let mut node: Value = get_json(format!("{}/api/nodes/{name}", self.url)).await?;
        for clocked in ["status", "status_for_s", "age_ms", "last_seen", "last_seen_timestamp"] {
            node.as_object_mut().unwrap().remove(clocked);
        }
        Ok(node)
    }

    /// The next totals of every partition.
    pub(crate) async fn stats(&self) -> Vec<PartitionStats> {
        let mut stats = self.services.subscribe(subject::ALL_STATS).await.unwrap();
        let mut all = BTreeMap::new();
        while all.len() < 8 {
            let message = within(EVENT_TIMEOUT, stats.next()).await.unwrap().unwrap();
            let stats: PartitionStats = decode(&message.payload).unwrap();
            all.insert(stats.partition, stats);
        }
        all.into_values().collect()
    }

    pub(crate) async fn duplicates(&self) -> u64 {
        self.stats().await.iter().map(|stats| stats.duplicates).sum()
    }

    pub(crate) async fn refused(&self, reason: &str) -> u64 {
        self.stats().await.iter().filter_map(|stats| stats.refused.get(reason)).sum()
    }

    /// Owner and epoch of each lease. (Its revision grows every second, when its owner renews it.)
    pub(crate) async fn leases(&self) -> Vec<String> {
        let leases = tidemap_testkit::broker::jetstream(self.services.clone())
            .get_key_value(streams::LEASES)
            .await
            .unwrap();
        let mut all = Vec::new();
        for partition in 0..8 {
            let lease = leases.get(format!("p.{partition}")).await.unwrap();
            all.push(format!("{lease:?}"));
        }
        all
    }
}

/// What differs between two answers of the API.
pub(crate) fn changes(before: &Value, after: &Value) -> Vec<String> {
    let fields = before.as_object().unwrap();
    let changed = fields.iter().filter(|(name, value)| after[*name] != **value);
    changed.map(|(name, value)| format!("{name}: {value} → {}", after[name])).collect()
}

/// Publishes a report that the broker stores.
pub(crate) async fn send(agent: &jetstream::Context, subject: &str, payload: &[u8]) {
    let publish = async { agent.publish(subject.to_owned(), payload.to_vec().into()).await?.await };
    within(EVENT_TIMEOUT, publish).await.unwrap().unwrap();
}

/// A report with one sample.
pub(crate) fn report(name: &str, boot: u64, seq: u64) -> Vec<u8> {
    let rate = Bps::new(1_000.0 * seq as f64);
    let sample = Sample {
        seq,
        at_ms: unix_ms(),
        elapsed_ms: 1_000,
        rx_bytes: 1_000 * seq,
        tx_bytes: 1_000 * seq,
        rx_bps: rate,
        tx_bps: rate,
        ..Sample::default()
    };
    encode(&Report { node: NodeId::from_name(name).unwrap(), boot, hello: None, samples: vec![sample] })
}
