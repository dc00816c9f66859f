use proptest::prelude::*;
use tidemap_wire::{
    Bps, Hello, InterfaceRate, NodeId, Probe, ReceivedReport, Sample, Status, decode, encode,
};

use super::{Node, Observed};

fn id() -> NodeId {
    NodeId::from_name("web-01").unwrap()
}

/// The sample that an agent reads in second `seq` of a run that began at `start_ms`.
fn sample(seq: u64, start_ms: i64) -> Sample {
    let bytes = seq * 1_000;
    Sample {
        seq,
        at_ms: start_ms + seq as i64 * 1_000,
        elapsed_ms: 1_000,
        rx_bytes: seq * (seq + 1) * 500,
        tx_bytes: 7,
        rx_bps: Bps::over(bytes, 1_000),
        tx_bps: Some(Bps::ZERO),
        ..Sample::default()
    }
}

fn report(boot: u64, samples: Vec<Sample>) -> ReceivedReport<'static> {
    ReceivedReport { node: "web-01", boot, hello: None, samples }
}

/// A node that has seen these samples, each published when it was read.
fn node(seen: &[(u64, u64, i64)]) -> (Node, Observed) {
    let reports: Vec<ReceivedReport<'_>> =
        seen.iter().map(|(boot, seq, start_ms)| report(*boot, vec![sample(*seq, *start_ms)])).collect();
    let mut node = Node::new(0, &reports[0], reports[0].samples[0].at_ms);
    let mut total = Observed::default();
    for report in reports {
        let published_ms = report.samples[0].at_ms;
        let outcome = node.observe(report, published_ms);
        total.applied += outcome.applied;
        total.duplicates += outcome.duplicates;
        total.rivals += outcome.rivals;
        total.restarted |= outcome.restarted;
    }
    (node, total)
}

#[test]
fn the_newest_sample_is_shown_whatever_comes_after_it() {
    let (node, outcome) = node(&[(1, 1, 0), (1, 3, 0), (1, 2, 0), (1, 3, 0)]);
    let update = node.full_update(&id());
    assert_eq!((outcome.applied, outcome.duplicates), (3, 1));
    assert_eq!(update.rx_bps.map(Bps::get), Some(3_000.0));
    assert_eq!(update.rx_avg.s10.map(Bps::get), Some(2_000.0));
    assert_eq!(update.rx_bytes, 6_000);
}

#[test]
fn a_restarted_agent_goes_on_and_its_bytes_add_up() {
    let (node, outcome) = node(&[(1, 1, 0), (1, 2, 0), (2, 1, 5_000)]);
    let update = node.full_update(&id());
    assert!(outcome.restarted);
    assert_eq!((update.boot, update.rx_bytes), (2, 3_000 + 1_000));
    assert_eq!(update.rx_bps.map(Bps::get), Some(1_000.0));
}

#[test]
fn late_samples_of_an_old_run_count_but_are_not_shown() {
    let (node, outcome) = node(&[(1, 1, 0), (2, 1, 5_000), (1, 2, 0), (3, 1, 2_500), (2, 2, 5_000)]);
    let update = node.full_update(&id());
    assert_eq!((outcome.applied, outcome.rivals, update.boot), (5, 0, 2));
    assert_eq!(update.rx_bps.map(Bps::get), Some(2_000.0));
}

#[test]
fn runs_of_one_outage_that_come_after_the_newest_count_once_each() {
    // Run 1 was known; run 2 began and ended during the outage; run 3's live sample arrives first. Each batch
    // arrives twice.
    let runs = [(1, 0, 2..=20), (2, 30_000, 1..=20), (3, 60_000, 1..=9)];
    let (mut node, _) = node(&[(1, 1, 0), (3, 10, 60_000)]);
    let mut total = Observed::default();
    for (boot, start_ms, seqs) in runs.iter().flat_map(|run| [run, run]).cloned() {
        let backlog = seqs.map(|seq| sample(seq, start_ms)).collect();
        let outcome = node.observe(report(boot, backlog), 70_100);
        total.applied += outcome.applied;
        total.duplicates += outcome.duplicates;
        assert_eq!((outcome.rivals, outcome.restarted), (0, false));
    }
    let update = node.full_update(&id());
    assert_eq!((total.applied, total.duplicates, update.boot), (48, 48, 3));
    assert_eq!(update.rx_bytes, 2 * sample(20, 0).rx_bytes + sample(10, 0).rx_bytes);
}

#[test]
fn a_second_agent_of_the_same_name_is_refused_while_the_newer_one_reports() {
    let (node, outcome) = node(&[(1, 1, 0), (2, 1, 5_000), (1, 7, 0), (2, 2, 5_000), (1, 8, 0)]);
    assert_eq!((outcome.rivals, node.full_update(&id()).boot), (2, 2));
}

