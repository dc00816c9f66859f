//! The publisher against a real nats-server: acknowledgements, outages, a broker that lost its disk, wrong
//! credentials.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]

use std::{
    collections::BTreeSet,
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context, ensure};
use async_nats::{
    Client,
    jetstream::{consumer, stream::Stream},
};
use clap::Parser;
use futures_util::{StreamExt, stream::BoxStream};
use tidemap_agent::{AgentArgs, AgentConfig};
use tidemap_broker::keys::{self, Keys};
use tidemap_service::{
    nats::{NatsArgs, reached},
    streams,
};
use tidemap_testkit::{
    broker::TestBroker, endure, eventually, machine::scaled, proxy::Proxy, undisturbed, within,
};
use tidemap_wire::{NodeId, PartitionCount, Report, Slot, decode, encode};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Much more than a healthy broker needs; after an outage a client may wait 10 s before it reconnects.
const TIMEOUT: Duration = Duration::from_secs(30);

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    agent: AgentArgs,
}

/// A broker that knows one node.
struct Harness {
    broker: TestBroker,
    service: Client,
    creds: NatsArgs,
    node: NodeId,
}

/// An agent in this process.
struct Agent {
    running: JoinHandle<anyhow::Result<()>>,
    shutdown: CancellationToken,
}

impl Harness {
    async fn start() -> Self {
        let harness = Self::without_streams().await;
        harness.make_streams().await;
        harness
    }

    async fn without_streams() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let node = NodeId::from_name("web-01.example.com").unwrap();
        Keys::open_or_create(dir.path()).unwrap();
        let seed = keys::enroll(dir.path(), &node).unwrap().seed_path;
        let broker = TestBroker::start_in(dir).await.unwrap();
        let service = broker.connect().await.unwrap();
        let creds = NatsArgs::new(&broker.url, Some(&seed));
        Self { broker, service, creds, node }
    }

    async fn make_streams(&self) {
        reached(&self.service, TIMEOUT).await.unwrap();
        let js = tidemap_testkit::broker::jetstream(self.service.clone());
        // A restarted broker accepts connections a moment before its log is open, so creating streams is
        // retried.
        eventually(TIMEOUT, || streams::ensure(&js, PartitionCount::default(), 1)).await.unwrap();
    }

    async fn stream(&self) -> Stream {
        let js = tidemap_testkit::broker::jetstream(self.service.clone());
        js.get_stream(streams::name(PartitionCount::default().of(Slot::of(&self.node)))).await.unwrap()
    }

    /// All reports of the log, from its first on.
    async fn reports(&self) -> BoxStream<'static, Report> {
        let config = consumer::pull::OrderedConfig::default();
        let messages = self.stream().await.create_consumer(config).await.unwrap().messages().await.unwrap();
        messages.map(|message| decode(&message.unwrap().payload).unwrap()).boxed()
    }

    fn agent(&self) -> Agent {
        self.agent_with(&[])
    }

    fn agent_with(&self, more: &[&str]) -> Agent {
        self.agent_through(self.creds.clone(), more)
    }

    fn agent_through(&self, nats: NatsArgs, more: &[&str]) -> Agent {
        let named = if more.contains(&"--node") { &[][..] } else { &["--node", "web-01.example.com"] };
        let args = [&["agent", "--interval", "0.25"], named, more].concat();
        let config = AgentConfig::new(Cli::parse_from(args).agent).unwrap();
        let shutdown = CancellationToken::new();
        let running = tokio::spawn(tidemap_agent::run(config, nats, shutdown.clone()));
        Agent { running, shutdown }
    }
}

impl Agent {
    async fn stop(self) {
        self.shutdown.cancel();
        within(Duration::from_secs(2), self.running).await.expect("it ends in time").unwrap().unwrap();
    }
}

async fn next(reports: &mut BoxStream<'static, Report>) -> Report {
    within(TIMEOUT, reports.next()).await.expect("a report comes").unwrap()
}

/// Reads reports until `enough` returns `true`.
async fn read_until(reports: &mut BoxStream<'static, Report>, mut enough: impl FnMut(Report) -> bool) {
    let reading = async { while !enough(reports.next().await.unwrap()) {} };
    within(TIMEOUT, reading).await.expect("the reports that are missing come");
}

/// Waits until an agent has taken this many samples: it writes each to its spool right before it sends it. A
/// subscriber would see them too, but then the broker would no longer answer that nothing takes them.
async fn taken(spool: &Path, samples: usize) {
    let mut sizes = BTreeSet::new();
    let grown = || {
        sizes.extend(fs::metadata(spool).ok().map(|file| file.len()).filter(|size| *size > 0));
        // The first size may be that of the header alone.
        let growths = sizes.len().saturating_sub(1);
        async move {
            ensure!(growths >= samples, "the spool has grown {growths} times");
            Ok(())
        }
    };
    eventually(TIMEOUT, grown).await.unwrap();
}

