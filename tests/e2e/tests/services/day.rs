//! Real counters of a link with real traffic, and what the history makes of them: equal to the byte, whatever
//! is late, lost, repeated, killed or replaced.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Write,
    net::TcpListener,
    time::Duration,
};

use anyhow::ensure;
use tidemap_ingest::internals::{Node, Receipt, Untold};
use tidemap_service::clock::unix_ms;
use tidemap_testkit::{
    broker::TestBroker,
    eventually,
    http::{get_json, is_ready},
    namespace::Namespace,
    process::tidemap,
    proxy::Proxy,
};
use tidemap_wire::{Bps, LateSample, MinuteRow, ReceivedReport, Sample, decode, encode, http::HistoryJson};

use super::restarts::{bytes_total, keep_quiet, kernel_bytes, reported};

const EVENT_TIMEOUT: Duration = Duration::from_secs(60);
const MINUTE_MS: i64 = 60_000;
const DAY_MINUTES: i64 = 1_440;
/// The beginning of a minute.
const BEGIN_MS: i64 = 1_700_000_040_000;
/// Between two samples, by the made clock.
const STEP_MS: i64 = 15_000;

/// Bytes that each minute until now moved at most, from the first on: what the kernel said after its end.
type Kernel = BTreeMap<i64, [u64; 2]>;

/// Placed and not placed, of all minutes until one, received and sent.
fn until(history: &HistoryJson, minute: i64) -> [u64; 2] {
    let placed = [&history.rx_bytes, &history.tx_bytes];
    let unplaced = [&history.unplaced_rx_bytes, &history.unplaced_tx_bytes];
    let count = usize::try_from(minute - history.from_ms / MINUTE_MS + 1).unwrap();
    [0, 1].map(|way| {
        let placed: u64 = placed[way].iter().take(count).flatten().sum();
        placed + unplaced[way].iter().take(count).sum::<u64>()
    })
}