#[test]
fn both_hosts_that_claim_a_name_are_known() {
    let hello = |host: &str, ip: &str| {
        let (hostname, internal_ip) = (host.to_owned(), Some(ip.to_owned()));
        Some(Box::new(Hello {
            hostname,
            internal_ip,
            display_name: Some("Web-01".to_owned()),
            ..Hello::default()
        }))
    };
    let (alpha, beta) = (hello("alpha", "192.0.2.1"), hello("Web-01", "192.0.2.2"));
    let (mut node, _) = node(&[(1, 1, 0)]);
    let mut tell = |boot, seq, start_ms, hello: &Option<Box<Hello>>| {
        let sample = sample(seq, start_ms);
        let at_ms = sample.at_ms;
        let rivals =
            node.observe(ReceivedReport { hello: hello.clone(), ..report(boot, vec![sample]) }, at_ms).rivals;
        let (shown, other) = node.claimants();
        (rivals, shown.unwrap_or_default().into_string(), other.unwrap_or_default().into_string())
    };
    let (first, second) = ("Web-01 on alpha (192.0.2.1)".to_owned(), "Web-01 (192.0.2.2)".to_owned());
    assert_eq!(tell(1, 2, 0, &alpha), (0, first.clone(), String::new()));
    // The second agent takes the name, and the first one goes on, also without another hello.
    assert_eq!(tell(2, 1, 5_000, &beta), (0, second.clone(), first.clone()));
    assert_eq!(tell(1, 7, 0, &None), (1, second.clone(), first.clone()));
    // After the second one's restart the first one is known again by its next hello.
    assert_eq!(tell(3, 1, 8_000, &beta), (0, second.clone(), second.clone()));
    assert_eq!(tell(1, 10, 0, &alpha), (1, second, first));
}

#[test]
fn the_older_agent_takes_the_name_back_when_the_newer_one_falls_silent() {
    let (node, outcome) = node(&[(1, 1, 0), (2, 1, 5_000), (1, 30, 0), (1, 31, 0)]);
    assert_eq!((outcome.rivals, node.full_update(&id()).boot), (0, 1));
}

#[test]
fn a_clock_that_was_put_back_an_hour_does_not_silence_a_node() {
    let (mut node, _) = node(&[(1, 1, 10_000_000)]);
    let back = Sample { at_ms: 10_000_000 - 3_600_000, ..sample(2, 0) };
    let outcome = node.observe(report(1, vec![back]), 10_002_000);
    let update = node.full_update(&id());
    assert_eq!((outcome.applied, update.rx_bps.map(Bps::get)), (1, Some(2_000.0)));
    assert_eq!(update.rx_avg.s10.map(Bps::get), Some(2_000.0));
    assert_eq!(update.skew_ms, -3_602_000);
}

#[test]
fn a_clock_set_back_by_minutes_leaves_averages_of_what_comes_after_it() {
    for back_ms in [50_000, 300_000, 28_800_000] {
        let at = |seq: u64| sample(seq, if seq > 20 { 50_000_000 - back_ms } else { 50_000_000 });
        let (mut node, _) = node(&[(1, 1, 50_000_000)]);
        node.lose();
        for seq in 2..=40 {
            node.observe(report(1, vec![at(seq)]), 50_000_000 + seq as i64 * 1_000);
        }
        let update = node.full_update(&id());
        assert_eq!((update.skew_ms, update.partial), (-back_ms, false), "{back_ms}");
        // Seconds 31 to 40, and 21 to 40.
        let averages = [update.rx_avg.s10, update.rx_avg.m15].map(|rate| rate.map(Bps::get));
        assert_eq!(averages, [Some(35_500.0), Some(30_500.0)]);
        let history = node.windows().history().last_60s;
        assert_eq!(history.end_ms, 50_041_000 - back_ms);
        assert_eq!(history.rx_bps.iter().flatten().count(), 20);
    }
}

#[test]
fn an_agent_that_restarts_after_its_clock_was_put_back_is_shown_again_soon() {
    // The new run's time is before the old run's beginning, so its first samples look like late ones.
    let (mut node, _) = node(&[(1, 1, 100_000), (1, 2, 100_000)]);
    for seq in 1..=7 {
        let published_ms = 102_500 + seq as i64 * 1_000;
        node.observe(report(2, vec![sample(seq, 40_000)]), published_ms);
    }
    let update = node.full_update(&id());
    assert_eq!((update.boot, update.rx_bps.map(Bps::get)), (2, Some(7_000.0)));
}

