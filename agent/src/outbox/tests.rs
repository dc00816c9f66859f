use proptest::prelude::*;

use tidemap_wire::{Bps, Host, InterfaceRate};

use super::*;
use crate::ring::CAPACITY;

fn outbox() -> Outbox {
    Outbox::new(NodeId::from_name("a").unwrap(), 1)
}

fn sample(seq: u64) -> Sample {
    Sample { seq, ..Sample::default() }
}

fn hello() -> Option<Hello> {
    Some(Hello { hostname: "a".into(), ..Hello::default() })
}

fn seqs(batch: &Batch) -> Vec<u64> {
    batch.report.samples.iter().map(|sample| sample.seq).collect()
}

fn pending(outbox: &Outbox) -> usize {
    outbox.pending().count()
}

/// Takes all batches that may be sent now; returns each batch's number and sequence numbers.
fn sent(outbox: &mut Outbox, now_ms: u64) -> Vec<(u64, Vec<u64>)> {
    std::iter::from_fn(|| outbox.next(now_ms)).map(|batch| (batch.id, seqs(&batch))).collect()
}

#[test]
fn a_live_sample_goes_out_at_once_and_alone_and_is_done_when_acknowledged() {
    let mut outbox = outbox();
    outbox.push(sample(1), None, 0);
    assert_eq!(sent(&mut outbox, 0), [(0, vec![1])]);
    assert_eq!((pending(&outbox), outbox.is_done()), (1, false));
    assert_eq!(outbox.acknowledged(0, 9), Some(Delivery { boot: 1, seqs: vec![1] }));
    assert!(outbox.is_done());
    assert_eq!(outbox.acknowledged(0, 9), None);
    assert_eq!(sent(&mut outbox, 60_000), []);
}

#[test]
fn after_an_outage_the_live_sample_is_first_and_the_rest_follows_oldest_first() {
    let mut outbox = outbox();
    for seq in 1..=300 {
        outbox.push(sample(seq), None, seq * 1000);
    }
    let batches = sent(&mut outbox, 300_000);
    assert_eq!(
        batches.iter().map(|(_, seqs)| (seqs[0], seqs.len())).collect::<Vec<_>>(),
        [(300, 1), (1, 60), (61, 60), (121, 60)]
    );
    // All four places in flight are taken; once the live sample is acknowledged, the next live sample takes
    // its place.
    outbox.acknowledged(batches[0].0, 300_400);
    assert_eq!(sent(&mut outbox, 300_500), []);
    outbox.push(sample(301), None, 301_000);
    assert_eq!(sent(&mut outbox, 301_000), [(4, vec![301])]);
    for (id, _) in &batches[1..] {
        outbox.acknowledged(*id, 301_050);
    }
    outbox.acknowledged(4, 301_050);
    let rest = sent(&mut outbox, 301_100);
    assert_eq!(
        rest.iter().map(|(_, seqs)| (seqs[0], seqs.len())).collect::<Vec<_>>(),
        [(181, 60), (241, 59)]
    );
    for (id, _) in rest {
        outbox.acknowledged(id, 301_200);
    }
    assert!(outbox.is_done());
}

/// The log keeps so many reports of a node for ten minutes and refuses more (`streams`).
#[test]
fn at_the_shortest_interval_an_agent_needs_a_quarter_of_its_place_in_the_log() {
    let mut outbox = outbox();
    let rate = |name: &str| InterfaceRate { name: name.into(), rx_bps: Bps::ZERO, tx_bps: Bps::ZERO };
    let (mut reports, mut bytes) = (0, 0);
    // Ten minutes of samples, and those of an outage before: the ring is full.
    for number in 0..3_000 {
        let now_ms = number * 250;
        let detail = number % 20 == 0;
        let sample = Sample {
            at_ms: i64::MAX,
            rx_bytes: u64::MAX,
            tx_bytes: u64::MAX,
            rx_bps: Some(Bps::ZERO),
            tx_bps: Some(Bps::ZERO),
            interfaces: detail.then(|| (0..8).map(|one| rate(&format!("eth{one}"))).collect()),
            host: detail.then(|| Box::new(Host { memory_used_bytes: Some(u64::MAX), ..Host::default() })),
            ..sample(number + 1)
        };
        outbox.push(sample, hello().filter(|_| number == 0), now_ms);
        while number >= 600
            && let Some(batch) = outbox.next(now_ms)
        {
            (reports, bytes) = (reports + 1, bytes + encode(&batch.report).len());
            outbox.acknowledged(batch.id, now_ms);
        }
    }
    println!("{reports} reports, {bytes} bytes");
    assert!((2_400..2_500).contains(&reports) && bytes < 1_000_000, "{reports} reports, {bytes} bytes");
    assert!(4 * reports < tidemap_service::streams::MAX_REPORTS_OF_A_NODE);
}

