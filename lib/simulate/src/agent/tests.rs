use std::time::Duration;

use super::*;
use crate::fleet::Fleet;

const START_MS: i64 = 1_700_000_000_000;

fn agents(faults: AgentFaults) -> Vec<SimulatedAgent> {
    let fleet = Fleet::new(20, Duration::from_secs(1), 3);
    fleet.nodes.into_iter().map(|node| SimulatedAgent::new(node, 1_000, faults)).collect()
}

/// What a broker that loses nothing has acknowledged after 20 s.
fn acknowledged(faults: AgentFaults) -> Vec<Entry> {
    let mut entries = Vec::new();
    for mut agent in agents(faults) {
        for run_ms in (0..20_000).step_by(10) {
            agent.sample(run_ms, START_MS + run_ms as i64);
            while let Some(sending) = agent.next(run_ms) {
                entries.extend(agent.acknowledged(sending.run, sending.id, run_ms));
            }
        }
        assert!(agent.is_done());
    }
    entries
}

#[test]
fn acknowledged_samples_are_listed_once_and_their_bytes_add_up() {
    let faults = AgentFaults { restart_every_ms: Some(3_000), churn: 0.5, ..AgentFaults::default() };
    let entries = acknowledged(faults);
    assert_eq!(entries.len(), 20 * 20);
    let mut sums: BTreeMap<(NodeId, u64), (u64, u64)> = BTreeMap::new();
    for entry in &entries {
        let (seq, sum) = sums.entry((entry.node.clone(), entry.boot)).or_default();
        (*seq, *sum) = (*seq + 1, *sum + entry.rx_bytes);
        assert_eq!((entry.seq, entry.rx_sum), (*seq, *sum));
    }
    assert!((20 + 40..20 + 90).contains(&sums.len()), "{} runs", sums.len());
}

#[test]
fn clocks_are_skewed_and_put_back_once() {
    let faults = AgentFaults { skew_ms: 3_600_000, leap_ms: 60_000, ..AgentFaults::default() };
    let entries = acknowledged(faults);
    let first = entries.iter().filter(|entry| entry.seq == 1);
    assert!(first.clone().any(|entry| entry.at_ms < START_MS - 600_000));
    assert!(first.clone().any(|entry| entry.at_ms > START_MS + 600_000));
    let falls =
        entries.windows(2).filter(|pair| pair[0].node == pair[1].node && pair[1].at_ms < pair[0].at_ms);
    assert!((10..=20).contains(&falls.count()), "a leap may be shorter than an interval");
}

#[test]
fn the_same_seed_makes_the_same_ack_log() {
    let faults = AgentFaults { skew_ms: 1_000, restart_every_ms: Some(4_000), churn: 1.0, leap_ms: 0 };
    assert_eq!(acknowledged(faults), acknowledged(faults));
}

#[test]
fn unacknowledged_samples_are_resent_and_count_once() {
    let mut agent = agents(AgentFaults::default()).remove(1);
    while !agent.sample(500, START_MS) && !agent.sample(1_500, START_MS) {}
    let lost = agent.next(1_500).unwrap();
    assert!(agent.next(1_500).is_none());
    agent.reconnected(true);
    let again = agent.next(1_600).unwrap();
    assert_eq!(again.report.samples, lost.report.samples);
    assert_eq!(agent.acknowledged(again.run, again.id, 1_700).len(), 1);
    agent.reconnected(true);
    let resent = agent.next(1_800).unwrap();
    assert_eq!(resent.report.samples, lost.report.samples);
    assert!(agent.acknowledged(resent.run, resent.id, 1_900).is_empty());
}
