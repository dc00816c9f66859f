//! A broker, reports for it, and workers in this process.

use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

use anyhow::Context;
use async_nats::{Client, jetstream};
use futures_util::{StreamExt, TryStreamExt};
use tidemap_ingest::{
    Config,
    internals::{Limits, Message, PartitionState},
};
use tidemap_service::{nats::NatsArgs, streams};
use tidemap_testkit::{broker::TestBroker, within};
use tidemap_wire::{
    Averages, Bps, ForgetReply, ForgetRequest, NodeId, NodeUpdate, PackWriter, PartitionCount,
    PartitionStats, Report, Sample, Slot, SnapshotChunk, SnapshotRequest, decode, encode, subject,
};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Far more than any step here takes.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(30);
/// After this a request is repeated.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
const LIMITS: Limits =
    Limits { offline_after_ms: 30_000, forget_after_ms: 86_400_000, max_nodes: usize::MAX };

/// A broker without a worker.
pub(crate) struct Harness {
    pub(crate) broker: TestBroker,
    pub(crate) access: NatsArgs,
    pub(crate) client: Client,
    pub(crate) js: jetstream::Context,
    /// The state of an imaginary worker that has read every report.
    truth: PartitionState,
}

/// A worker in this process.
pub(crate) struct Worker {
    running: JoinHandle<anyhow::Result<()>>,
    stop: CancellationToken,
}

/// The parts of the state that do not depend on the time of the request.
pub(crate) type Facts = BTreeMap<NodeId, (Averages, Averages, u64, u64)>;

impl Harness {
    pub(crate) async fn start() -> Self {
        let broker = TestBroker::start().await.unwrap();
        let access = NatsArgs::new(&broker.url, Some(&broker.keys.service_seed_path()));
        let client = broker.connect().await.unwrap();
        let js = tidemap_testkit::broker::jetstream(client.clone());
        Self { broker, access, client, js, truth: PartitionState::new(LIMITS) }
    }

    pub(crate) fn worker(&self, partitions: u16) -> Worker {
        self.worker_with_metrics(partitions, None)
    }

    pub(crate) fn worker_with_metrics(&self, partitions: u16, metrics: Option<SocketAddr>) -> Worker {
        self.worker_by(self.access.clone(), Config { metrics, ..self.config(partitions) })
    }

    /// A worker with other access to the broker.
    pub(crate) fn worker_by(&self, access: NatsArgs, config: Config) -> Worker {
        let stop = CancellationToken::new();
        let shutdown = stop.clone();
        let running = tokio::spawn(async move { tidemap_ingest::run(config, &access, shutdown).await });
        Worker { running, stop }
    }

    pub(crate) fn config(&self, partitions: u16) -> Config {
        let partitions = PartitionCount::new(partitions).unwrap();
        Config {
            partitions,
            limits: LIMITS,
            replicas: 1,
            disk_budget: None,
            minutes_period: Duration::from_secs(1),
            metrics: None,
        }
    }

    /// Makes the streams, as the first worker would.
    pub(crate) async fn make_streams(&self, partitions: u16) {
        streams::ensure(&self.js, PartitionCount::new(partitions).unwrap(), 1).await.unwrap();
    }

    /// Stores one sample a second of each of `nodes` nodes, for these seconds of the hosts' clocks.
    pub(crate) async fn report(&mut self, nodes: u64, seconds: std::ops::Range<u64>) {
        for second in seconds {
            for number in 0..nodes {
                self.publish(&format!("node-{number}"), 1, second).await;
            }
        }
    }

    /// The same in packs, as a relay would publish it: each slot's reports of a second in one message.
    pub(crate) async fn report_packed(&mut self, nodes: u64, seconds: std::ops::Range<u64>) {
        let relay = NodeId::from_name("relay").unwrap();
        for second in seconds {
            let mut packs: BTreeMap<Slot, PackWriter> = BTreeMap::new();
            for number in 0..nodes {
                let report = report(&format!("node-{number}"), 1, second);
                assert!(packs.entry(Slot::of(&report.node)).or_default().push(&encode(&report)));
            }
            for (slot, pack) in packs {
                let (subject, payload) = (subject::pack(slot, &relay), pack.finish());
                self.truth
                    .observe(Message { subject: &subject, payload: &payload, published_ms: 0 })
                    .unwrap();
                self.store(subject, payload).await;
            }
        }
    }

    /// Stores an agent's report of a second, counted since all agents began.
    pub(crate) async fn publish(&mut self, node: &str, boot: u64, second: u64) {
        self.publish_report(&report(node, boot, second)).await;
    }

    /// Stores an agent's report.
    pub(crate) async fn publish_report(&mut self, report: &Report) {
        let (subject, payload) = (subject::sample(&report.node), encode(report));
        self.truth.observe(Message { subject: &subject, payload: &payload, published_ms: 0 }).unwrap();
        self.store(subject, payload).await;
    }

    async fn store(&self, subject: String, payload: Vec<u8>) {
        // A broker that has just started may not have opened the stream yet.
        eventually(async || Ok(self.js.publish(subject.clone(), payload.clone().into()).await?.await?)).await;
    }

    /// The expected state of the workers.
    pub(crate) fn truth(&self) -> (Facts, u64) {
        (facts(self.truth.snapshot()), self.truth.stats().total_samples)
    }