#[test]
fn unacknowledged_samples_are_resent_after_five_seconds_and_a_pause() {
    let mut outbox = outbox();
    outbox.push(sample(1), None, 0);
    assert_eq!(sent(&mut outbox, 0), [(0, vec![1])]);
    assert_eq!((outbox.expire(4_999), sent(&mut outbox, 4_999)), (0, vec![]));
    assert_eq!((outbox.expire(5_000), sent(&mut outbox, 5_499)), (1, vec![]));
    assert_eq!(sent(&mut outbox, 5_500), [(1, vec![1])]);
    // The first acknowledgement comes after all, too late.
    assert_eq!(outbox.acknowledged(0, 5_600), None);
    assert!(!outbox.is_done());
}

#[test]
fn refused_reports_back_off_while_live_samples_continue() {
    let mut outbox = outbox();
    outbox.push(sample(1), None, 0);
    let first = sent(&mut outbox, 0);
    outbox.refused(first[0].0, 0);
    assert_eq!(sent(&mut outbox, 499), []);
    let second = sent(&mut outbox, 500);
    outbox.refused(second[0].0, 500);
    assert_eq!(sent(&mut outbox, 1_499), []);
    outbox.push(sample(2), None, 1_499);
    assert_eq!(sent(&mut outbox, 1_499), [(2, vec![2])]);
    outbox.acknowledged(2, 1_499);
    assert_eq!(sent(&mut outbox, 1_499), [(3, vec![1])]);
}

#[test]
fn a_new_server_gets_the_last_acknowledged_samples_again_and_the_same_server_only_those_in_flight() {
    let mut outbox = outbox();
    for seq in 1..=20 {
        outbox.push(sample(seq), None, seq * 1000);
        for (id, _) in sent(&mut outbox, seq * 1000) {
            outbox.acknowledged(id, seq * 1000);
        }
    }
    outbox.push(sample(21), None, 21_000);
    sent(&mut outbox, 21_000);
    outbox.reconnected(false);
    assert_eq!(sent(&mut outbox, 21_500).into_iter().map(|(_, seqs)| seqs).collect::<Vec<_>>(), [[21]]);
    // A minute later; what counts is the old server's last acknowledgement.
    outbox.reconnected(true);
    let resent: Vec<_> = sent(&mut outbox, 81_000).into_iter().map(|(_, seqs)| seqs).collect();
    assert_eq!(resent, [(10..=21).collect::<Vec<_>>()]);
}

#[test]
fn a_backlog_that_was_stored_a_moment_before_is_sent_to_a_new_server_again() {
    let mut outbox = outbox();
    for seq in 1..=40 {
        outbox.push(sample(seq), None, seq * 1000);
    }
    for (id, _) in sent(&mut outbox, 40_000) {
        outbox.acknowledged(id, 40_100);
    }
    assert!(outbox.is_done());
    outbox.reconnected(true);
    assert_eq!(pending(&outbox), 40);
}

#[test]
fn samples_of_an_earlier_run_follow_the_first_live_sample_with_their_own_boot() {
    let mut outbox = outbox();
    outbox.restore([(7, sample(8)), (7, sample(9)), (8, sample(1))]);
    assert_eq!(sent(&mut outbox, 0), []);
    outbox.push(sample(1), None, 250);
    let sent: Vec<_> =
        std::iter::from_fn(|| outbox.next(250)).map(|batch| (batch.report.boot, seqs(&batch))).collect();
    assert_eq!(sent, [(1, vec![1]), (7, vec![8, 9]), (8, vec![1])]);
    assert_eq!(outbox.acknowledged(1, 300), Some(Delivery { boot: 7, seqs: vec![8, 9] }));
}

