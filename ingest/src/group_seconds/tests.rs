use std::collections::BTreeMap;

use proptest::prelude::*;
use tidemap_wire::{
    Bps, Hello, NodeId, Partition, Report, Sample, SecondSums, decode, encode, history_query::HistorySeries,
    subject,
};

use super::*;
use crate::partition::{Limits, Message};

const LIMITS: Limits = Limits { offline_after_ms: 30_000, forget_after_ms: 600_000, max_nodes: usize::MAX };
/// The begin of a minute, Unix seconds.
const BEGIN_S: i64 = 29_000_000 * 60;
const SECONDS: i64 = 75;
/// A sample that comes so late is in no sum.
const LATE_MS: i64 = 60_000;
/// Between the last word of an owner and the first of the next one.
const TAKEOVER_MS: i64 = 7_000;

/// What a group moved in a second: received and sent.
type Model = BTreeMap<(HistorySeries, i64), [u64; 2]>;

/// A sample that the log has.
#[derive(Clone, Debug)]
struct Logged {
    stored_ms: i64,
    subject: String,
    payload: Vec<u8>,
    node: NodeId,
}

/// One node: what it moves in each second, and how long each of its samples is on its way.
#[derive(Clone, Debug)]
struct Host {
    phase_ms: i64,
    role: u8,
    seconds: Vec<(u64, u64, Way)>,
}

#[derive(Clone, Copy, Debug)]
enum Way {
    Delayed(i64),
    Twice(i64),
    Late,
}

fn hosts() -> impl Strategy<Value = Vec<Host>> {
    let way = prop_oneof![
        8 => (0_i64..4_000).prop_map(Way::Delayed),
        2 => (0_i64..4_000).prop_map(Way::Twice),
        1 => Just(Way::Late),
    ];
    let second = (0_u64..1 << 36, prop_oneof![Just(0), 0_u64..1 << 36], way);
    let seconds = proptest::collection::vec(second, SECONDS as usize);
    let host = (0_i64..1_000, 0_u8..3, seconds).prop_map(|(phase_ms, role, seconds)| Host {
        phase_ms,
        role,
        seconds,
    });
    proptest::collection::vec(host, 1..7)
}

fn role(role: u8) -> HistorySeries {
    HistorySeries::Label("role".to_owned(), role.to_string())
}

fn logged(name: &str, host: &Host, place: usize) -> Vec<Logged> {
    let (rx, tx, way) = host.seconds[place];
    let at_ms = (BEGIN_S + place as i64) * 1_000 + host.phase_ms;
    let node = NodeId::from_name(name).unwrap();
    let hello = Hello {
        interval_ms: 1_000,
        labels: [("role".to_owned(), host.role.to_string())].into(),
        ..Hello::default()
    };
    let sample = Sample {
        seq: place as u64 + 1,
        at_ms,
        elapsed_ms: 1_000,
        rx_bps: Bps::new(rx as f64),
        tx_bps: Bps::new(tx as f64),
        ..Sample::default()
    };
    let report = Report { node: node.clone(), boot: 1, hello: Some(Box::new(hello)), samples: vec![sample] };
    let (delays_ms, payload) = match way {
        Way::Delayed(delay_ms) => (vec![delay_ms], encode(&report)),
        Way::Twice(delay_ms) => (vec![delay_ms, 2 * delay_ms], encode(&report)),
        Way::Late => (vec![LATE_MS], encode(&report)),
    };
    let of = |delay_ms| Logged {
        stored_ms: at_ms + delay_ms,
        subject: subject::sample(&node),
        payload: payload.clone(),
        node: node.clone(),
    };
    delays_ms.into_iter().map(of).collect()
}

