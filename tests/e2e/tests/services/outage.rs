//! Minutes without a broker: checks the log afterwards, sample by sample.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, ensure};
use async_nats::jetstream::consumer::pull::OrderedConfig;
use futures_util::StreamExt;
use tidemap_broker::keys;
use tidemap_service::{clock::unix_ms, nats, streams};
use tidemap_testkit::{
    broker::TestBroker, endure, eventually, is_long, process::Tidemap, proxy::Proxy, undisturbed,
};
use tidemap_wire::{NodeId, PartitionCount, Report, Slot, decode};

/// A client reconnects within 10 s, and 5 s later if its last attempt was under way.
const RECOVERY_TIMEOUT: Duration = Duration::from_secs(60);
/// How late a live sample may be once the agent is connected again.
const LATE_MS: i64 = 2_000;
const NAME: &str = "web-01";

/// The length of an outage. A silent one is noticed after 10 to 15 s.
fn outage() -> Duration {
    Duration::from_secs(if is_long() { 300 } else { 18 })
}

/// A sample in the log.
#[derive(Clone, Copy, Debug)]
struct Logged {
    boot: u64,
    seq: u64,
    at_ms: i64,
    elapsed_ms: i64,
    stored_ms: i64,
}

/// A broker with its log, and one enrolled node.
struct Host {
    broker: TestBroker,
    seed: PathBuf,
}

impl Host {
    async fn start() -> Self {
        let broker = TestBroker::start().await.unwrap();
        let dir = broker.keys.service_seed_path();
        let data_dir = dir.ancestors().nth(2).unwrap();
        let seed = keys::enroll(data_dir, &node()).unwrap().seed_path;
        broker.server.reload().unwrap();
        let client = broker.connect().await.unwrap();
        nats::reached(&client, RECOVERY_TIMEOUT).await.unwrap();
        streams::ensure(&tidemap_testkit::broker::jetstream(client), PartitionCount::default(), 1)
            .await
            .unwrap();
        Self { broker, seed }
    }

    fn agent(&self, url: &str, more: &[&str]) -> Tidemap {
        let creds = self.seed.to_str().unwrap();
        let args = ["agent", "--node", NAME, "--nats-url", url, "--creds", creds];
        Tidemap::start(&[&args, more].concat()).unwrap()
    }

    /// The whole log, in its order.
    async fn log(&self) -> anyhow::Result<Vec<Logged>> {
        let client = self.broker.connect().await?;
        nats::reached(&client, Duration::from_secs(5)).await?;
        let stream = PartitionCount::default().of(Slot::of(&node()));
        let stream = tidemap_testkit::broker::jetstream(client).get_stream(streams::name(stream)).await?;
        let count = usize::try_from(stream.cached_info().state.messages)?;
        let mut messages =
            stream.create_consumer(OrderedConfig::default()).await?.messages().await?.take(count);
        let mut log = Vec::new();
        while let Some(message) = messages.next().await {
            let message = message?;
            let published = message.info().map_err(|error| anyhow::anyhow!(error))?.published;
            let stored_ms = i64::try_from(published.unix_timestamp_nanos() / 1_000_000)?;
            let Report { boot, samples, .. } = decode(&message.payload)?;
            log.extend(samples.iter().map(|sample| Logged {
                boot,
                seq: sample.seq,
                at_ms: sample.at_ms,
                elapsed_ms: sample.elapsed_ms.into(),
                stored_ms,
            }));
        }
        Ok(log)
    }

    /// The log, once no sample is missing in it and samples are live again.
    async fn whole_log(&self, back_ms: i64) -> Vec<Logged> {
        eventually(RECOVERY_TIMEOUT, || async {
            let log = self.log().await?;
            let live = live_delays_ms(&log, back_ms).len();
            ensure!(live >= 5, "{live} live samples");
            let missing = missing(&log);
            ensure!(missing == 0, "{missing} samples are missing");
            Ok(log)
        })
        .await
        .unwrap()
    }
}

fn node() -> NodeId {
    NodeId::from_name(NAME).unwrap()
}

/// Sequence numbers that are missing between 1 and the highest of each run.
fn missing(log: &[Logged]) -> u64 {
    let mut runs: BTreeMap<u64, BTreeSet<u64>> = BTreeMap::new();
    for logged in log {
        runs.entry(logged.boot).or_default().insert(logged.seq);
    }
    runs.values().map(|seqs| seqs.last().unwrap_or(&0) - seqs.len() as u64).sum()
}

