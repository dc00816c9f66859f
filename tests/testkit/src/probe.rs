//! Measures the time from a sample to the event that shows it, with nodes that the bench adds to a fleet.
//!
//! Each sample has a new label beside new rates. The label is in the delta as text, so the time can be
//! measured regardless of how rows are encoded.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::Context;
use async_nats::Client;
use tidemap_service::clock;
use tidemap_wire::{Bps, Hello, NodeId, Report, Sample, encode, subject};
use tokio::{task::JoinSet, time::Instant};

use crate::stream::EventStream;

/// The number of probes that report at a time.
const PROBES: u64 = 8;
/// Samples of each node: a node may not change its labels more often at once.
const SAMPLES_OF_A_NODE: u64 = 6;
/// A frame of a whole fleet.
const FRAME_BYTES: usize = 16 << 20;
/// What every label begins with.
const MARK: &str = "probe-mark-";
/// For the event of the last sample to come.
const EVENT_TIMEOUT: Duration = Duration::from_secs(60);

/// Whose a sample is: the node and the sample's number among that node's.
type Mark = (String, u64);
type Sent = Arc<Mutex<BTreeMap<Mark, Instant>>>;

/// What was measured.
pub struct Probed {
    /// From a sample's publishing to the event that shows it.
    pub latencies_us: Vec<u64>,
    /// From the same samples' publishing to the broker's acknowledgements.
    pub acks_us: Vec<u64>,
    /// Samples that no event showed in time, nor a newer one of the same node.
    pub lost: usize,
}

/// Sends at least `samples` samples, and notes when the API's events show them.
pub async fn measure(client: Client, api: SocketAddr, samples: u64) -> anyhow::Result<Probed> {
    let mut stream = EventStream::open(api, "identity").await?;
    let sent = Sent::default();
    let mut probes = JoinSet::new();
    for number in 0..PROBES {
        probes.spawn(probe(client.clone(), number, samples.div_ceil(PROBES), Arc::clone(&sent)));
    }
    let (mut latencies_us, mut acks_us) = (Vec::new(), Vec::new());
    let mut frame = Vec::new();
    let mut until: Option<Instant> = None;
    while until.is_none_or(|until| Instant::now() < until && !lock(&sent).is_empty()) {
        // Something comes at least once a second.
        stream.frame(&mut frame, FRAME_BYTES).await?;
        let now = Instant::now();
        for (node, seq) in marks(&frame) {
            // Where a machine stands still for a second, one event shows the newer of two samples of a node.
            let mut sent = lock(&sent);
            let shown: Vec<Mark> =
                sent.range((node.clone(), 0)..=(node, seq)).map(|(mark, _)| mark.clone()).collect();
            for at in shown.iter().filter_map(|mark| sent.remove(mark)) {
                latencies_us.push(u64::try_from(now.duration_since(at).as_micros())?);
            }
        }
        if until.is_none() && probes.is_empty() {
            until = Some(Instant::now() + EVENT_TIMEOUT);
        }
        while let Some(ended) = probes.try_join_next() {
            acks_us.extend(ended??);
        }
    }
    let lost = lock(&sent).len();
    Ok(Probed { latencies_us, acks_us, lost })
}

fn lock(sent: &Sent) -> MutexGuard<'_, BTreeMap<Mark, Instant>> {
    sent.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One node after another, which report about once a second at random moments. Returns how long each
/// acknowledgement took, in microseconds.
async fn probe(client: Client, number: u64, samples: u64, sent: Sent) -> anyhow::Result<Vec<u64>> {
    let js = crate::broker::jetstream(client);
    let (boot, mut before, mut acks_us) = (fastrand::u64(1..1 << 48), Instant::now(), Vec::new());
    for sample in 0..samples {
        let (nodes_before, seq) = (sample / SAMPLES_OF_A_NODE, sample % SAMPLES_OF_A_NODE + 1);
        let node = NodeId::from_name(&format!("probe-node-{number}-{boot:x}-{nodes_before}"))?;
        tokio::time::sleep(Duration::from_millis(fastrand::u64(700..1_300))).await;
        let now = Instant::now();
        let elapsed = now.duration_since(before);
        before = now;
        let (bytes, elapsed_ms) = (fastrand::u64(100_000..1_000_000), u64::try_from(elapsed.as_millis())?);
        let of = format!("{number}-{nodes_before}");
        let mark = format!("{MARK}{of}-{seq}");
        let sample = Sample {
            seq,
            at_ms: clock::unix_ms(),
            elapsed_ms: u32::try_from(elapsed_ms)?,
            rx_bytes: seq * 1_000_000,
            rx_bps: Bps::over(bytes, elapsed_ms),
            ..Sample::default()
        };
        let labels = BTreeMap::from([("mark".to_owned(), mark)]);
        let hello = Some(Box::new(Hello { labels, ..Hello::default() }));
        let report = encode(&Report { node: node.clone(), boot, hello, samples: vec![sample] });
        let published = Instant::now();
        lock(&sent).insert((of, seq), published);
        js.publish(subject::sample(&node), report.into()).await?.await.context("the broker refused")?;
        acks_us.push(u64::try_from(published.elapsed().as_micros())?);
    }
    Ok(acks_us)
}

/// All labels of ours in a frame.
fn marks(frame: &[u8]) -> impl Iterator<Item = Mark> {
    // A label ends at its quotation mark.
    let texts = frame.split(|byte| *byte == b'"').filter_map(|text| text.strip_prefix(MARK.as_bytes()));
    texts.filter_map(|text| {
        let (node, seq) = std::str::from_utf8(text).ok()?.rsplit_once('-')?;
        Some((node.to_owned(), seq.parse().ok()?))
    })
}