/// What groups moved in each second: of all samples, and of those that come in time.
fn model(hosts: &[Host], with_late: bool) -> Model {
    let mut model = Model::new();
    for host in hosts {
        for (place, (rx, tx, way)) in host.seconds.iter().enumerate() {
            if with_late || !matches!(way, Way::Late) {
                for group in [HistorySeries::Fleet, role(host.role)] {
                    let sum = model.entry((group, BEGIN_S + place as i64)).or_default();
                    *sum = [sum[0] + rx, sum[1] + tx];
                }
            }
        }
    }
    model
}

/// The owner of one partition.
struct Owner {
    partition: Partition,
    partitions: PartitionCount,
    slots: Vec<Slot>,
    state: PartitionState,
    sums: SpanAdder,
}

impl Owner {
    fn all(partitions: PartitionCount) -> Vec<Self> {
        let of = |partition| Self {
            partition,
            partitions,
            slots: partitions.slots(partition).collect(),
            state: PartitionState::new(LIMITS),
            sums: SpanAdder::default(),
        };
        partitions.all().map(of).collect()
    }

    fn read(&mut self, logged: &Logged) {
        if self.partitions.of(Slot::of(&logged.node)) == self.partition {
            let Logged { stored_ms, subject, payload, .. } = logged;
            self.state.observe(Message { subject, payload, published_ms: *stored_ms }).unwrap();
        }
    }
}

/// Everything that owners have published, by layout, group and second, as a reader joins and adds it up.
#[derive(Default)]
struct Reader(BTreeMap<(u16, HistorySeries, i64), BTreeMap<u16, [u64; 2]>>);

impl Reader {
    fn take(&mut self, messages: Vec<MinutesMessage>) {
        for message in messages {
            assert!(message.payload.len() < 80 * 1024);
            let minutes: Minutes = decode(&message.payload).unwrap();
            for published in minutes.seconds().unwrap() {
                let SecondSums { partitions, partition, group, minute, first, rx_bps, tx_bps } = published;
                for (second, (rx, tx)) in
                    (i64::from(minute) * 60 + i64::from(first)..).zip(rx_bps.iter().zip(&tx_bps))
                {
                    let of = self.0.entry((partitions, group.clone(), second)).or_default();
                    let known = of.entry(partition).or_default();
                    *known = [*rx.max(&known[0]), *tx.max(&known[1])];
                }
            }
        }
    }

    /// The largest sum of any layout.
    fn sums(&self) -> Model {
        let mut sums = Model::new();
        for ((_, group, second), partitions) in &self.0 {
            let sum = partitions.values().fold([0, 0], |sum, one| [sum[0] + one[0], sum[1] + one[1]]);
            let known = sums.entry((group.clone(), *second)).or_default();
            *known = [known[0].max(sum[0]), known[1].max(sum[1])];
        }
        sums
    }
}

fn without_zeros(model: Model) -> Model {
    model.into_iter().filter(|(_, sum)| *sum != [0, 0]).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// Owners are killed and replaced, possibly under another number of partitions; messages are doubled,
    /// disordered and late. Each second's sum is that of the samples that came in time, and never above all.
    #[test]
    fn sums_by_the_second_are_those_of_the_samples(
        hosts in hosts(),
        changes in proptest::collection::vec((1_000_i64..120_000, 0_u32..5), 0..3),
        ends_in_order in any::<bool>(),
    ) {
        let mut log: Vec<Logged> = (hosts.iter().enumerate())
            .flat_map(|(name, host)| {
                (0..host.seconds.len()).flat_map(move |place| logged(&name.to_string(), host, place))
            })
            .collect();
        log.sort_by_key(|logged| logged.stored_ms);
        let mut changes: BTreeMap<i64, u32> = changes.into_iter().collect();
        let mut owners = Owner::all(PartitionCount::default());
        let mut reader = Reader::default();
        let (mut read, mut absent_until) = (0, 0);
        for at_ms in (0..140_000).step_by(250) {
            if at_ms < absent_until {
                continue;
            }
            let now_ms = BEGIN_S * 1_000 + at_ms;
            while let Some(logged) = log.get(read).filter(|logged| logged.stored_ms <= now_ms) {
                owners.iter_mut().for_each(|owner| owner.read(logged));
                read += 1;
            }
            for owner in &mut owners {
                reader.take(owner.sums.tick((1, now_ms), &owner.slots, &owner.state));
            }
            // Another owner comes some time after an earlier one did.
            if let Some((_, power)) = changes.pop_first_if(|due| at_ms >= due.max(absent_until + 30_000)) {
                if ends_in_order {
                    for owner in &mut owners {
                        reader.take(owner.sums.finish((1, now_ms), &owner.slots, &owner.state));
                    }
                }
                owners = Owner::all(PartitionCount::new(1 << power).unwrap());
                absent_until = at_ms + TAKEOVER_MS;
                read = 0;
            }
        }
        let sums = without_zeros(reader.sums());
        let in_time = without_zeros(model(&hosts, false));
        prop_assert!(sums.keys().eq(in_time.keys()));
        for (sum, exact) in sums.values().flatten().zip(in_time.values().flatten()) {
            prop_assert!(sum <= exact && exact - sum <= exact / 1_024, "{} of {}", sum, exact);
        }
        let all = model(&hosts, true);
        prop_assert!(sums.iter().all(|(place, sum)| sum[0] <= all[place][0] && sum[1] <= all[place][1]));
    }
}