/// How often each sample that was read in a time is logged.
fn copies(log: &[Logged], from_ms: i64, to_ms: i64) -> BTreeMap<(u64, u64), usize> {
    let mut copies = BTreeMap::new();
    for logged in log.iter().filter(|logged| (from_ms..to_ms).contains(&logged.at_ms)) {
        *copies.entry((logged.boot, logged.seq)).or_default() += 1;
    }
    copies
}

/// How long each sample that was read since the agent was connected again took into the log, in milliseconds.
fn live_delays_ms(log: &[Logged], back_ms: i64) -> Vec<i64> {
    // The first sample that was read after the return came over the new connection, so its delay counts as
    // well.
    let since_return = log.iter().filter(|logged| logged.at_ms >= back_ms);
    let Some(first) = since_return.min_by_key(|logged| logged.stored_ms) else { return Vec::new() };
    let mut stored: BTreeMap<(u64, u64), i64> = BTreeMap::new();
    let live = |logged: &&Logged| logged.at_ms >= first.stored_ms || logged.seq == first.seq;
    for logged in log.iter().filter(live) {
        stored.entry((logged.boot, logged.seq)).or_insert(logged.stored_ms - logged.at_ms);
    }
    stored.into_values().collect()
}

/// For how much of a time there are samples. An agent that stands still for a while reads fewer, and the next
/// one covers it.
fn covered_ms(log: &[Logged], from_ms: i64, to_ms: i64) -> i64 {
    let samples: BTreeMap<(u64, u64), &Logged> =
        log.iter().map(|logged| ((logged.boot, logged.seq), logged)).collect();
    let within = |logged: &&Logged| {
        let began_ms = logged.at_ms - logged.elapsed_ms;
        (logged.at_ms.min(to_ms) - began_ms.max(from_ms)).max(0)
    };
    samples.values().map(within).sum()
}

/// Prints the result of an outage; returns how many of its samples are logged more than once.
fn judge(what: &str, log: &[Logged], gone_ms: i64, back_ms: i64) -> anyhow::Result<usize> {
    let copies = copies(log, gone_ms, back_ms);
    let duplicates: usize = copies.values().map(|count| count - 1).sum();
    let all = log.iter().map(|logged| (logged.boot, logged.seq)).collect::<BTreeSet<_>>().len();
    let delays_ms = live_delays_ms(log, back_ms);
    let worst_ms = *delays_ms.iter().max().unwrap();
    println!(
        "{what}, {} s: {} samples of it, {} missing, {duplicates} duplicates in the log ({} in all); worst lateness of {} \
         live samples {worst_ms} ms",
        (back_ms - gone_ms) / 1_000,
        copies.len(),
        missing(log),
        log.len() - all,
        delays_ms.len(),
    );
    let (covered_ms, lasted_ms) = (covered_ms(log, gone_ms, back_ms), back_ms - gone_ms);
    assert!(covered_ms + 2_000 + lasted_ms / 50 >= lasted_ms, "{covered_ms} of {lasted_ms} ms");
    ensure!(worst_ms <= LATE_MS, "{worst_ms} ms late");
    Ok(duplicates)
}

