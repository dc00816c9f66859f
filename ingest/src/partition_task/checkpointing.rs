//! The checkpoints of a task: loaded when it begins, written in rounds, and once more when it ends.

use std::{collections::BTreeMap, ops::ControlFlow, sync::Arc, time::Duration};

use anyhow::Context;
use async_nats::jetstream;
use bytes::Bytes;
use tidemap_service::{causes::causes, streams};
use tidemap_wire::NodeId;
use tokio::{
    sync::{
        Notify,
        mpsc::{self, error::TrySendError},
    },
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

use super::Assignment;
use crate::{
    checkpoint::{Checkpoint, Part, Round},
    checkpoint_store::{self, CheckpointWriter, Restored, WriteRequest},
    replica::Replica,
};

/// Between attempts to load checkpoints.
const RETRY: Duration = Duration::from_millis(250);
/// Within this many ticks every part is written once.
const ROUND_TICKS: usize = 40;
/// How long writing the last checkpoints may take. The next owner reads from the log what is missing in them.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(4);

/// The writer of a task's checkpoints, and which is next.
pub(super) struct Checkpointing {
    requests: mpsc::Sender<WriteRequest>,
    writer: JoinHandle<anyhow::Result<u64>>,
    hurry: CancellationToken,
    round: Round,
}

/// Loads the checkpoints, however long that takes.
pub(super) async fn load(js: &jetstream::Context, assignment: &Assignment) -> Restored {
    let log = assignment.log();
    loop {
        match checkpoint_store::load(js, &log.stream, &log.content, &assignment.slots).await {
            Ok(restored) => return restored,
            Err(error) => {
                tracing::warn!(partition = %assignment.partition, "cannot load checkpoints yet: {}", causes(error.as_ref()));
            }
        }
        tokio::time::sleep(RETRY).await;
    }
}

impl Checkpointing {
    /// Starts the writer. `revisions` are those of the parts that were loaded; `missing` is notified when one
    /// cannot be written.
    pub(super) async fn start(
        js: &jetstream::Context,
        assignment: &Assignment,
        revisions: BTreeMap<Part, u64>,
        missing: &Arc<Notify>,
    ) -> anyhow::Result<Self> {
        let bucket = streams::open_bucket(js, streams::CHECKPOINTS).await?;
        let mut writer = CheckpointWriter::new(bucket, assignment.epoch, revisions);
        writer.missing = Arc::clone(missing);
        let hurry = writer.hurry.clone();
        // While a write waits for the broker, only a few more are prepared, because they would become
        // outdated.
        let (requests, received) = mpsc::channel(4);
        let writer = tokio::spawn(writer.run(received));
        Ok(Self { requests, writer, hurry, round: Round::over(ROUND_TICKS) })
    }

    /// Passes the due checkpoints to the writer, as long as it keeps up. Breaks if the writer has found a
    /// later owner's checkpoint.
    pub(super) fn write(&mut self, assignment: &Assignment, replica: &Replica) -> ControlFlow<()> {
        self.round.tick(|| replica.state.parts(&assignment.slots));
        while let Some(part) = self.round.due() {
            let request = match self.requests.try_reserve() {
                Ok(request) => request,
                Err(TrySendError::Full(())) => break,
                // The writer's error is reported when it is awaited.
                Err(TrySendError::Closed(())) => return ControlFlow::Break(()),
            };
            let values = encode(assignment, replica, part);
            let written: Vec<Part> = values.iter().map(|(part, _)| *part).collect();
            request.send(WriteRequest::Put(values));
            if let Some(parts) = self.round.done(written)
                && let Ok(request) = self.requests.try_reserve()
            {
                request.send(WriteRequest::Complete(parts));
            }
        }
        ControlFlow::Continue(())
    }

    /// Writes the part of a node that was just forgotten: otherwise its last reports would bring it back if
    /// this worker is killed. While the writer is busy, the part waits for its turn in the round.
    pub(super) fn write_part_of(&self, assignment: &Assignment, replica: &Replica, node: &NodeId) {
        let parts = replica.state.parts(&assignment.slots);
        let Some(part) = parts.into_iter().find(|part| part.contains(node)) else { return };
        if let Ok(request) = self.requests.try_reserve() {
            request.send(WriteRequest::Put(encode(assignment, replica, part)));
        }
    }

    /// Writes all parts once more, so that the next owner has nothing to read. What cannot be written in time
    /// is still in the log.
    pub(super) async fn finish(self, assignment: &Assignment, replica: &Replica) -> anyhow::Result<()> {
        let Self { requests, mut writer, hurry, .. } = self;
        hurry.cancel();
        let written = async {
            write_all(requests, assignment, replica).await;
            (&mut writer).await
        };
        let Ok(ended) = tokio::time::timeout(SHUTDOWN_TIMEOUT, written).await else {
            writer.abort();
            tracing::warn!("the last checkpoints could not be written in time");
            return Ok(());
        };
        ended.context("the writer of checkpoints")??;
        Ok(())
    }
}

/// Also while publishing is frozen: after the broker has lost its disk, this task's state is the only copy.
async fn write_all(requests: mpsc::Sender<WriteRequest>, assignment: &Assignment, replica: &Replica) {
    if !replica.contains_its_checkpoints() {
        return;
    }
    for part in replica.state.parts(&assignment.slots) {
        if requests.send(WriteRequest::Put(encode(assignment, replica, part))).await.is_err() {
            return;
        }
    }
}

fn encode(assignment: &Assignment, replica: &Replica, part: Part) -> Vec<(Part, Bytes)> {
    let encode =
        |part| Checkpoint::encode(assignment.epoch, replica.position().clone(), replica.state.part(part));
    Checkpoint::fit(part, &encode)
}