#[test]
fn a_sample_of_minutes_is_a_gap_and_not_an_average() {
    let (mut node, _) = node(&[(1, 1, 0)]);
    let long = Sample { elapsed_ms: 120_000, rx_bps: Bps::new(5_000.0), ..sample(2, 0) };
    node.observe(report(1, vec![long]), 2_000);
    assert_eq!(node.full_update(&id()).rx_avg.m15.map(Bps::get), Some(1_000.0));
}

#[test]
fn silence_is_a_warning_and_then_offline() {
    let (mut node, _) = node(&[(1, 1, 0)]);
    let mut judge = |now_ms| node.judge(now_ms, 0, 30_000);
    assert_eq!(judge(5_999), None);
    assert_eq!(judge(6_000), Some(Status::Warning));
    assert_eq!(judge(6_250), None);
    assert_eq!(judge(31_000), Some(Status::Offline));
}

#[test]
fn silence_while_the_broker_was_away_does_not_count() {
    let (mut node, _) = node(&[(1, 1, 0)]);
    assert_eq!(node.judge(61_000, 60_000, 30_000), None);
    assert_eq!(node.judge(65_000, 60_000, 30_000), Some(Status::Warning));
    // A later return of the broker does not make a silent node appear alive.
    assert_eq!(node.judge(70_000, 70_000, 30_000), None);
}

#[test]
fn an_update_is_taken_once() {
    let (mut node, _) = node(&[(1, 1, 0)]);
    assert!(node.take_update(&id()).is_some());
    assert!(node.take_update(&id()).is_none());
}

proptest! {
    #[test]
    fn duplicates_and_disorder_change_nothing(
        order in Just((1_u64..=40).collect::<Vec<_>>()).prop_shuffle(),
        again in proptest::collection::vec(1_u64..=40, 0..20),
    ) {
        let in_order: Vec<_> = (1..=40).map(|seq| (1, seq, 0)).collect();
        let mangled: Vec<_> = order.iter().chain(&again).map(|seq| (1, *seq, 0)).collect();
        let (expected, _) = node(&in_order);
        let (got, outcome) = node(&mangled);
        prop_assert_eq!(outcome.duplicates, again.len() as u64);
        let (expected, got) = (expected.full_update(&id()), got.full_update(&id()));
        prop_assert_eq!((got.rx_avg, got.tx_avg, got.rx_bps), (expected.rx_avg, expected.tx_avg, expected.rx_bps));
        prop_assert_eq!((got.rx_bytes, got.tx_bytes, got.at_ms), (expected.rx_bytes, expected.tx_bytes, expected.at_ms));
    }
}

#[test]
fn a_report_that_is_sent_again_changes_nothing_not_even_when_the_node_was_seen() {
    let old = report(1, vec![sample(1, 0)]);
    let mut captured = report(2, vec![sample(1, 5_000)]);
    captured.hello = Some(Box::new(tidemap_wire::Hello { hostname: "old".to_owned(), ..Default::default() }));
    let (mut node, _) = node(&[(1, 1, 0)]);
    node.observe(captured.clone(), 6_000);
    let mut newer = report(2, vec![sample(2, 5_000)]);
    newer.hello = Some(Box::new(tidemap_wire::Hello { hostname: "new".to_owned(), ..Default::default() }));
    node.observe(newer, 7_000);
    let before = format!("{:?}", node.full_update(&id()));
    // Also long after the agent has stopped reporting, for the current run and the one before.
    for replayed in [old, captured] {
        let outcome = node.observe(replayed, 500_000);
        assert_eq!((outcome.applied, outcome.duplicates, outcome.restarted), (0, 1, false));
    }
    assert_eq!(format!("{:?}", node.full_update(&id())), before);
}

#[test]
fn a_nodes_interfaces_are_published_every_two_seconds_at_most_and_the_last_ones_are() {
    let (mut node, _) = node(&[(1, 1, 0)]);
    let mut published = Vec::new();
    for seq in 2..30 {
        let mut sample = sample(seq, 1_000);
        let name = seq.to_string();
        sample.interfaces = Some(vec![InterfaceRate { name, rx_bps: Bps::ZERO, tx_bps: Bps::ZERO }]);
        node.observe(report(1, vec![sample]), 100_000 + i64::try_from(seq).unwrap() * 250);
        let update = node.take_update(&id()).unwrap();
        published.extend(update.interfaces.map(|interfaces| interfaces[0].name.clone()));
    }
    node.observe(report(1, vec![sample(31, 1_000)]), 120_000);
    published
        .extend(node.take_update(&id()).unwrap().interfaces.map(|interfaces| interfaces[0].name.clone()));
    assert_eq!(published, ["2", "8", "16", "24", "29"]);
}

