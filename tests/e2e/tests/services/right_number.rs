//! Known traffic over a real link is shown correctly and in time.

use std::{
    io::Write,
    net::{Ipv4Addr, TcpListener},
    time::Duration,
};

use anyhow::{Context, ensure};
use tidemap_testkit::{
    eventually,
    http::get_json,
    keep_pace,
    namespace::Namespace,
    observe,
    process::{Tidemap, tidemap},
    undisturbed,
};
use tidemap_wire::{Report, http::NodeJson};
use tokio::time::Instant;

const EVENT_TIMEOUT: Duration = Duration::from_secs(15);
/// The known traffic: 5 MB/s for 8 s.
const CHUNK_BYTES: usize = 50_000;
const CHUNK_PERIOD: Duration = Duration::from_millis(10);
const CHUNKS: u32 = 800;
const RATE: f64 = 5_000_000.0;
/// For how long the shown rate is watched. The end of the traffic would be an event, but comes too late: the
/// last sample covers silence too.
const WATCHED: Duration = Duration::from_millis(6_500);
/// How often it is read. A sample covers a second, so none is missed.
const LOOK_PERIOD: Duration = Duration::from_millis(250);

/// Sends the known traffic to the client that connects. Returns when it began.
fn sender(here: Ipv4Addr) -> (std::net::SocketAddr, std::thread::JoinHandle<anyhow::Result<Instant>>) {
    let listener = TcpListener::bind((here, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let sending = std::thread::spawn(move || {
        let (mut receiver, _) = listener.accept()?;
        let began = Instant::now();
        for number in 1..=CHUNKS {
            receiver.write_all(&vec![0; CHUNK_BYTES])?;
            keep_pace(began, CHUNK_PERIOD * number);
        }
        Ok(began)
    });
    (address, sending)
}

#[tokio::test]
async fn a_download_over_a_real_link_shows_as_bytes_over_time() {
    // Whoever of those who send, count, and look stands still spoils a rate.
    let host = Namespace::new().unwrap();
    undisturbed(async || shows_a_download(&host).await).await.unwrap();
}

async fn shows_a_download(host: &Namespace) -> anyhow::Result<()> {
    let folder = tempfile::tempdir().unwrap();
    let http = format!("{}:0", host.there);
    let data = folder.path().to_str().unwrap();
    let args = ["up", "--public", "--node", "here", "--http", &http, "--data-dir", data];
    let mut up = Tidemap::start_by(host.command(tidemap().unwrap()), &args).unwrap();
    let url = up.url().await.unwrap();
    let node = async || get_json::<NodeJson>(format!("{url}/api/nodes/here")).await;
    let rate = async || {
        let rate = node().await?.network_rx_bytes_per_sec.context("a rate from the first sample on")?;
        anyhow::Ok(rate.get())
    };
    let quiet = eventually(EVENT_TIMEOUT, rate).await.unwrap();
    assert!(quiet < 200_000.0, "nothing but this test's questions: {quiet}");

    let (address, sending) = sender(host.here);
    let read = format!("cat < /dev/tcp/{}/{} > /dev/null", address.ip(), address.port());
    let mut download = host.command("bash").args(["-c", &read]).spawn().unwrap();
    let asked = Instant::now();
    let is_true = |rate: f64| (rate - RATE).abs() < RATE * 0.1;
    while !is_true(rate().await?) && asked.elapsed() < WATCHED {
        observe(LOOK_PERIOD).await;
    }
    // A sample covers a second, so the first complete one ends within two; it is shown a quarter of a second
    // later.
    let seen_after = asked.elapsed();

    // While the traffic lasts, every sample is right.
    let mut rates = Vec::new();
    while asked.elapsed() < WATCHED {
        rates.push(rate().await?);
        observe(LOOK_PERIOD).await;
    }
    download.wait().await.unwrap();
    sending.join().unwrap().unwrap();
    println!(
        "{} MB in {} s: shown as {rates:?} from {seen_after:?} on",
        0.05 * f64::from(CHUNKS),
        CHUNKS / 100
    );
    ensure!(!rates.is_empty() && rates.iter().all(|rate| is_true(*rate)), "{rates:?}");
    ensure!(seen_after < Duration::from_millis(2_750), "{seen_after:?}");

    // The sum is what was sent, plus headers and this test's requests.
    let sent = CHUNK_BYTES as f64 * f64::from(CHUNKS);
    let total = eventually(EVENT_TIMEOUT, || async {
        let total = node().await?.network_rx_bytes_total as f64;
        ensure!(total >= sent, "{total} of {sent}");
        Ok(total)
    })
    .await
    .unwrap();
    assert!(total < sent * 1.02, "{total} of {sent}");
    assert!(up.terminate().await.unwrap().success(), "{}", up.log());
    Ok(())
}

/// Bytes in both directions in one step of varying traffic: bursts, a trickle, silence. A second is not a
/// multiple of a step, so samples divide bursts.
const BURSTS: [usize; 11] = [0, 30_000, 2_000_000, 300_000, 64, 1_000_000, 0, 0, 700_000, 1_500, 1_400_000];
const STEP: Duration = Duration::from_millis(70);

/// Sends bursts to the client that connects, and receives the same bytes back. Returns their number.
fn bursts(
    here: Ipv4Addr,
    lasting: Duration,
) -> (std::net::SocketAddr, std::thread::JoinHandle<anyhow::Result<u64>>) {
    let listener = TcpListener::bind((here, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let sending = std::thread::spawn(move || {
        let (mut peer, _) = listener.accept()?;
        let mut back = peer.try_clone()?;
        let taking = std::thread::spawn(move || std::io::copy(&mut back, &mut std::io::sink()));
        let began = Instant::now();
        for (number, bytes) in (1..).zip(BURSTS.iter().cycle()) {
            peer.write_all(&vec![0; *bytes])?;
            // The traffic must vary, but how it is generated does not matter.
            keep_pace(began, STEP * number);
            if began.elapsed() > lasting {
                break;
            }
        }
        peer.shutdown(std::net::Shutdown::Write)?;
        Ok(taking.join().ok().context("the taker panicked")??)
    });
    (address, sending)
}

/// Bytes received and sent, as `/proc/net/dev` of the namespace has them.
async fn kernel_bytes(host: &Namespace, interface: &str) -> [u64; 2] {
    let output = host.command("cat").arg("/proc/net/dev").output().await.unwrap();
    let table = String::from_utf8(output.stdout).unwrap();
    let row = table.lines().find_map(|line| line.trim().strip_prefix(interface)?.strip_prefix(':')).unwrap();
    let fields: Vec<u64> = row.split_whitespace().map(|field| field.parse().unwrap()).collect();
    [fields[0], fields[8]]
}

/// The sums of an agent's samples.
#[derive(Debug, Default)]
struct Sums {
    /// The sum of rate × elapsed, received and sent.
    by_rates: [f64; 2],
    /// The cumulative bytes of the newest sample.
    bytes: [u64; 2],
    elapsed_ms: u64,
    samples: u32,
    lowest_bps: f64,
    highest_bps: f64,
}

impl Sums {
    fn add(&mut self, report: &Report) {
        for sample in &report.samples {
            let rates = [sample.rx_bps, sample.tx_bps].map(|rate| rate.unwrap().get());
            for (sum, rate) in self.by_rates.iter_mut().zip(rates) {
                *sum += rate * f64::from(sample.elapsed_ms) / 1000.0;
            }
            self.bytes = [sample.rx_bytes, sample.tx_bytes];
            self.elapsed_ms += u64::from(sample.elapsed_ms);
            self.samples += 1;
            self.lowest_bps = if self.samples == 1 { rates[0] } else { self.lowest_bps.min(rates[0]) };
            self.highest_bps = self.highest_bps.max(rates[0]);
        }
    }
}

async fn next_report(agent: &mut Tidemap) -> Report {
    serde_json::from_str(&agent.line().await.unwrap()).unwrap()
}

/// The samples and `/proc/net/dev` are not read at the same time, so the comparison begins and ends while
/// there is no traffic, except for an occasional address resolution.
#[tokio::test]
async fn rates_times_elapsed_are_what_the_kernel_has_counted() {
    let long = std::env::var_os("TIDEMAP_LONG").is_some();
    let lasting = Duration::from_secs(if long { 60 } else { 8 });
    let host = Namespace::new().unwrap();
    let args = ["agent", "--dry-run", "--node", "here", "--interval", if long { "1" } else { "0.5" }];
    let mut agent = Tidemap::start_by(host.command(tidemap().unwrap()), &args).unwrap();
    let first = next_report(&mut agent).await;
    let interfaces = &first.hello.as_ref().unwrap().interfaces;
    let counted: Vec<_> = interfaces.iter().filter(|one| one.counted).map(|one| &*one.name).collect();
    assert_eq!(counted, ["eth0"], "{interfaces:#?}");

    let start = first.samples.last().unwrap();
    let start = [start.rx_bytes, start.tx_bytes];
    let before = kernel_bytes(&host, "eth0").await;
    let (address, sending) = bursts(host.here, lasting);
    let echo = format!("exec 3<>/dev/tcp/{}/{}; cat <&3 >&3", address.ip(), address.port());
    let mut echoing = host.command("bash").args(["-c", &echo]).kill_on_drop(true).spawn().unwrap();
    let mut sums = Sums::default();
    while !sending.is_finished() {
        sums.add(&next_report(&mut agent).await);
        assert!(sums.elapsed_ms < 3 * lasting.as_millis() as u64, "the traffic does not end: {sums:?}");
    }
    let sent = sending.join().unwrap().unwrap();
    assert!(echoing.wait().await.unwrap().success());
    // The connection has ended; this sample, or at the latest the next, has seen its last packet.
    let after = kernel_bytes(&host, "eth0").await;
    for _ in 0..2 {
        sums.add(&next_report(&mut agent).await);
    }
    assert!(agent.terminate().await.unwrap().success(), "{}", agent.log());

    println!(
        "{} samples, {:.1} s, {sent} bytes there and back, {:.0} to {:.0} bytes/s",
        sums.samples,
        sums.elapsed_ms as f64 / 1000.0,
        sums.lowest_bps,
        sums.highest_bps
    );
    for (at, way) in ["received", "sent"].into_iter().enumerate() {
        let kernel = (after[at] - before[at]) as f64;
        let (by_rates, by_sums) = (sums.by_rates[at], (sums.bytes[at] - start[at]) as f64);
        let off = (by_rates - kernel) / kernel * 100.0;
        println!("{way}: /proc/net/dev {kernel}, rate × elapsed {by_rates:.0} ({off:+.4} %), sums {by_sums}");
        assert!(kernel > sent as f64, "the traffic went another way");
        assert!(off.abs() <= 0.1 && (by_sums - kernel).abs() <= kernel * 0.001);
        assert!((by_rates - by_sums).abs() < 1.0, "rates and sums are the same samples");
    }
}