/// The agent's connection is cut and healed, it is killed and started again; bursts of traffic all the while,
/// over the end of a minute.
#[tokio::test]
async fn minutes_of_real_traffic_equal_the_kernel_though_reports_are_late_and_agents_killed() {
    let host = Namespace::new().unwrap();
    keep_quiet(&host).await;
    let broker = TestBroker::start().await.unwrap();
    let _worker = broker.ingest(&[]).unwrap();
    let (_api, url) = broker.api().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let _station = broker.history(folder.path(), &[]).unwrap();
    eventually(EVENT_TIMEOUT, || is_ready(&url)).await.unwrap();

    let proxy = Proxy::start(broker.server.address()).await.unwrap();
    let spool = folder.path().join("spool");
    let spool = spool.to_str().unwrap();
    let args = ["--exclude", "*", "--include", "eth0", "--interval", "0.25", "--spool", spool];
    let start =
        || broker.agent_by(host.command_here(tidemap().unwrap()), &proxy.url(), "here", &args).unwrap();
    let before = kernel_bytes();
    let from_ms = unix_ms() / MINUTE_MS * MINUTE_MS;
    let mut agent = start();
    eventually(EVENT_TIMEOUT, || bytes_total(&url)).await.unwrap();
    assert_eq!(kernel_bytes(), before, "the link is not quiet");

    let listener = TcpListener::bind((host.here, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let read = format!("cat < /dev/tcp/{}/{} > /dev/null", address.ip(), address.port());
    let mut receiving = host.command("bash").args(["-c", &read]).spawn().unwrap();
    let (mut peer, _) = tokio::task::spawn_blocking(move || listener.accept()).await.unwrap().unwrap();

    let moved = || [0, 1].map(|way| kernel_bytes()[way] - before[way]);
    let mut kernel = Kernel::new();
    let history = async || -> anyhow::Result<HistoryJson> {
        let range = format!("from={from_ms}&to={}&step=1m", unix_ms() + MINUTE_MS);
        get_json(format!("{url}/api/nodes/here/history?{range}")).await
    };
    let (mut round, mut total) = (0_usize, 0);
    let mut pace = tokio::time::interval(Duration::from_millis(20));
    // Over the end of a minute between two bursts, and for some rounds at least.
    while kernel.len() < 2 || round < 12 {
        round += 1;
        if round % 4 == 1 {
            proxy.cut();
        }
        // The burst lasts until an agent at work has read some of it.
        for _ in 0..40 {
            peer.write_all(&vec![7; 3_001 + 97 * round]).unwrap();
            pace.tick().await;
            kernel.insert(unix_ms() / MINUTE_MS, moved());
        }
        if round % 4 == 3 {
            proxy.heal();
        }
        if round % 5 == 4 {
            agent.kill().await.unwrap();
            peer.write_all(&[7; 40_001]).unwrap();
            agent = start();
        }
        if round % 4 == 0 {
            total = reported(&url, total, &agent).await;
            kernel.insert(unix_ms() / MINUTE_MS, moved());
        }
        let (known, now) = (history().await, moved());
        if let Ok(known) = known {
            let counted = until(&known, unix_ms() / MINUTE_MS);
            assert!(counted[0] <= now[0] && counted[1] <= now[1], "{counted:?} of {now:?}");
        }
    }
    proxy.heal();
    drop(peer);
    assert!(receiving.wait().await.unwrap().success());

    let known = eventually(EVENT_TIMEOUT, async || {
        let (known, now) = (history().await?, moved());
        let counted = until(&known, unix_ms() / MINUTE_MS);
        assert!(counted[0] <= now[0] && counted[1] <= now[1], "{counted:?} of {now:?}");
        ensure!(counted == now, "{counted:?} of {now:?}: {}", agent.log());
        Ok(known)
    })
    .await
    .unwrap();
    for (minute, most) in &kernel {
        let counted = until(&known, *minute);
        // The newest reading of a minute is a little before its end.
        assert!((0..2).all(|way| counted[way] <= most[way] + 1_000_000), "{minute}: {counted:?} of {most:?}");
    }
    println!("{round} bursts in {} minutes: {:?} bytes", kernel.len(), moved());
    assert!(kernel.len() > 1 && moved()[1] > 1_000_000);
    assert!(agent.terminate().await.unwrap().success(), "{}", agent.log());
}

/// A node whose samples are what a link's counters say, and whoever reads its rows.
struct Day {
    random: fastrand::Rng,
    node: Option<Node>,
    kept: Option<Node>,
    /// What was stored since the checkpoint.
    since: Vec<(u64, Vec<Sample>, i64)>,
    rows: BTreeMap<u32, MinuteRow>,
    late: BTreeMap<(u64, u64), LateSample>,
}

impl Day {
    fn store(&mut self, boot: u64, samples: Vec<Sample>, at_ms: i64) {
        observe(&mut self.node, boot, samples.clone(), at_ms);
        self.since.push((boot, samples, at_ms));
    }

    /// Publishes what is due; the message may be lost, and so may its acknowledgement.
    fn publish(&mut self, until: u32, is_sure: bool) {
        let Some(node) = &mut self.node else { return };
        let Untold { rows, late } = node.untold(until);
        if !is_sure && self.random.u8(..10) == 0 {
            return;
        }
        for row in &rows {
            self.rows.entry(row.minute).or_insert_with(|| row.clone()).join(row);
        }
        self.late.extend(late.iter().map(|late| ((late.boot, late.seq), *late)));
        if is_sure || self.random.u8(..10) > 0 {
            let rows = rows.iter().map(Receipt::of_row);
            let receipts: Vec<Receipt> = rows.chain(late.iter().map(Receipt::of_late)).collect();
            node.acknowledge(&receipts);
        }
    }

    fn checkpoint(&mut self) {
        self.kept = self.node.as_ref().map(|node| decode(&encode(node)).unwrap());
        self.since.clear();
    }

    /// Another owner goes on from the checkpoint.
    fn replace_owner(&mut self) {
        self.node = self.kept.clone();
        for (boot, samples, at_ms) in self.since.clone() {
            observe(&mut self.node, boot, samples, at_ms);
        }
    }

    /// Bytes by minute, and of all minutes, received and sent.
    fn placed(&self) -> BTreeMap<u32, [u64; 2]> {
        let mut placed = BTreeMap::<u32, [u64; 2]>::new();
        let rows = self.rows.values().map(|row| (row.minute, row.rx_bytes, row.tx_bytes));
        let late = self.late.values().map(|late| (late.minute, late.rx_bytes, late.tx_bytes));
        for (minute, rx, tx) in rows.chain(late) {
            let sums = placed.entry(minute).or_default();
            *sums = [sums[0] + rx, sums[1] + tx];
        }
        placed
    }

    /// What the runs have counted.
    fn counted(&self) -> [u64; 2] {
        let mut runs = BTreeMap::<u64, [u64; 2]>::new();
        for run in self.rows.values().flat_map(|row| &row.counters) {
            let most = runs.entry(run.boot).or_default();
            *most = [most[0].max(run.rx_bytes), most[1].max(run.tx_bytes)];
        }
        runs.values().fold([0, 0], |all, run| [all[0] + run[0], all[1] + run[1]])
    }
}

fn observe(node: &mut Option<Node>, boot: u64, samples: Vec<Sample>, at_ms: i64) {
    let report = ReceivedReport { node: "web-01", boot, hello: None, samples };
    let node = node.get_or_insert_with(|| Node::new(0, &report, at_ms));
    node.observe(report, at_ms);
}

/// A day of 1,440 minutes made short: the clock is an argument, and bytes are those of a real link. Reports
/// are held back for up to forty minutes and come in disorder and twice, samples are lost or have no rate,
/// the agent restarts, owners are replaced.
#[tokio::test]
async fn a_day_of_minutes_of_real_counters_equals_the_kernel_to_the_byte() {
    let host = Namespace::new().unwrap();
    keep_quiet(&host).await;
    let listener = TcpListener::bind((host.here, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let read = format!("cat < /dev/tcp/{}/{} > /dev/null", address.ip(), address.port());
    let mut receiving = host.command("bash").args(["-c", &read]).spawn().unwrap();
    let (mut peer, _) = tokio::task::spawn_blocking(move || listener.accept()).await.unwrap().unwrap();

    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut day = Day {
        random: fastrand::Rng::with_seed(seed),
        node: None,
        kept: None,
        since: Vec::new(),
        rows: BTreeMap::new(),
        late: BTreeMap::new(),
    };
    let (mut boot, mut seq, mut held, mut held_until_ms) = (1, 0, Vec::<(u64, Sample)>::new(), 0);
    let first = kernel_bytes();
    // Where the run's counters begin: with a spool, at the newest sample of the run before that is not lost.
    let (mut base, mut last, mut newest_kept) = (first, first, first);
    let mut expected = BTreeMap::<u32, [u64; 2]>::new();
    let mut stored = BTreeSet::<(u64, u64)>::new();
    for step in 0..DAY_MINUTES * MINUTE_MS / STEP_MS {
        let at_ms = BEGIN_MS + step * STEP_MS;
        let burst = day.random.usize(0..9_000);
        peer.write_all(&vec![9; burst]).unwrap();
        let now = kernel_bytes();
        let is_end = step + 1 == DAY_MINUTES * MINUTE_MS / STEP_MS;
        if day.random.u8(..) == 0 {
            // The run ends here, and the bytes until the next one's first sample are in its counters.
            (boot, seq, base) = (boot + 1, 0, newest_kept);
        }
        seq += 1;
        let has_rate = seq > 1 && day.random.u8(..) > 8;
        let bytes = [0, 1].map(|way| now[way] - last[way]);
        let rate = |way: usize| Bps::over(bytes[way], STEP_MS.unsigned_abs()).filter(|_| has_rate);
        let sample = Sample {
            seq,
            at_ms,
            elapsed_ms: u32::try_from(STEP_MS).unwrap(),
            rx_bytes: now[0] - base[0],
            tx_bytes: now[1] - base[1],
            rx_bps: rate(0),
            tx_bps: rate(1),
            ..Sample::default()
        };
        last = now;
        // Some are lost, but not the last of all.
        if !is_end && day.random.u8(..) < 3 {
            continue;
        }
        if has_rate {
            let sums = expected.entry(u32::try_from(at_ms / MINUTE_MS).unwrap()).or_default();
            *sums = [sums[0] + bytes[0], sums[1] + bytes[1]];
        }
        stored.insert((boot, seq));
        newest_kept = now;
        held.push((boot, sample));
        if at_ms >= held_until_ms || is_end {
            let newest = held.pop().unwrap();
            let mut parts: Vec<_> = held.chunk_by(|one, two| one.0 == two.0).map(<[_]>::to_vec).collect();
            day.random.shuffle(&mut parts);
            parts.insert(0, vec![newest]);
            for part in parts {
                for _ in 0..day.random.usize(1..3) {
                    let samples = part.iter().map(|(_, sample)| sample.clone()).collect();
                    day.store(part[0].0, samples, at_ms + 200);
                }
            }
            held.clear();
            if day.random.u8(..) < 3 {
                held_until_ms = at_ms + day.random.i64(1..40) * MINUTE_MS;
            }
        }
        match day.random.u8(..40) {
            0 => day.checkpoint(),
            1 if day.kept.is_some() => day.replace_owner(),
            _ => {}
        }
        if step % 4 == 3 {
            day.publish(u32::try_from(at_ms / MINUTE_MS).unwrap(), false);
            let moved = [0, 1].map(|way| last[way] - first[way]);
            let placed = day.placed().values().fold([0, 0], |all, it| [all[0] + it[0], all[1] + it[1]]);
            assert!(placed[0] <= moved[0] && placed[1] <= moved[1], "seed {seed}: {placed:?} of {moved:?}");
            let counted = day.counted();
            assert!(
                counted[0] <= moved[0] && counted[1] <= moved[1],
                "seed {seed}: {counted:?} of {moved:?}"
            );
        }
    }
    day.publish(u32::MAX, true);
    drop(peer);
    assert!(receiving.wait().await.unwrap().success());

    let moved = [0, 1].map(|way| last[way] - first[way]);
    let placed = day.placed();
    assert_eq!(placed.len(), usize::try_from(DAY_MINUTES).unwrap());
    for (minute, bytes) in &placed {
        assert_eq!(*bytes, expected.get(minute).copied().unwrap_or_default(), "seed {seed}, minute {minute}");
    }
    assert_eq!(day.counted(), moved, "seed {seed}");
    let samples: u64 = day.rows.values().map(|row| u64::from(row.samples)).sum();
    assert_eq!(samples + day.late.len() as u64, stored.len() as u64, "seed {seed}");
    println!("{moved:?} bytes in {} samples of {boot} runs, {} late", stored.len(), day.late.len());
}
