//! Publishes a fleet's reports: acknowledged, sent again until they are, never more in flight than the broker can take.

use std::{sync::Arc, time::Duration};

use async_nats::{Client, jetstream};
use bytes::Bytes;
use tidemap_service::clock;
use tidemap_wire::{encode, subject};
use tokio::{sync::Semaphore, time::Instant};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{fleet::Fleet, plan::Limit};

/// Nodes report spread over the interval, in steps of this.
const STEP: Duration = Duration::from_millis(10);
/// Reports that wait for their acknowledgement. When it is full, nodes report later, as agents would.
const IN_FLIGHT: usize = 4_096;
/// Like an agent's.
const ACK_TIMEOUT: Duration = Duration::from_secs(5);

/// Publishes until `shutdown`, or until the limit is reached and everything is acknowledged.
pub(super) async fn run(
    mut fleet: Fleet,
    interval: Duration,
    client: Client,
    limit: Limit,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let mut js = jetstream::new(client);
    js.set_timeout(ACK_TIMEOUT);
    let room = Arc::new(Semaphore::new(IN_FLIGHT));
    let sending = TaskTracker::new();
    fleet.nodes.sort_by(|a, b| a.phase.total_cmp(&b.phase));
    let subjects: Vec<String> = fleet.nodes.iter().map(|node| subject::sample(&node.id)).collect();
    let started = Instant::now();
    let mut tick = tokio::time::interval(STEP);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    // How far into time all nodes have reported, in intervals.
    let mut reported = 0.0;
    while shutdown.run_until_cancelled(tick.tick()).await.is_some() {
        let due = started.elapsed().as_secs_f64() / interval.as_secs_f64();
        let now_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        if fleet.nodes.iter().all(|node| !limit.allows(node.seq, now_ms)) {
            break;
        }
        for number in due_between(reported, due, &fleet) {
            let run_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
            if !limit.allows(fleet.nodes[number].seq, run_ms) {
                continue;
            }
            let Some(report) = fleet.nodes[number].report(run_ms, clock::unix_ms()) else { continue };
            let Some(Ok(permit)) = shutdown.run_until_cancelled(Arc::clone(&room).acquire_owned()).await
            else {
                break;
            };
            let publish = publish(js.clone(), subjects[number].clone(), encode(&report).into());
            let stop = shutdown.clone();
            sending.spawn(async move {
                stop.run_until_cancelled(publish).await;
                drop(permit);
            });
        }
        reported = due;
    }
    sending.close();
    sending.wait().await;
    Ok(())
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

/// Sends one report until the broker has it.
async fn publish(js: jetstream::Context, subject: String, payload: Bytes) {
    loop {
        let acked = async { js.publish(subject.clone(), payload.clone()).await?.await };
        match tokio::time::timeout(ACK_TIMEOUT, acked).await {
            Ok(Ok(_)) => return,
            Ok(Err(error)) => {
                tracing::debug!(subject, %error, "not acknowledged");
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            Err(_) => tracing::debug!(subject, "no acknowledgement in time"),
        }
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