/// Whether the sequence numbers are complete from the first on, and at least this many.
fn is_whole(seqs: &BTreeSet<u64>, least: usize) -> bool {
    seqs.len() >= least && seqs.last() == Some(&(seqs.len() as u64))
}

fn seqs(report: &Report) -> Vec<u64> {
    report.samples.iter().map(|sample| sample.seq).collect()
}

#[tokio::test]
async fn samples_arrive_one_by_one_and_the_first_already_knows_its_rate() {
    // What a broker does not acknowledge in time becomes a batch.
    undisturbed(samples_arrive_one_by_one).await.unwrap();
}

async fn samples_arrive_one_by_one() -> anyhow::Result<()> {
    let harness = Harness::start().await;
    let agent = harness.agent();
    let mut reports = harness.reports().await;
    for seq in 1..=6 {
        let report = next(&mut reports).await;
        assert_eq!(&report.node, &harness.node);
        ensure!(seqs(&report) == [seq], "{report:?}");
        // Samples carry the hello until one with it is stored, which on a slow machine takes more than a
        // quarter of a second.
        ensure!(
            if seq == 1 { report.hello.is_some() } else { seq < 5 || report.hello.is_none() },
            "{report:?}"
        );
        ensure!(report.samples[0].host.is_some() == (seq == 1), "{report:?}");
        let sample = &report.samples[0];
        ensure!(sample.rx_bps.is_some() && (240..2_000).contains(&sample.elapsed_ms), "{sample:?}");
        let bare = Report { hello: None, ..report };
        assert!(seq == 1 || encode(&bare).len() <= 200, "{} bytes", encode(&bare).len());
    }
    agent.stop().await;
    // The final report has arrived: no sample that was taken is missing.
    let stored = harness.stream().await.cached_info().state.messages;
    assert!(stored >= 6);
    Ok(())
}

#[tokio::test]
async fn an_agent_that_starts_before_the_log_loses_no_sample() {
    // None is late, unless the broker stands still.
    undisturbed(starts_before_the_log).await.unwrap();
}

async fn starts_before_the_log() -> anyhow::Result<()> {
    let harness = Harness::without_streams().await;
    let folder = tempfile::tempdir().unwrap();
    let spool = folder.path().join("spool");
    let agent = harness.agent_with(&["--spool", spool.to_str().unwrap()]);
    // As many as may be in flight.
    taken(&spool, 4).await;
    harness.make_streams().await;
    let made = tokio::time::Instant::now();
    let mut reports = harness.reports().await;
    let mut seen = BTreeSet::new();
    read_until(&mut reports, |report| {
        seen.extend(seqs(&report));
        is_whole(&seen, 6)
    })
    .await;
    ensure!(made.elapsed() < Duration::from_secs(3), "{:?}", made.elapsed());
    agent.stop().await;
    Ok(())
}

#[tokio::test]
async fn after_an_outage_the_newest_sample_comes_first_and_none_is_missing() {
    // An agent that stands still during the outage has no backlog.
    undisturbed(outlives_an_outage).await.unwrap();
}

async fn outlives_an_outage() -> anyhow::Result<()> {
    let mut harness = Harness::start().await;
    let agent = harness.agent();
    let mut reports = harness.reports().await;
    let mut seen: BTreeSet<u64> = seqs(&next(&mut reports).await).into_iter().collect();
    harness.broker.server.kill().await.unwrap();
    endure(Duration::from_secs(3)).await;
    harness.broker.server.restart().await.unwrap();
    harness.make_streams().await;
    let mut reports = harness.reports().await;
    let mut order = Vec::new();
    read_until(&mut reports, |report| {
        order.push(seqs(&report));
        seen.extend(seqs(&report));
        is_whole(&seen, 20)
    })
    .await;
    let backlog = order.iter().position(|seqs| seqs.len() > 1).context("the backlog came in no batch")?;
    let before = order[..backlog].iter().flatten().max().context("the backlog came first")?;
    ensure!(order[backlog].iter().all(|seq| seq < before), "live first: {order:?}");
    agent.stop().await;
    Ok(())
}

#[tokio::test]
async fn round_trips_are_reported_and_what_was_lost_is_loss() {
    // A broker that stands still loses reports where none should be lost.
    undisturbed(reports_round_trips).await.unwrap();
}