trait PopFirstIf {
    fn pop_first_if(&mut self, is_due: impl Fn(i64) -> bool) -> Option<(i64, u32)>;
}

impl PopFirstIf for BTreeMap<i64, u32> {
    fn pop_first_if(&mut self, is_due: impl Fn(i64) -> bool) -> Option<(i64, u32)> {
        let due = *self.first_key_value()?.0;
        if is_due(due) { self.pop_first() } else { None }
    }
}

#[test]
fn a_clock_that_was_ahead_holds_nothing_up_for_long() {
    let partitions = PartitionCount::new(256).unwrap();
    let mut owner = Owner::all(partitions).swap_remove(7);
    let mut tick = |at_s: i64| {
        owner.sums.tick((1, at_s * 1_000), &owner.slots, &owner.state);
        owner.sums.next
    };
    assert_eq!(tick(BEGIN_S + 30), Some(BEGIN_S + 20 - 20));
    assert_eq!(tick(BEGIN_S + 86_400), Some(BEGIN_S + 86_400 - 20));
    assert_eq!(tick(BEGIN_S + 60), Some(BEGIN_S + 40));
}

#[test]
fn a_label_of_single_nodes_and_groups_without_traffic_cost_nothing() {
    let partitions = PartitionCount::new(1).unwrap();
    let mut owner = Owner::all(partitions).swap_remove(0);
    for name in 0..1_100_u64 {
        let node = NodeId::from_name(&name.to_string()).unwrap();
        let labels = [("serial".to_owned(), name.to_string())].into();
        let sample = Sample {
            seq: 1,
            at_ms: BEGIN_S * 1_000,
            elapsed_ms: 1_000,
            rx_bps: Bps::new((name % 2) as f64),
            tx_bps: Bps::new(0.0),
            ..Sample::default()
        };
        let hello = Hello { labels, ..Hello::default() };
        let report = Report { node, boot: 1, hello: Some(Box::new(hello)), samples: vec![sample] };
        let subject = subject::sample(&report.node);
        let message = Message { subject: &subject, payload: &encode(&report), published_ms: BEGIN_S * 1_000 };
        owner.state.observe(message).unwrap();
    }
    let mut reader = Reader::default();
    reader.take(owner.sums.finish((1, BEGIN_S * 1_000), &owner.slots, &owner.state));
    let sums = reader.sums();
    assert_eq!(sums[&(HistorySeries::Fleet, BEGIN_S)], [550, 0]);
    let published: std::collections::BTreeSet<_> = sums.into_keys().map(|(group, _)| group).collect();
    assert!((300..=551).contains(&published.len()), "{}", published.len());
}