#[test]
fn a_broker_that_never_answers_gets_ever_fewer_reports() {
    let mut outbox = outbox();
    let mut reports = 0;
    for now_ms in (0..600_000).step_by(250) {
        if now_ms % 1000 == 0 {
            outbox.push(sample(now_ms / 1000), None, now_ms);
        }
        outbox.expire(now_ms);
        reports += sent(&mut outbox, now_ms).len();
    }
    // At most four in flight, five seconds each, for ten minutes.
    assert!((120..=480).contains(&reports), "{reports}");
}

#[test]
fn samples_beyond_the_ring_are_counted_as_lost_unless_they_were_stored() {
    let mut outbox = outbox();
    outbox.push(sample(0), None, 0);
    let live = sent(&mut outbox, 0);
    outbox.acknowledged(live[0].0, 0);
    for seq in 1..=CAPACITY as u64 + 2 {
        outbox.push(sample(seq), None, seq);
    }
    assert_eq!((outbox.lost(), pending(&outbox)), (2, CAPACITY));
    outbox.push(sample(1_000), hello(), 1_000);
    assert_eq!(outbox.next(1_000).unwrap().report.hello.unwrap().lost_samples, Some(3));
}

#[test]
fn the_hello_is_sent_first_each_minute_and_after_a_loss_or_change() {
    let mut outbox = outbox();
    let mut says_hello = |now_ms: u64, hello: Option<Hello>, stored: bool| {
        outbox.push(sample(now_ms), hello, now_ms);
        let batch = outbox.next(now_ms).unwrap();
        if stored {
            outbox.acknowledged(batch.id, now_ms);
        } else {
            outbox.reconnected(false);
        }
        batch.report.hello.is_some()
    };
    assert!(says_hello(0, hello(), false));
    assert!(says_hello(1_000, None, true));
    assert!(!says_hello(2_000, None, true));
    assert!(!says_hello(60_999, None, true));
    assert!(says_hello(61_000, None, true));
    assert!(says_hello(62_000, hello(), true));
    assert!(!says_hello(63_000, None, true));
}

#[test]
fn a_batch_of_backlog_never_carries_the_hello() {
    let mut outbox = outbox();
    outbox.push(sample(1), None, 0);
    outbox.push(sample(2), hello(), 1_000);
    outbox.push(sample(3), None, 2_000);
    let live = outbox.next(2_000).unwrap();
    assert_eq!((seqs(&live), live.report.hello.is_some()), (vec![3], true));
    assert_eq!(outbox.next(2_000), None, "readers learn first who this is");
    outbox.acknowledged(live.id, 2_100);
    let batch = outbox.next(2_100).unwrap();
    assert_eq!((seqs(&batch), batch.report.hello), (vec![1, 2], None));
}

/// Sends a live sample; returns its number and whether it carries the hello.
fn send_live(outbox: &mut Outbox, now_ms: u64, hello: Option<Hello>) -> (u64, bool) {
    outbox.push(sample(now_ms), hello, now_ms);
    let batch = outbox.next(now_ms).unwrap();
    (batch.id, batch.report.hello.is_some())
}

#[test]
fn the_last_sample_of_a_run_carries_the_hello_again_until_it_is_stored() {
    let mut outbox = outbox();
    outbox.push(sample(1), None, 0);
    let (first, _) = send_live(&mut outbox, 1_000, hello());
    outbox.refused(first, 1_100);
    assert_eq!(outbox.next(1_599), None, "not before the pause is over");
    let again = outbox.next(1_600).unwrap();
    assert_eq!((seqs(&again), again.report.hello.is_some()), (vec![1_000], true));
    outbox.acknowledged(again.id, 1_700);
    assert_eq!(outbox.next(1_700).map(|batch| seqs(&batch)), Some(vec![1]));
}

#[test]
fn each_live_sample_carries_the_hello_until_one_of_them_is_stored() {
    let mut outbox = outbox();
    assert_eq!(send_live(&mut outbox, 0, hello()), (0, true));
    assert_eq!(send_live(&mut outbox, 1_000, None), (1, true));
    outbox.acknowledged(1, 1_100);
    outbox.acknowledged(0, 1_200);
    assert_eq!(send_live(&mut outbox, 2_000, None), (2, false));
    outbox.acknowledged(2, 2_100);

    assert_eq!(send_live(&mut outbox, 61_200, None), (3, true));
    assert_eq!(send_live(&mut outbox, 62_000, hello()), (4, true));
    // An acknowledgement of the former hello does not cover the new one.
    outbox.acknowledged(3, 62_100);
    assert_eq!(send_live(&mut outbox, 63_000, None), (5, true));
    outbox.acknowledged(4, 63_100);
    assert_eq!(send_live(&mut outbox, 64_000, None), (6, false));
}