async fn reports_round_trips() -> anyhow::Result<()> {
    let harness = Harness::start().await;
    let proxy = Proxy::start(harness.broker.server.address()).await?;
    let nats = NatsArgs::new(&proxy.url(), harness.creds.creds.as_deref());
    let agent = harness.agent_through(nats, &[]);
    let mut reports = harness.reports().await;
    // The host's metrics, once every few seconds.
    let mut next_host = async || {
        let mut host = None;
        read_until(&mut reports, |report| {
            host = report.samples.into_iter().find_map(|sample| sample.host);
            host.is_some()
        })
        .await;
        host.context("a report without a host")
    };
    let first = next_host().await?;
    assert_eq!((first.broker_rtt_p50_ms, first.broker_loss_percent), (None, None), "nothing is known yet");
    let usual = next_host().await?;
    let (p50, p99) = (usual.broker_rtt_p50_ms.context("no p50")?, usual.broker_rtt_p99_ms.context("no p99")?);
    ensure!(0.0 < p50 && p50 <= p99 && p99 < 5_000.0, "{p50} ms, {p99} ms");
    ensure!(usual.broker_loss_percent == Some(0.0), "{usual:?}");
    // Until acknowledgements are overdue. What was sent arrives afterwards, too late.
    proxy.cut();
    endure(Duration::from_secs(6)).await;
    proxy.heal();
    let after = loop {
        let host = next_host().await?;
        if host.broker_loss_percent > Some(0.0) {
            break host;
        }
    };
    let worst = after.broker_rtt_p99_ms.context("no p99")?;
    ensure!(0.0 < worst && worst < 5_000.0, "{worst} ms is no round trip");
    ensure!(after.broker_loss_percent < Some(100.0), "{after:?}");
    agent.stop().await;
    Ok(())
}

#[tokio::test]
async fn a_broker_that_lost_its_disk_gets_the_last_seconds_again() {
    let mut harness = Harness::start().await;
    let agent = harness.agent();
    let mut reports = harness.reports().await;
    for _ in 0..4 {
        next(&mut reports).await;
    }
    harness.broker.server.stop().await.unwrap();
    fs::remove_dir_all(harness.broker.folder().join("jetstream")).unwrap();
    harness.broker.server.restart().await.unwrap();
    harness.make_streams().await;
    let mut reports = harness.reports().await;
    let (mut seen, mut hello) = (BTreeSet::new(), false);
    read_until(&mut reports, |report| {
        hello |= report.hello.is_some();
        seen.extend(seqs(&report));
        is_whole(&seen, 5)
    })
    .await;
    assert!(hello, "the agent sends its identity again");
    agent.stop().await;
}

#[tokio::test]
async fn without_a_broker_the_agent_runs_and_still_stops_at_once() {
    let dir = tempfile::tempdir().unwrap();
    // A port that was free a moment ago and on which nothing listens.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let config = AgentConfig::new(Cli::parse_from(["agent", "--node", "a"]).agent).unwrap();
    let nats = NatsArgs::new(&format!("nats://127.0.0.1:{port}"), None);
    let stops = async || {
        let shutdown = CancellationToken::new();
        let running = tokio::spawn(tidemap_agent::run(config.clone(), nats.clone(), shutdown.clone()));
        tokio::task::yield_now().await;
        let asked = tokio::time::Instant::now();
        Agent { running, shutdown }.stop().await;
        ensure!(asked.elapsed() < scaled(Duration::from_secs(2)), "after {:?}", asked.elapsed());
        Ok(())
    };
    undisturbed(stops).await.unwrap();

    let missing = NatsArgs::new("nats://127.0.0.1:1", Some(&dir.path().join("none.nk")));
    let refused = tidemap_agent::run(config, missing, CancellationToken::new()).await.unwrap_err();
    assert!(format!("{refused:#}").starts_with("--creds"), "{refused:#}");
}

#[tokio::test]
async fn the_key_of_another_node_is_logged_and_stores_nothing() {
    let harness = Harness::start().await;
    let before = harness.stream().await.cached_info().state.messages;
    let mut child = Command::new(env!("CARGO_BIN_EXE_tidemap-agent"))
        .args(["--node", "web-02.example.com", "--interval", "0.25", "--nats-url", &harness.creds.nats_url])
        .arg("--creds")
        .arg(harness.creds.creds.as_ref().unwrap())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let stderr = BufReader::new(child.stderr.take().unwrap());
    let complained = tokio::task::spawn_blocking(move || {
        stderr
            .lines()
            .map_while(Result::ok)
            .any(|line| line.contains("ERROR") && line.contains("may these credentials not publish"))
    });
    let complained = within(TIMEOUT, complained).await;
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(complained.expect("it complains").unwrap());
    assert_eq!(harness.stream().await.cached_info().state.messages, before);
}

#[tokio::test]
async fn an_agent_that_version_0_1_enrolled_keeps_its_id() {
    let dir = tempfile::tempdir().unwrap();
    Keys::open_or_create(dir.path()).unwrap();
    let node = NodeId::from_text("zÜrich").unwrap();
    let seed = keys::enroll(dir.path(), &node).unwrap().seed_path;
    let broker = TestBroker::start_in(dir).await.unwrap();
    let service = broker.connect().await.unwrap();
    let creds = NatsArgs::new(&broker.url, Some(&seed));
    let harness = Harness { broker, service, creds, node };
    harness.make_streams().await;
    let agent = harness.agent_with(&["--node", "ZÜRICH"]);
    let report = next(&mut harness.reports().await).await;
    assert_eq!(report.node.as_str(), "z=C3=9Crich");
    assert_eq!(report.hello.unwrap().display_name.as_deref(), Some("ZÜRICH"));
    agent.stop().await;
}
