//! Whatever an agent reports, what a worker publishes and keeps of it stays small.

use std::collections::BTreeMap;

use proptest::{collection::vec, option, prelude::*};
use tidemap_wire::{
    Bps, Capacity, Delta, Hello, Host, Interface, InterfaceRate, Location, LocationSource, METRICS,
    MetricValue, NodeId, PartitionCount, Probe, Report, Sample, Slot, bounds, encode, subject,
};

use crate::{
    checkpoint::Checkpoint,
    chunks::{self, Header},
    log_reader::LogPosition,
    node::Node,
    partition::{Limits, Message, PartitionState},
};

const LIMITS: Limits = Limits { offline_after_ms: 30_000, forget_after_ms: 60_000, max_nodes: usize::MAX };
/// The broker's limit for a message. A value in a bucket needs some of it for its subject.
const MAX_PAYLOAD: usize = 1024 * 1024;
/// What the broker stores of an agent in one message.
const MAX_REPORT: usize = 64 * 1024;

fn id(number: u8) -> NodeId {
    NodeId::from_name(&format!("node-{number}")).unwrap()
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => "[a-z0-9.]{0,12}",
        1 => (any::<char>(), 0_usize..20_000).prop_map(|(letter, count)| letter.to_string().repeat(count)),
    ]
}

/// The text, so short that a list with so many of them fits into a report.
fn fitting(text: &str, count: usize) -> String {
    text.chars().take(MAX_REPORT / 4 / count.max(1)).collect()
}

fn few_or_many(most: usize) -> impl Strategy<Value = usize> {
    prop_oneof![3 => 0..=3_usize, 1 => 0..=most]
}

fn interfaces() -> impl Strategy<Value = Vec<Interface>> {
    (text(), text(), vec(text(), 0..4), few_or_many(30_000)).prop_map(|(name, reason, addresses, count)| {
        let [name, reason] = [name, reason].map(|text| fitting(&text, count));
        let addresses = addresses.iter().map(|text| fitting(text, 8 * count)).collect();
        let one = Interface { name, counted: true, reason, speed_mbps: Some(u32::MAX), addresses };
        vec![one; count]
    })
}

fn hello() -> impl Strategy<Value = Hello> {
    let labels = (text(), text(), few_or_many(10_000)).prop_map(|(key, value, count)| {
        (0..count)
            .map(|number| (fitting(&format!("{number}{key}"), count), fitting(&value, count)))
            .collect::<BTreeMap<_, _>>()
    });
    let place = option::of(text()).prop_map(|label| Location {
        lat: -90.0,
        lon: 180.0,
        label,
        source: LocationSource::TimeZone,
    });
    (text(), option::of(text()), vec(text(), 0..20), option::of(place), labels, interfaces(), any::<u32>())
        .prop_map(|(hostname, provider, addresses, location, labels, interfaces, interval_ms)| Hello {
            hostname,
            internal_ip: provider.clone(),
            external_ip: provider.clone(),
            os: provider.clone(),
            display_name: provider.clone(),
            kernel: provider.clone(),
            arch: provider.clone(),
            provider: provider.clone(),
            addresses,
            agent_version: "1".to_owned(),
            interval_ms,
            location,
            labels,
            interfaces,
            unlisted_interfaces: u32::MAX,
            lost_samples: Some(u64::MAX),
            disk_path: provider,
            cap: Capacity::parse(&interval_ms.to_string()),
            link_speed_mbps: Some(interval_ms),
        })
}

fn host() -> impl Strategy<Value = Host> {
    (any::<f64>(), any::<u64>()).prop_map(|(real, whole)| {
        let mut host = Host::default();
        for metric in METRICS {
            let value = if metric.is_whole { MetricValue::Whole(whole) } else { MetricValue::Real(real) };
            host.set(metric.id, value);
        }
        host
    })
}

fn rates() -> impl Strategy<Value = Vec<InterfaceRate>> {
    (text(), 0.0..1e308_f64, few_or_many(2_000)).prop_map(|(name, rate, count)| {
        let (name, rate) = (fitting(&name, count), Bps::new(rate).unwrap());
        vec![InterfaceRate { name, rx_bps: rate, tx_bps: rate }; count]
    })
}

fn samples() -> impl Strategy<Value = Vec<Sample>> {
    let one =
        (any::<u64>(), any::<i64>(), any::<u32>(), 0.0..1e308_f64, option::of(host()), option::of(rates()));
    (one, few_or_many(bounds::SAMPLES + 100)).prop_map(
        |((seq, at_ms, elapsed_ms, rate, host, rates), count)| {
            let sample = |number: u64| Sample {
                seq: (seq >> 32) + number,
                at_ms: at_ms >> 20,
                elapsed_ms,
                rx_bytes: seq,
                tx_bytes: seq,
                rx_bps: Bps::new(rate),
                tx_bps: Bps::new(rate / 1e300),
                interfaces: rates.clone().filter(|_| number == 1),
                host: host.clone().map(Box::new).filter(|_| number % 64 == 1),
                // A text of any length, and times that none can be.
                probes: rates.as_ref().filter(|_| number == 1).map(|rates| {
                    let probe = |rate: &InterfaceRate| Probe {
                        target: rate.name.clone(),
                        failure: Some(rate.name.clone()),
                        sent: 1,
                        median_ms: Some(rate.rx_bps.get()),
                        ..Probe::default()
                    };
                    rates.iter().map(probe).collect()
                }),
            };
            (0..count as u64).map(sample).collect()
        },
    )
}