#[test]
fn a_batch_stays_far_below_the_largest_message() {
    let mut outbox = outbox();
    let wide = |seq| {
        let rate = tidemap_wire::InterfaceRate {
            name: "enp0s31f6".into(),
            rx_bps: tidemap_wire::Bps::ZERO,
            tx_bps: tidemap_wire::Bps::ZERO,
        };
        Sample { interfaces: Some(vec![rate; 64]), ..sample(seq) }
    };
    for seq in 0..60 {
        outbox.push(wide(seq), None, seq);
    }
    outbox.next(100).unwrap();
    let batch = outbox.next(100).unwrap();
    let size = encode(&batch.report).len();
    assert!(batch.report.samples.len() > 1 && size < 33 * 1024, "{size}");
}

#[test]
fn a_typical_report_takes_at_most_200_bytes() {
    let mut outbox = Outbox::new(NodeId::from_name("web-01.example.com").unwrap(), u64::MAX);
    let busy = Sample {
        seq: 86_400,
        at_ms: 1_800_000_000_000,
        elapsed_ms: 1_000,
        rx_bytes: 1 << 45,
        tx_bytes: 1 << 45,
        rx_bps: tidemap_wire::Bps::new(123_456_789.0),
        tx_bps: tidemap_wire::Bps::new(123_456_789.0),
        ..Sample::default()
    };
    outbox.push(busy, None, 0);
    let size = encode(&outbox.next(0).unwrap().report).len();
    assert!(size <= 200, "{size}");
}

#[derive(Clone, Debug)]
enum Act {
    Push,
    Ack(usize),
    Refuse(usize),
    Wait(u64),
    Reconnect(bool),
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        4 => Just(Act::Push),
        3 => (0_usize..8).prop_map(Act::Ack),
        1 => (0_usize..8).prop_map(Act::Refuse),
        2 => (0_u64..6_000).prop_map(Act::Wait),
        1 => any::<bool>().prop_map(Act::Reconnect),
    ];
    proptest::collection::vec(act, 0..200)
}

proptest! {
    #[test]
    fn whatever_the_broker_does_no_sample_is_lost_and_live_samples_never_wait(
        acts in acts(),
        hello in prop::option::of(Just(Hello::default())),
    ) {
        let mut outbox = outbox();
        let (mut now_ms, mut seq, mut flying) = (0, 0, Vec::new());
        for act in acts {
            match act {
                Act::Push => {
                    seq += 1;
                    outbox.push(sample(seq), hello.clone().filter(|_| seq == 1), now_ms);
                }
                Act::Ack(at) if at < flying.len() => {
                    outbox.acknowledged(flying.swap_remove(at), now_ms);
                }
                Act::Refuse(at) if at < flying.len() => outbox.refused(flying.swap_remove(at), now_ms),
                Act::Ack(_) | Act::Refuse(_) => {}
                Act::Wait(ms) => now_ms += ms,
                Act::Reconnect(new) => outbox.reconnected(new),
            }
            outbox.expire(now_ms);
            let live = outbox.ring.newest().is_some_and(|newest| newest.state == DeliveryState::New);
            let room = outbox.in_flight.len() < MAX_IN_FLIGHT;
            for (at, (id, seqs)) in sent(&mut outbox, now_ms).into_iter().enumerate() {
                prop_assert!(seqs.is_sorted());
                prop_assert!(at > 0 || !live || seqs == [seq], "the live sample went first");
                flying.push(id);
            }
            prop_assert!(!(live && room) || outbox.ring.newest().is_some_and(|newest| newest.state != DeliveryState::New));
            prop_assert!(outbox.in_flight.len() <= MAX_IN_FLIGHT);
        }
        // A broker that works again gets all samples in the end.
        outbox.reconnected(false);
        while let Some(batch) = outbox.next(now_ms) {
            outbox.acknowledged(batch.id, now_ms);
        }
        prop_assert!(outbox.is_done());
    }
}
