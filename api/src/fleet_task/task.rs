//! The loop of the task that owns the view.

use tidemap_client::{Feed, next_tick};
use tidemap_service::clock;
use tidemap_wire::timing;
use tokio::{sync::mpsc, task::JoinSet, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::fleet_task::{FleetRequest, FleetTask};

/// Ticks and answers requests until `shutdown`.
pub(crate) async fn run(
    mut task: FleetTask,
    mut feed: Feed,
    mut requests: mpsc::Receiver<FleetRequest>,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let mut tick_at = next_tick();
    let mut renewing = JoinSet::new();
    loop {
        tokio::select! {
            // The process ends.
            () = shutdown.cancelled() => return Ok(()),
            // A tick is due.
            () = tokio::time::sleep_until(tick_at) => {
                tick(&mut task, &feed);
                while renewing.try_join_next().is_some() {}
                // One at a time: a machine that takes longer than the period builds fewer.
                if renewing.is_empty() && let Some(renewal) = task.renewal() {
                    renewing.spawn(renewal.finish());
                }
                tick_at = next_tick();
            }
            // Ingest has published something. A full task leaves messages in the feed until it has ticked.
            message = feed.next(), if !task.is_full() => task.receive(message?),
            // A request has arrived.
            Some(request) = requests.recv() => answer(&mut task, request),
        }
    }
}

fn tick(task: &mut FleetTask, feed: &Feed) {
    let wall_ms = clock::unix_ms();
    let number = u64::try_from(wall_ms).unwrap_or(0) / timing::millis(timing::TICK);
    for partition in task.tick(number, Instant::now(), wall_ms) {
        feed.request_snapshot(partition);
    }
}

/// Answers one request.
pub(crate) fn answer(task: &mut FleetTask, request: FleetRequest) {
    let is_taken = match request {
        FleetRequest::Nodes(reply) => reply.send(task.nodes()).is_ok(),
        FleetRequest::Stats(reply) => reply.send(task.stats()).is_ok(),
        FleetRequest::Recent(reply) => reply.send(task.recent()).is_ok(),
        FleetRequest::Both(reply) => reply.send((task.nodes(), task.stats())).is_ok(),
        FleetRequest::DisplayNames(ids, reply) => reply.send(task.display_names(&ids)).is_ok(),
        FleetRequest::Find(name, reply) => reply.send(task.find(&name).map(Box::new)).is_ok(),
        FleetRequest::Listen(position, reply) => reply.send(task.listen(position)).is_ok(),
    };
    if !is_taken {
        tracing::trace!("a request went away before its answer");
    }
}
