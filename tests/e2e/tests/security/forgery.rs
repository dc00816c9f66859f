//! Hostile use of an agent's permissions: the services count it, and nothing else changes.

use std::collections::BTreeMap;

use anyhow::ensure;
use async_nats::{Client, jetstream};
use futures_util::StreamExt;
use serde_json::Value;
use tidemap_broker::keys;
use tidemap_service::{clock::unix_ms, nats::NatsArgs, streams};
use tidemap_testkit::{broker::TestBroker, eventually, http::get_json, process::Tidemap, within};
use tidemap_wire::{
    Bps, NodeId, PartitionCount, PartitionStats, Report, Sample, Slot, decode, encode, http::StatsJson,
    subject,
};

use crate::EVENT_TIMEOUT;

struct Whole {
    broker: TestBroker,
    _ingest: Tidemap,
    _api: Tidemap,
    url: String,
    services: Client,
}

impl Whole {
    async fn start() -> Self {
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
        Self { broker, _ingest: ingest, _api: api, url, services }
    }

    /// A connection with a node's key, and its subject.
    async fn agent(&self, name: &str) -> (jetstream::Context, String) {
        let seed = self.broker.keys.service_seed_path();
        let node = NodeId::from_name(name).unwrap();
        let key = keys::enroll(seed.ancestors().nth(2).unwrap(), &node).unwrap().seed_path;
        self.broker.server.reload().unwrap();
        let args = NatsArgs::new(&self.broker.url, Some(&key));
        let client = args.connect("test", Some(&format!("_INBOX.{node}"))).await.unwrap();
        (jetstream::new(client), subject::sample(&node))
    }

    /// A node as the API shows it, without the fields that depend on the clock.
    async fn node(&self, name: &str) -> anyhow::Result<Value> {
        let mut node: Value = get_json(format!("{}/api/nodes/{name}", self.url)).await?;
        for clocked in ["status", "status_for_s", "age_ms", "last_seen", "last_seen_timestamp"] {
            node.as_object_mut().unwrap().remove(clocked);
        }
        Ok(node)
    }

    /// The next totals of every partition.
    async fn stats(&self) -> Vec<PartitionStats> {
        let mut stats = self.services.subscribe(subject::ALL_STATS).await.unwrap();
        let mut all = BTreeMap::new();
        while all.len() < 8 {
            let message = within(EVENT_TIMEOUT, stats.next()).await.unwrap().unwrap();
            let stats: PartitionStats = decode(&message.payload).unwrap();
            all.insert(stats.partition, stats);
        }
        all.into_values().collect()
    }

    async fn duplicates(&self) -> u64 {
        self.stats().await.iter().map(|stats| stats.duplicates).sum()
    }

    async fn refused(&self, reason: &str) -> u64 {
        self.stats().await.iter().filter_map(|stats| stats.refused.get(reason)).sum()
    }

    /// Owner and epoch of each lease. (Its revision grows every second, when its owner renews it.)
    async fn leases(&self) -> Vec<String> {
        let leases = jetstream::new(self.services.clone()).get_key_value(streams::LEASES).await.unwrap();
        let mut all = Vec::new();
        for partition in 0..8 {
            let lease = leases.get(format!("p.{partition}")).await.unwrap();
            all.push(format!("{lease:?}"));
        }
        all
    }
}

/// What differs between two answers of the API.
fn changes(before: &Value, after: &Value) -> Vec<String> {
    let fields = before.as_object().unwrap();
    let changed = fields.iter().filter(|(name, value)| after[*name] != **value);
    changed.map(|(name, value)| format!("{name}: {value} → {}", after[name])).collect()
}

async fn send(agent: &jetstream::Context, subject: &str, payload: &[u8]) {
    let publish = async { agent.publish(subject.to_owned(), payload.to_vec().into()).await?.await };
    within(EVENT_TIMEOUT, publish).await.unwrap().unwrap();
}