#[test]
fn a_hello_that_changes_too_often_is_refused_but_for_its_interval() {
    let hello = |number: u32| tidemap_wire::Hello {
        hostname: number.to_string(),
        interval_ms: 1_000 + number,
        ..Default::default()
    };
    let (mut node, _) = node(&[(1, 1, 0)]);
    let refused: Vec<u32> = (0..20)
        .filter(|number| {
            let mut changed = report(1, vec![sample(2 + u64::from(*number), 1_000)]);
            changed.hello = Some(Box::new(hello(*number)));
            node.observe(changed, 1_000).is_hello_refused
        })
        .collect();
    let known = node.full_update(&id());
    // The first hello is none that changes.
    assert_eq!(refused, Vec::from_iter(14..20));
    assert_eq!((&*known.hello.unwrap().hostname, known.interval_ms), ("13", 1_019));
}

proptest! {
    /// The host's clock is put back, by less than what resets the windows or by more, and samples from before
    /// come late. At the edge itself the order decides whether the windows start over.
    #[test]
    fn a_clock_put_back_far_and_disorder_together_are_handled(
        leap_ms in prop_oneof![0_i64..41_000, 80_000_i64..10_000_000],
        order in Just((1..=40_u64).collect::<Vec<_>>()).prop_shuffle(),
    ) {
        let read = |seq: u64| {
            let mut read = sample(seq, 20_000_000);
            read.at_ms -= if seq > 20 { leap_ms } else { 0 };
            report(1, vec![read])
        };
        let state = |order: &[u64]| {
            let mut node = Node::new(0, &read(order[0]), 0);
            for seq in order {
                node.observe(read(*seq), 0);
            }
            let update = node.full_update(&id());
            (update.rx_avg, update.tx_avg, update.rx_bytes, update.at_ms)
        };
        prop_assert_eq!(state(&order), state(&(1..=40).collect::<Vec<_>>()));
    }
}

#[test]
fn a_brokers_clock_put_back_by_hours_hides_no_silence() {
    let hours_ms = 8 * 3_600_000;
    let (mut node, _) = node(&[(1, 1, hours_ms)]);
    let observe = |node: &mut Node, (boot, seq), published_ms| {
        node.observe(report(boot, vec![sample(seq, hours_ms)]), published_ms)
    };
    assert_eq!(node.judge(hours_ms + 1_000, 0, 30_000), None);
    observe(&mut node, (1, 2), 2_000);
    assert_eq!(node.judge(2_500, 0, 30_000), None);
    assert_eq!(node.seen_ms(), 2_500, "it was heard just before");
    observe(&mut node, (1, 3), 3_000);
    assert_eq!((node.seen_ms(), node.full_update(&id()).skew_ms), (3_000, hours_ms));
    assert_eq!(node.judge(8_000, 0, 30_000), Some(Status::Warning));
    assert_eq!(node.judge(33_000, 0, 30_000), Some(Status::Offline));
    assert_eq!(node.full_update(&id()).since_ms, 33_000);
    // Another agent of the name is not held for a second one.
    assert_eq!(observe(&mut node, (2, 4), 34_000).rivals, 0);
}

#[test]
fn probes_are_shown_while_the_node_probes_and_survive_a_checkpoint() {
    let found = |lost| vec![Probe { target: "icmp://fra".to_owned(), sent: 6, lost, ..Probe::default() }];
    let next = |node: &mut Node, seq: u64, probes: Option<Vec<Probe>>| {
        let sample = Sample { probes, ..sample(seq, 0) };
        let published_ms = sample.at_ms;
        node.observe(report(1, vec![sample]), published_ms);
        node.take_update(&id()).unwrap().probes
    };
    let (mut node, _) = node(&[(1, 1, 0)]);
    assert_eq!((next(&mut node, 2, None), node.full_update(&id()).probes), (None, None));
    assert_eq!(next(&mut node, 3, Some(found(1))), Some(found(1)));
    assert_eq!(next(&mut node, 4, None), None, "they have not changed");
    let mut kept: Node = decode(&encode(&node)).unwrap();
    assert_eq!(kept.full_update(&id()).probes, Some(found(1)));
    // Another minute, and then none for long: the agent was started again without probes.
    assert_eq!(next(&mut kept, 60, Some(found(2))), Some(found(2)));
    assert_eq!(next(&mut kept, 240, None), None);
    assert_eq!(next(&mut kept, 241, None), Some(vec![]));
    assert_eq!((next(&mut kept, 242, None), kept.full_update(&id()).probes), (None, None));
}