async fn some_samples(host: &Host) {
    eventually(RECOVERY_TIMEOUT, || async {
        let log = host.log().await?;
        ensure!(log.len() >= 4, "{log:?}");
        Ok(())
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn after_minutes_without_a_broker_each_sample_is_there_once_and_live_ones_are_in_time() {
    // A broker that stands still when it is back is late, and gets again what it has not acknowledged.
    let outlives = async || {
        let mut host = Host::start().await;
        let agent = host.agent(&host.broker.url, &[]);
        some_samples(&host).await;
        host.broker.server.kill().await?;
        let gone_ms = unix_ms();
        endure(outage()).await;
        host.broker.server.restart().await?;
        let back_ms = unix_ms();
        let log = host.whole_log(back_ms).await;
        let duplicates = judge("broker away", &log, gone_ms, back_ms)?;
        ensure!(duplicates == 0, "{duplicates} duplicates: {}", agent.log());
        Ok(())
    };
    undisturbed(outlives).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_cut_is_noticed_and_recovers_in_the_same_way() {
    undisturbed(recovers_from_a_silent_cut).await.unwrap();
}

async fn recovers_from_a_silent_cut() -> anyhow::Result<()> {
    let host = Host::start().await;
    let proxy = Proxy::start(host.broker.server.address()).await.unwrap();
    let agent = host.agent(&proxy.url(), &[]);
    some_samples(&host).await;
    proxy.cut();
    let gone_ms = unix_ms();
    let noticed = async || {
        ensure!(agent.log().contains("lost the broker"), "{}", agent.log());
        Ok(())
    };
    eventually(Duration::from_secs(25), noticed).await.unwrap();
    let noticed_ms = unix_ms();
    let rest_ms = i64::try_from(outage().as_millis()).unwrap() - (noticed_ms - gone_ms);
    endure(Duration::from_millis(rest_ms.max(2_000).unsigned_abs())).await;
    proxy.heal();
    let back_ms = unix_ms();
    let log = host.whole_log(back_ms).await;
    println!("the silent cut was noticed after {} s", (noticed_ms - gone_ms) / 1_000);
    let duplicates = judge("silent cut", &log, gone_ms, back_ms)?;
    // The samples in the dead connection arrive at last, in addition to those that the agent sent again. Of
    // the time after that, no sample comes twice.
    let twice = copies(&log, noticed_ms, back_ms).values().filter(|count| **count > 1).count();
    ensure!(twice == 0, "{twice} of {duplicates} duplicates");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_is_killed_in_an_outage_loses_nothing_of_what_it_spooled() {
    undisturbed(spools_until_it_is_killed).await.unwrap();
}

async fn spools_until_it_is_killed() -> anyhow::Result<()> {
    let mut host = Host::start().await;
    let folder = tempfile::tempdir().unwrap();
    let spool = folder.path().join("spool");
    let spooled = ["--interval", "0.25", "--spool", spool.to_str().unwrap()];
    let mut first = host.agent(&host.broker.url, &spooled);
    some_samples(&host).await;
    host.broker.server.kill().await.unwrap();
    let gone_ms = unix_ms();
    grown(&spool).await;
    first.kill().await.unwrap();
    let killed_ms = unix_ms();
    let written = std::fs::metadata(&spool)?.modified()?.duration_since(std::time::UNIX_EPOCH)?;

    let mut second = host.agent(&host.broker.url, &spooled);
    grown(&spool).await;
    // Two agents cannot share one spool.
    let mut rival = host.agent(&host.broker.url, &spooled);
    assert_eq!(rival.ended().await.unwrap().code(), Some(64), "{}", rival.log());
    assert!(rival.log().contains("another agent uses it"), "{}", rival.log());
    host.broker.server.restart().await.unwrap();
    let back_ms = unix_ms();

    let log = host.whole_log(back_ms).await;
    let boots: BTreeSet<u64> = log.iter().map(|logged| logged.boot).collect();
    assert_eq!(boots.len(), 2, "{}", second.log());
    let last_of_first =
        log.iter().filter(|logged| logged.at_ms <= killed_ms).map(|logged| logged.at_ms).max();
    let unseen_ms =
        i64::try_from(written.as_millis())? - last_of_first.context("samples of the first run").unwrap();
    let copies = copies(&log, gone_ms, back_ms);
    let duplicates: usize = copies.values().map(|count| count - 1).sum();
    println!(
        "agent killed in an outage: {} samples of it by 2 runs, {} missing, {duplicates} duplicates in the log; last \
         sample {unseen_ms} ms before its spool's last byte",
        copies.len(),
        missing(&log),
    );
    ensure!(duplicates == 0, "{copies:?}");
    ensure!(unseen_ms < 1_500, "the first run's last samples are missing: {unseen_ms} ms");
    // The second run's live samples come before the first run's backlog.
    let mut after = log.iter().skip_while(|logged| logged.stored_ms < gone_ms);
    assert!(after.next().unwrap().at_ms > killed_ms);
    assert!(second.terminate().await.unwrap().success());
    Ok(())
}

/// Waits until a few samples more are in the file.
async fn grown(spool: &Path) {
    let size = || std::fs::metadata(spool).map_or(0, |file| file.len());
    let before = size();
    eventually(RECOVERY_TIMEOUT, || async {
        ensure!(size() >= before + 1_500, "{} bytes", size());
        Ok(())
    })
    .await
    .unwrap();
}
