//! The cost of a worker's single steps: `cargo bench -p tidemap-ingest --bench state`.
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on has failed")]

use divan::{Bencher, black_box, counter::ItemsCount};
use tidemap_ingest::internals::{
    Checkpoint, DeltaHeader, Limits, LogPosition, Message, Part, PartitionState, SpanAdder, Sum, Windows,
    encode_deltas,
};
use tidemap_wire::{
    Bps, Hello, Host, NodeId, Partition, PartitionCount, ReceivedReport, Report, Sample, Slot, encode,
    subject,
};

const LIMITS: Limits =
    Limits { offline_after_ms: 30_000, forget_after_ms: 86_400_000, max_nodes: usize::MAX };
/// As many nodes as one of eight partitions has in a fleet of 8,000.
const NODES: u64 = 1_000;

fn main() {
    println!("{}", tidemap_testkit::machine::speed());
    divan::main();
}

fn node(number: u64) -> NodeId {
    NodeId::from_name(&format!("node-{number:06}")).unwrap()
}

/// A report as an agent sends it: every fifth with host metrics.
fn report(number: u64, seq: u64) -> Report {
    let rate = Bps::new(1_234_567.0 + (number * seq % 1_000) as f64);
    let host = Host {
        cpu_percent: Some(12.5),
        load_1: Some(0.5),
        memory_used_bytes: Some(1 << 33),
        ..Host::default()
    };
    let sample = Sample {
        seq,
        at_ms: 1_700_000_000_000 + i64::try_from(seq).unwrap() * 1_000,
        elapsed_ms: 1_000,
        rx_bytes: seq * 1_234_567,
        tx_bytes: seq * 234_567,
        rx_bps: rate,
        tx_bps: rate,
        host: (seq % 5 == 1).then(|| Box::new(host)),
        ..Sample::default()
    };
    let value = |label: u64| (format!("label-{label}"), format!("value-{}", number % (5 * label + 5)));
    let hello = Hello {
        hostname: format!("node-{number:06}"),
        labels: (0..4).map(value).collect(),
        ..Hello::default()
    };
    Report { node: node(number), boot: 1, hello: (seq == 1).then(|| Box::new(hello)), samples: vec![sample] }
}

/// A partition in which every node has reported for `seconds`.
fn partition(seconds: u64) -> PartitionState {
    let mut partition = PartitionState::new(LIMITS);
    for seq in 1..=seconds {
        for number in 0..NODES {
            let payload = encode(&report(number, seq));
            let subject = subject::sample(&node(number));
            partition.observe(Message { subject: &subject, payload: &payload, published_ms: 0 }).unwrap();
        }
    }
    partition
}

fn place() -> (Partition, LogPosition) {
    (PartitionCount::default().partition(0).unwrap(), LogPosition::default())
}

#[divan::bench]
fn decode_report(bencher: Bencher<'_, '_>) {
    let payload = encode(&report(7, 2));
    let read = || ReceivedReport::decode(black_box(&payload)).unwrap();
    bencher.counter(ItemsCount::new(1_usize)).bench(|| black_box(read()).samples.len());
}

/// The whole way of a message into the state: subject, decoding, checks, dedup, windows.
#[divan::bench(sample_count = 20)]
fn observe_reports(bencher: Bencher<'_, '_>) {
    let messages: Vec<(String, Vec<u8>)> =
        (0..NODES).map(|number| (subject::sample(&node(number)), encode(&report(number, 3)))).collect();
    bencher.counter(ItemsCount::new(messages.len())).with_inputs(|| partition(2)).bench_refs(|partition| {
        for (subject, payload) in &messages {
            partition.observe(Message { subject, payload, published_ms: 0 }).unwrap();
        }
    });
}

#[divan::bench]
fn window_add(bencher: Bencher<'_, '_>) {
    let mut windows = Windows::default();
    let mut at_ms = 0;
    bencher.counter(ItemsCount::new(1_usize)).bench_local(|| {
        at_ms += 1_000;
        windows.add(at_ms, Sum { rx_bytes: 1_000, tx_bytes: 500, covered_ms: 1_000 })
    });
}

#[divan::bench]
fn window_averages(bencher: Bencher<'_, '_>) {
    let mut windows = Windows::default();
    for second in 0..900 {
        windows.add(second * 1_000, Sum { rx_bytes: 1_000, tx_bytes: 500, covered_ms: 1_000 });
    }
    bencher.counter(ItemsCount::new(1_usize)).bench(|| black_box(&windows).averages());
}

/// A tick in which every node has changed.
#[divan::bench(sample_count = 20)]
fn encode_delta(bencher: Bencher<'_, '_>) {
    let (id, _) = place();
    bencher
        .counter(ItemsCount::new(usize::try_from(NODES).unwrap()))
        .with_inputs(|| partition(2))
        .bench_refs(|state| {
            let header = DeltaHeader { partition: id, epoch: 1, seq: 0, at_ms: 0 };
            encode_deltas(header, state.updates(), &[])
        });
}

#[divan::bench(sample_count = 20)]
fn encode_checkpoint(bencher: Bencher<'_, '_>) {
    let (partition, parts) = (partition(60), parts());
    bencher.counter(ItemsCount::new(usize::try_from(NODES).unwrap())).bench(|| {
        parts.iter().map(|part| Checkpoint::encode(1, place().1, partition.part(*part)).len()).sum::<usize>()
    });
}

#[divan::bench(sample_count = 20)]
fn decode_checkpoint(bencher: Bencher<'_, '_>) {
    let partition = partition(60);
    let kept: Vec<Vec<u8>> =
        parts().iter().map(|part| Checkpoint::encode(1, place().1, partition.part(*part))).collect();
    bencher
        .counter(ItemsCount::new(usize::try_from(NODES).unwrap()))
        .bench(|| kept.iter().map(|bytes| Checkpoint::decode(bytes).unwrap().nodes.len()).sum::<usize>());
}

/// Twenty seconds of all nodes and their five groups each, from the tick that begins to the messages.
#[divan::bench(sample_count = 20)]
fn add_up_seconds(bencher: Bencher<'_, '_>) {
    let partition = partition(60);
    let slots: Vec<Slot> = Slot::all().collect();
    let mut sums = SpanAdder::default();
    let mut at_ms = 1_700_000_060_000;
    let mut span = || {
        // The same seconds again, as of a broker's clock that was put back.
        at_ms += if at_ms == 1_700_000_060_000 { 86_400_000 } else { -86_400_000 };
        let ticks = (0..40).flat_map(|_| sums.tick((1, at_ms), &slots, &partition));
        ticks.map(|message| message.payload.len()).sum::<usize>()
    };
    let sizes = [(); 4].map(|()| span());
    println!("bytes of messages in 20 s: {sizes:?}");
    bencher.counter(ItemsCount::new(usize::try_from(NODES).unwrap())).bench_local(|| [span(), span()]);
}

fn parts() -> Vec<Part> {
    Slot::all().flat_map(|slot| Part::all(slot, 4)).collect()
}