/// Reports of a node, of which the broker stores those that are short enough.
fn report() -> impl Strategy<Value = (u8, Vec<u8>)> {
    (0_u8..3, 0_u64..4, option::of(hello()), samples()).prop_map(|(node, boot, hello, samples)| {
        (node, encode(&Report { node: id(node), boot, hello: hello.map(Box::new), samples }))
    })
}

/// Fails when something is too long that readers or the next owner receive.
fn check(state: &mut PartitionState) -> Result<(), TestCaseError> {
    let partition = PartitionCount::default().partition(3).unwrap();
    let header = Header { partition, epoch: u64::MAX, seq: 1 << 60, at_ms: i64::MAX };
    for delta in chunks::deltas(header, state.updates(), &[]) {
        prop_assert!(delta.len() <= Delta::MAX_BYTES, "a delta of {}", delta.len());
    }
    for chunk in chunks::snapshot(header, state.snapshot()) {
        prop_assert!(chunk.len() <= Delta::MAX_BYTES, "a part of a snapshot of {}", chunk.len());
    }
    for node in (0..3).map(id) {
        let one = chunks::snapshot_of_one(header, state.snapshot_of(&node));
        prop_assert!(one.len() <= MAX_PAYLOAD / 2, "a node of {}", one.len());
    }
    for part in state.parts(&Slot::all().collect::<Vec<_>>()) {
        for (_, value) in
            Checkpoint::fit(part, &|part| Checkpoint::encode(1, LogPosition::default(), state.part(part)))
        {
            prop_assert!(value.len() <= MAX_PAYLOAD / 2, "a checkpoint of {}", value.len());
        }
    }
    prop_assert!(encode(&state.stats()).len() < 4_096);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn nothing_that_is_reported_makes_a_message_too_long(reports in vec(report(), 1..12)) {
        let mut state = PartitionState::new(LIMITS);
        for ((node, payload), published_ms) in reports.iter().zip((0..).step_by(500)) {
            let subject = subject::sample(&id(*node));
            if payload.len() <= MAX_REPORT {
                state.observe_unless(Message { subject: &subject, payload, published_ms }, |_| false);
            }
            check(&mut state)?;
        }
    }

    /// An earlier version has kept whatever its agents reported.
    #[test]
    fn nothing_in_an_old_checkpoint_makes_a_message_too_long(hello in hello(), samples in samples()) {
        let report = Report { node: id(0), boot: 1, hello: Some(Box::new(hello)), samples };
        let payload = encode(&report);
        let received: tidemap_wire::ReceivedReport<'_> = tidemap_wire::decode(&payload).unwrap();
        let mut node = Node::new(0, &received, 0);
        node.observe(received, 0);
        let bytes = Checkpoint::encode(1, LogPosition::default(), [(&report.node, &node)].into_iter());
        let mut state = PartitionState::new(LIMITS);
        state.restore(Checkpoint::decode(&bytes).unwrap().nodes);
        prop_assert_eq!(state.len(), 1);
        check(&mut state)?;
    }
}

#[test]
fn what_an_old_checkpoint_has_too_much_of_is_counted_for_its_node() {
    let hello = Hello { interfaces: vec![Interface::default(); 17_000], ..Hello::default() };
    let sample = Sample { seq: 1, at_ms: 1, elapsed_ms: 1_000, ..Sample::default() };
    let report = Report { node: id(0), boot: 1, hello: Some(Box::new(hello)), samples: vec![sample] };
    let payload = encode(&report);
    let received: tidemap_wire::ReceivedReport<'_> = tidemap_wire::decode(&payload).unwrap();
    let mut node = Node::new(0, &received, 0);
    node.observe(received, 0);
    let mut state = PartitionState::new(LIMITS);
    state.restore(vec![(id(0), node)]);
    let known = state.snapshot().remove(0);
    assert_eq!(known.hello.unwrap().interfaces.len(), bounds::INTERFACES);
    assert_eq!(
        known.refused.map(|refused| (refused.count, refused.reason)),
        Some((1, "oversized".to_owned()))
    );
    assert_eq!(state.stats().refused, BTreeMap::from([("oversized".to_owned(), 1)]));
}

#[test]
fn a_metric_that_no_host_has_is_dropped_and_the_rest_counts() {
    let mut state = PartitionState::new(LIMITS);
    let host =
        Host { cpu_percent: Some(1.9e306), memory_used_bytes: Some(7), load_1: Some(0.5), ..Host::default() };
    let sample =
        Sample { seq: 1, at_ms: 1, elapsed_ms: 1_000, host: Some(Box::new(host)), ..Sample::default() };
    let report = Report { node: id(0), boot: 1, hello: None, samples: vec![sample] };
    let (subject, payload) = (subject::sample(&id(0)), encode(&report));
    state.observe(Message { subject: &subject, payload: &payload, published_ms: 0 }).unwrap_err();
    let known = state.snapshot().remove(0);
    let host = known.host.unwrap();
    assert_eq!((host.cpu_percent, host.memory_used_bytes, host.load_1), (None, Some(7), Some(0.5)));
    assert_eq!(known.refused.unwrap().reason, "metric");
    assert_eq!(state.stats().samples, 1);
}
