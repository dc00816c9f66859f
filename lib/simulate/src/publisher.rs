//! Publishes a fleet's reports over one connection, spread over the interval.

use std::time::Duration;

use async_nats::Client;
use tidemap_service::clock::{self, Stopwatch};
use tidemap_wire::encode;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::{
    fleet::Fleet,
    plan::Limit,
    sender::{Mode, Sender},
};

/// Nodes report spread over the interval, in steps of this.
const STEP: Duration = Duration::from_millis(10);

/// A fleet on one connection.
pub(crate) struct FleetPublisher {
    fleet: Fleet,
    interval: Duration,
    limit: Limit,
    sender: Sender,
    clock: Stopwatch,
    /// Up to which time all nodes have reported, in intervals.
    reported: f64,
}

impl FleetPublisher {
    pub(crate) async fn new(
        mut fleet: Fleet,
        interval: Duration,
        limit: Limit,
        mode: &Mode,
        client: Client,
    ) -> anyhow::Result<Self> {
        fleet.nodes.sort_by(|a, b| a.phase.total_cmp(&b.phase));
        let sender = Sender::new(mode, client, &fleet).await?;
        Ok(Self { fleet, interval, limit, sender, clock: Stopwatch::start(), reported: 0.0 })
    }

    /// Publishes until `shutdown`, or until the limit is reached, and then waits until everything is
    /// acknowledged. Returns how many reports the broker has stored.
    pub(crate) async fn run(mut self, shutdown: CancellationToken) -> anyhow::Result<u64> {
        let mut tick = tokio::time::interval(STEP);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !self.is_over() {
            tokio::select! {
                // Some nodes may be due.
                _ = tick.tick() => match shutdown.run_until_cancelled(self.step()).await {
                    Some(done) => done?,
                    None => break,
                },
                // The broker has stored messages, or refuses them.
                taken = self.sender.acknowledgements() => taken?,
                // The process ends.
                () = shutdown.cancelled() => break,
            }
        }
        self.sender.finish(&shutdown).await
    }

    fn is_over(&self) -> bool {
        let now_ms = self.clock.now_ms();
        self.limit.is_over(now_ms) || !self.fleet.nodes.iter().any(|node| self.limit.allows(node.seq, now_ms))
    }

    /// Publishes the reports of the nodes that became due since the last step.
    async fn step(&mut self) -> anyhow::Result<()> {
        let due = self.clock.started().elapsed().as_secs_f64() / self.interval.as_secs_f64();
        for number in due_between(self.reported, due, &self.fleet) {
            let now_ms = self.clock.now_ms();
            let node = &mut self.fleet.nodes[number];
            if !self.limit.allows(node.seq, now_ms) {
                continue;
            }
            let Some(report) = node.report(now_ms, clock::unix_ms()) else { continue };
            self.sender.send(number, &node.id, encode(&report), now_ms).await?;
        }
        self.sender.send_due(self.clock.now_ms()).await?;
        self.reported = due;
        Ok(())
    }
}

/// The nodes that become due between two times, both in intervals. A node is due once in each interval, at
/// its phase; after a long wait no node reports twice.
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