fn report(name: &str, boot: u64, seq: u64) -> Vec<u8> {
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

#[tokio::test]
async fn an_old_report_that_is_sent_again_is_a_duplicate_and_changes_nothing() {
    let whole = Whole::start().await;
    let app = NatsArgs::new(&whole.broker.url, Some(&whole.broker.keys.app_seed_path()));
    let app = app.connect("app", None).await.unwrap();
    let mut samples = app.subscribe(subject::ALL_SAMPLES).await.unwrap();
    app.flush().await.unwrap();
    let (agent, subject) = whole.agent("a").await;
    // Reports of the agent that an attacker has captured.
    let mut captured = Vec::new();
    for seq in 1..=5 {
        send(&agent, &subject, &report("a", 7, seq)).await;
    }
    while captured.last().is_none_or(|last: &Vec<u8>| decode::<Report>(last).unwrap().samples[0].seq < 5) {
        captured.push(within(EVENT_TIMEOUT, samples.next()).await.unwrap().unwrap().payload.to_vec());
    }
    let five = || async {
        let node = whole.node("a").await?;
        ensure!(node["network_rx_bytes_per_sec"] == 5_000.0, "{node}");
        Ok(node)
    };
    let before = eventually(EVENT_TIMEOUT, five).await.unwrap();
    let duplicates = whole.duplicates().await;
    for payload in &captured {
        send(&agent, &subject, payload).await;
    }
    let sent = u64::try_from(captured.len()).unwrap();
    eventually(EVENT_TIMEOUT, || async {
        let counted = whole.duplicates().await - duplicates;
        ensure!(counted == sent, "{counted} of {sent}");
        Ok(())
    })
    .await
    .unwrap();
    assert_eq!(changes(&before, &whole.node("a").await.unwrap()), Vec::<String>::new());
    println!("{sent} old reports again → stored → duplicates +{sent}, the node as before");
}

#[tokio::test]
async fn forged_reports_are_counted_by_reason_and_move_neither_leases_nor_nodes() {
    let whole = Whole::start().await;
    let (victim, theirs) = whole.agent("web-01.example.com").await;
    let (attacker, mine) = whole.agent("a").await;
    // Both nodes are in partition 4.
    for name in ["a", "web-01.example.com"] {
        assert_eq!(
            PartitionCount::default().of(Slot::of(&NodeId::from_name(name).unwrap())).to_string(),
            "4"
        );
    }
    send(&victim, &theirs, &report("web-01.example.com", 1, 1)).await;
    let seen = || async { whole.node("web-01.example.com").await };
    let before = eventually(EVENT_TIMEOUT, seen).await.unwrap();
    let leases = || async {
        let leases = whole.leases().await;
        ensure!(leases.iter().all(|lease| lease.starts_with("Some")), "{leases:?}");
        Ok(leases)
    };
    let held = eventually(EVENT_TIMEOUT, leases).await.unwrap();

    // A report in another node's name on the agent's own subject, and a message that is no report.
    send(&attacker, &mine, &report("web-01.example.com", 9, 9)).await;
    send(&attacker, &mine, b"\xc1").await;
    send(&attacker, &mine, b"").await;
    for (reason, expected) in [("node-mismatch", 1), ("garbage", 2)] {
        eventually(EVENT_TIMEOUT, || async {
            let counted = whole.refused(reason).await;
            ensure!(counted == expected, "{reason}: {counted}");
            Ok(())
        })
        .await
        .unwrap();
        println!("forged → stored under its own name → {reason} +{expected}, the victim as before");
    }
    // It sets another component's subject as the reply subject of its own report.
    let client = attacker.client();
    for reply in [&*theirs, "$KV.TIDEMAP_LEASES.p.0", "$JS.API.STREAM.PURGE.TIDEMAP_4", "tidemap.v1.delta.4"]
    {
        client.publish_with_reply(mine.clone(), reply.to_owned(), report("a", 1, 1).into()).await.unwrap();
    }
    send(&attacker, &mine, &report("a", 1, 2)).await;
    eventually(EVENT_TIMEOUT, || async {
        let node = whole.node("a").await?;
        ensure!(node["network_rx_bytes_per_sec"] == 2_000.0, "{node}");
        Ok(())
    })
    .await
    .unwrap();
    assert_eq!(changes(&before, &whole.node("web-01.example.com").await.unwrap()), Vec::<String>::new());
    assert_eq!(whole.leases().await, held, "owners and epochs");
    assert_eq!(whole.refused("garbage").await, 2, "an ack came as a report");
}