    /// The workers' state once it has the expected number of samples, or its state at the timeout.
    pub(crate) async fn known(&self, partitions: u16) -> (Facts, u64) {
        let wanted = self.truth.stats().total_samples;
        let mut stats = self.client.subscribe(subject::ALL_STATS).await.unwrap();
        let mut newest = BTreeMap::new();
        let all_published = async {
            while newest.len() < usize::from(partitions) || newest.values().sum::<u64>() != wanted {
                let published: PartitionStats = decode(&stats.next().await.unwrap().payload).unwrap();
                newest.insert(published.partition, published.total_samples);
            }
        };
        let in_time = within(TIMEOUT, all_published).await.is_ok();
        println!("{wanted} samples wanted, known in time: {in_time}");
        (self.all(partitions).await, newest.values().sum())
    }

    /// The first totals of partition 0 that satisfy the condition, and the nodes then.
    pub(crate) async fn published(
        &self,
        partitions: u16,
        fit: impl Fn(&PartitionStats) -> bool,
    ) -> (PartitionStats, Vec<NodeUpdate>) {
        let partition = PartitionCount::new(partitions).unwrap().all().next().unwrap();
        let mut stats = self.client.subscribe(subject::stats(partition)).await.unwrap();
        let fitting = async {
            loop {
                let published: PartitionStats = decode(&stats.next().await.unwrap().payload).unwrap();
                if fit(&published) {
                    return published;
                }
            }
        };
        let published = within(TIMEOUT, fitting).await.unwrap();
        (published, self.snapshot(partition).await)
    }

    /// All nodes in the workers' state, once every partition has an owner.
    pub(crate) async fn settled(&self, partitions: u16) -> Facts {
        let mut stats = self.client.subscribe(subject::ALL_STATS).await.unwrap();
        let mut owned = std::collections::BTreeSet::new();
        while owned.len() < usize::from(partitions) {
            let published = within(TIMEOUT, stats.next()).await.unwrap().unwrap();
            owned.insert(decode::<PartitionStats>(&published.payload).unwrap().partition);
        }
        self.all(partitions).await
    }

    async fn all(&self, partitions: u16) -> Facts {
        let mut nodes = Vec::new();
        for partition in PartitionCount::new(partitions).unwrap().all() {
            nodes.extend(self.snapshot(partition).await);
        }
        facts(nodes)
    }

    /// Names of everything that the broker keeps.
    pub(crate) async fn streams(&self) -> anyhow::Result<Vec<String>> {
        Ok(self.js.stream_names().try_collect().await?)
    }

    pub(crate) async fn forget(&self, node: &NodeId) -> bool {
        let partition = PartitionCount::default().of(Slot::of(node));
        let request = encode(&ForgetRequest { node: node.clone() });
        let answer = self.client.request(subject::forget(partition), request.into()).await.unwrap();
        let ForgetReply { known, applied } = decode(&answer.payload).unwrap();
        let log = self.js.get_stream(streams::name(partition)).await.unwrap();
        let end = log.cached_info().state.last_sequence;
        assert!(applied.is_some_and(|applied| applied <= end), "{applied:?} of {end}");
        known
    }

    async fn snapshot(&self, partition: tidemap_wire::Partition) -> Vec<NodeUpdate> {
        // While a partition is without an owner, the broker answers that nobody takes the request.
        eventually(async || {
            let inbox = self.client.new_inbox();
            let mut answers = self.client.subscribe(inbox.clone()).await?;
            let request = encode(&SnapshotRequest::default());
            self.client.publish_with_reply(subject::snapshot(partition), inbox, request.into()).await?;
            let mut nodes = Vec::new();
            loop {
                // An owner whose lease could not be renewed for a while does not answer.
                let answer = within(ANSWER_TIMEOUT, answers.next()).await?.context("no answer")?;
                let chunk: SnapshotChunk = decode(&answer.payload)?;
                nodes.extend(chunk.nodes);
                if chunk.chunk + 1 == chunk.chunks {
                    return Ok(nodes);
                }
            }
        })
        .await
    }
}

impl Worker {
    /// Kills it without a shutdown.
    pub(crate) async fn kill(self) {
        self.running.abort();
        assert!(self.running.await.unwrap_err().is_cancelled());
    }

    pub(crate) async fn stop(self) {
        self.stop.cancel();
        within(TIMEOUT, self.running).await.unwrap().unwrap().unwrap();
    }

    /// The result with which it ended by itself.
    pub(crate) async fn ended(self) -> anyhow::Result<()> {
        within(TIMEOUT, self.running).await.unwrap().unwrap()
    }
}

/// An agent's report of a second, counted since all agents began.
fn report(node: &str, boot: u64, second: u64) -> Report {
    let node = NodeId::from_name(node).unwrap();
    let rate = Bps::new(((second * 31 + node.as_str().len() as u64 * 7) % 1_000) as f64);
    let sample = Sample {
        seq: second + 1,
        at_ms: 1_700_000_000_000 + i64::try_from(second).unwrap() * 1_000,
        elapsed_ms: 1_000,
        rx_bytes: second * 1_000,
        tx_bytes: second * 10,
        rx_bps: rate,
        tx_bps: rate,
        ..Sample::default()
    };
    Report { node, boot, hello: None, samples: vec![sample] }
}

/// Polls until the answer is yes.
pub(crate) async fn until<F: Future<Output = anyhow::Result<bool>>>(poll: impl Fn() -> F) {
    eventually(async || poll().await?.then_some(()).context("it is not so")).await;
}

/// Polls until there is no error.
pub(crate) async fn eventually<T, F: Future<Output = anyhow::Result<T>>>(poll: impl FnMut() -> F) -> T {
    tidemap_testkit::eventually(TIMEOUT, poll).await.unwrap()
}

fn facts(nodes: Vec<NodeUpdate>) -> Facts {
    nodes
        .into_iter()
        .map(|node| (node.node.clone(), (node.rx_avg, node.tx_avg, node.rx_bytes, node.tx_bytes)))
        .collect()
}
