//! Has a fleet report, each node at its moment of the interval, over one connection.

use std::time::Duration;

use async_nats::Client;
use tidemap_service::clock;
use tidemap_wire::encode;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use super::{
    fleet::Fleet,
    mail::{Mail, Post},
    plan::Limit,
};

/// Nodes report spread over the interval, in steps of this.
const STEP: Duration = Duration::from_millis(10);

/// Publishes until `shutdown`, or until the limit is reached; then until what was sent is answered. Returns how many
/// reports the broker has, as far as we are told.
pub(super) async fn run(
    mut fleet: Fleet,
    interval: Duration,
    (client, post): (Client, Post),
    limit: Limit,
    shutdown: CancellationToken,
) -> u64 {
    fleet.nodes.sort_by(|a, b| a.phase.total_cmp(&b.phase));
    let mut mail = Mail::new(&post, client, &fleet);
    let started = Instant::now();
    let mut tick = tokio::time::interval(STEP);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // How far into time all nodes have reported, in intervals.
    let mut reported = 0.0;
    while shutdown.run_until_cancelled(tick.tick()).await.is_some() {
        let due = started.elapsed().as_secs_f64() / interval.as_secs_f64();
        let now_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        if limit.is_over(now_ms) || fleet.nodes.iter().all(|node| !limit.allows(node.seq, now_ms)) {
            break;
        }
        for number in due_between(reported, due, &fleet) {
            let run_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
            let node = &mut fleet.nodes[number];
            if !limit.allows(node.seq, run_ms) {
                continue;
            }
            let Some(report) = node.report(run_ms, clock::unix_ms()) else { continue };
            let sending = mail.send(number, &node.id, encode(&report), run_ms);
            if shutdown.run_until_cancelled(sending).await.is_none() {
                break;
            }
        }
        mail.send_due(now_ms).await;
        reported = due;
    }
    mail.finish(&shutdown).await
}

/// The nodes whose turn comes between two times, both counted in intervals. A node's turn comes once in each
/// interval, at its phase; after a long wait nobody reports twice.
fn due_between(from: f64, to: f64, fleet: &Fleet) -> Vec<usize> {
    let nodes = &fleet.nodes;
    let below = |phase: f64| nodes.partition_point(|node| node.phase < phase);
    let (start, end) = (below(from.fract()), below(to.fract()));
    if to - from >= 1.0 {
        (0..nodes.len()).collect()
    } else if from.trunc() == to.trunc() {
        (start..end).collect()
    } else {
        (start..nodes.len()).chain(0..end).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_node_reports_once_an_interval() {
        let fleet = Fleet::new(100, Duration::from_secs(1), 3);
        let mut fleet = Fleet { nodes: fleet.nodes };
        fleet.nodes.sort_by(|a, b| a.phase.total_cmp(&b.phase));
        let mut counts = [0; 100];
        let steps: Vec<f64> = (0..=300).map(|step| f64::from(step) * 0.01).collect();
        for pair in steps.windows(2) {
            for number in due_between(pair[0], pair[1], &fleet) {
                counts[number] += 1;
            }
        }
        assert!(counts.iter().all(|count| *count == 3), "{counts:?}");
        assert_eq!(due_between(0.5, 7.5, &fleet).len(), 100);
    }
}
