//! The task that holds the owner.

use std::time::Duration;

use tidemap_service::clock;
use tidemap_wire::{Partition, timing};
use tokio::{sync::mpsc, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::owner::{Ask, Incoming, Owner};

/// Time between two ticks, the same as ingest's.
const TICK: Duration = timing::TICK;
/// How long after ingest's tick ours comes: its messages have arrived by then.
const AFTER_INGEST: Duration = timing::READER_OFFSET;

/// Ticks, and answers, until it is time to stop. `wanted` takes the partitions that need a snapshot.
pub(crate) async fn run(
    mut owner: Owner,
    mut incoming: mpsc::Receiver<Incoming>,
    mut asks: mpsc::Receiver<Ask>,
    wanted: mpsc::Sender<Partition>,
    shutdown: CancellationToken,
) {
    let mut tick_at = clock::next_multiple(TICK, AFTER_INGEST);
    loop {
        tokio::select! {
            // The process ends.
            () = shutdown.cancelled() => return,
            // A tick is due.
            () = tokio::time::sleep_until(tick_at) => {
                tick(&mut owner, &wanted);
                tick_at = clock::next_multiple(TICK, AFTER_INGEST);
            }
            // The broker has sent something. A full owner leaves it where it is until it has ticked.
            Some(message) = incoming.recv(), if !owner.is_full() => owner.receive(message),
            // A request asks for something.
            Some(ask) = asks.recv() => answer(&mut owner, ask),
        }
    }
}

fn tick(owner: &mut Owner, wanted: &mpsc::Sender<Partition>) {
    let wall_ms = clock::unix_ms();
    let number = u64::try_from(wall_ms).unwrap_or(0) / TICK.as_millis() as u64;
    for partition in owner.tick(number, Instant::now(), wall_ms) {
        // There is room for every partition; without a taker the next try comes as after any failure.
        if wanted.try_send(partition).is_err() {
            owner.receive(Incoming::NoSnapshot(partition));
        }
    }
}

/// Answers one question.
pub(crate) fn answer(owner: &mut Owner, ask: Ask) {
    let taken = match ask {
        Ask::Nodes(reply) => reply.send(owner.nodes()).is_ok(),
        Ask::Stats(reply) => reply.send(owner.stats()).is_ok(),
        Ask::Both(reply) => reply.send((owner.nodes(), owner.stats())).is_ok(),
        Ask::Find(name, reply) => reply.send(owner.find(&name).map(Box::new)).is_ok(),
        Ask::Listen(place, reply) => reply.send(owner.listen(place)).is_ok(),
    };
    if !taken {
        tracing::trace!("a request went away before its answer");
    }
}
