use proptest::prelude::*;

use super::*;

/// A bucket with one key.
#[derive(Default)]
struct Bucket {
    lease: Option<(String, u64)>,
    last: u64,
    created: i64,
}

impl Bucket {
    fn write(&mut self, owner: &str, over: u64) -> Option<u64> {
        let revision = self.lease.as_ref().map_or(0, |(_, revision)| *revision);
        (revision == over).then(|| {
            self.last += 1;
            self.lease = Some((owner.to_owned(), self.last));
            self.last
        })
    }

    fn read(&self) -> Option<(&str, u64)> {
        self.lease.as_ref().map(|(owner, revision)| (owner.as_str(), *revision))
    }
}

/// What happens to one of three stations, or to the broker, for some time.
#[derive(Clone, Debug)]
enum Fault {
    /// It stands still.
    Frozen(usize),
    /// It does not reach the broker.
    CutOff(usize),
    /// Its writes are stored, and it does not hear of them.
    Unanswered(usize),
    /// Nobody reaches the broker.
    BrokerAway,
    /// The broker loses the bucket.
    BucketLost,
    Nothing,
}

fn fault() -> impl Strategy<Value = (Fault, u64)> {
    let fault = prop_oneof![
        (0..3_usize).prop_map(Fault::Frozen),
        (0..3_usize).prop_map(Fault::CutOff),
        (0..3_usize).prop_map(Fault::Unanswered),
        Just(Fault::BrokerAway),
        Just(Fault::BucketLost),
        Just(Fault::Nothing),
    ];
    (fault, 1..30_u64)
}

struct World {
    bucket: Bucket,
    stations: [LeaseView; 3],
    now_ms: u64,
}

impl World {
    fn new() -> Self {
        let stations = ["a", "b", "c"].map(LeaseView::new);
        Self { bucket: Bucket::default(), stations, now_ms: 0 }
    }

    /// A quarter of a second.
    fn step(&mut self, fault: &Fault) {
        self.now_ms += 250;
        for index in 0..3 {
            let (is_frozen, reaches, answered) = match fault {
                Fault::Frozen(station) => (*station == index, true, true),
                Fault::CutOff(station) => (false, *station != index, true),
                Fault::Unanswered(station) => (false, true, *station != index),
                Fault::BrokerAway => (false, false, true),
                Fault::BucketLost | Fault::Nothing => (false, true, true),
            };
            // Each station acts once a second, at a time of its own.
            let is_due = self.now_ms / 250 % 4 == index as u64;
            if is_frozen || !is_due || !reaches {
                continue;
            }
            let station = &mut self.stations[index];
            if answered {
                station.observe(self.bucket.read(), self.bucket.created, self.now_ms);
            }
            if let LeaseAction::Write { revision } = station.plan(self.now_ms)
                && let Some(revision) = self.bucket.write(&station.me.clone(), revision)
                && answered
            {
                station.written(revision, self.now_ms);
            }
        }
    }

    fn active(&self) -> Vec<usize> {
        (0..3).filter(|index| self.stations[*index].is_active(self.now_ms)).collect()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn never_two_stations_judge_and_one_does_once_faults_are_over(faults in prop::collection::vec(fault(), 1..20)) {
        let mut world = World::new();
        for (fault, seconds) in faults {
            if matches!(fault, Fault::BucketLost) {
                world.bucket = Bucket { created: world.bucket.created + 1, ..Bucket::default() };
            }
            for _ in 0..seconds * 4 {
                world.step(&fault);
                prop_assert!(world.active().len() <= 1, "{fault:?}: {:?}", world.stations);
            }
        }
        for _ in 0..15 * 4 {
            world.step(&Fault::Nothing);
        }
        prop_assert_eq!(world.active().len(), 1, "{:?}", world.stations);
    }
}

#[test]
fn a_station_takes_over_five_seconds_after_the_others_death() {
    let mut world = World::new();
    while world.active().is_empty() {
        world.step(&Fault::Nothing);
    }
    let first = world.active()[0];
    for _ in 0..20 {
        world.step(&Fault::Nothing);
        assert_eq!(world.active(), [first]);
    }
    let died_ms = world.now_ms;
    while world.active() == [first] || world.active().is_empty() {
        world.step(&Fault::Frozen(first));
        assert!(world.now_ms - died_ms <= 7_500, "nobody has taken over");
    }
    assert!(world.now_ms - died_ms >= 4_000, "{} ms", world.now_ms - died_ms);
}

#[test]
fn an_outage_of_the_broker_changes_no_owner() {
    let mut world = World::new();
    while world.active().is_empty() {
        world.step(&Fault::Nothing);
    }
    let owner = world.active();
    for _ in 0..240 {
        world.step(&Fault::BrokerAway);
    }
    assert!(world.active().is_empty(), "judges without a broker");
    for _ in 0..8 {
        world.step(&Fault::Nothing);
    }
    assert_eq!(world.active(), owner);
}

#[test]
fn a_released_lease_is_taken_at_once_and_a_lost_one_goes_back_to_its_holder() {
    let mut station = LeaseView::new("b");
    station.observe(Some(("a", 7)), 1, 0);
    assert_eq!(station.plan(0), LeaseAction::Wait);
    station.observe(Some(("", 8)), 1, 1_000);
    assert_eq!(station.plan(1_000), LeaseAction::Write { revision: 8 });
    station.written(9, 1_000);
    station.observe(None, 2, 2_000);
    assert_eq!(station.plan(2_000), LeaseAction::Write { revision: 0 });
    let mut other = LeaseView::new("c");
    other.observe(Some(("b", 9)), 1, 1_500);
    other.observe(None, 1, 2_100);
    assert_eq!(other.plan(2_100), LeaseAction::Wait);
}
