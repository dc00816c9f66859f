//! What an owner begins with and leaves behind: its checkpoints, and when each is written.

use std::{ops::ControlFlow, time::Duration};

use anyhow::Context;
use bytes::Bytes;
use tidemap_service::streams;
use tidemap_wire::NodeId;
use tokio::{
    sync::mpsc::{self, error::TrySendError},
    task::JoinHandle,
};

use super::{Assignment, Deps, PartitionTask};
use crate::{
    checkpoint::{Checkpoint, Part},
    checkpoint_store::{self, CheckpointWriter, Restored, WriteRequest},
    log_reader::Content,
};

/// Between attempts to load checkpoints.
const RETRY: Duration = Duration::from_millis(250);
/// For the last checkpoints to be written: what is not is read from the log.
const FAREWELL: Duration = Duration::from_secs(2);

/// Keeps everything once more, so that the next owner has nothing to read. What cannot be kept in time is in the log.
pub(super) async fn leave(
    task: PartitionTask,
    mut writer: JoinHandle<anyhow::Result<u64>>,
) -> anyhow::Result<()> {
    let kept = async {
        task.keep_all().await;
        (&mut writer).await
    };
    let Ok(ended) = tokio::time::timeout(FAREWELL, kept).await else {
        writer.abort();
        tracing::warn!("the last checkpoints could not be written in time");
        return Ok(());
    };
    ended.context("the writer of checkpoints")??;
    Ok(())
}

/// Loads what is kept, however long that takes.
pub(super) async fn load(assignment: &Assignment, deps: &Deps) -> Restored {
    loop {
        let content = Content::Samples(assignment.slots.clone());
        match checkpoint_store::load(
            &deps.data,
            &streams::name(assignment.partition),
            &content,
            &assignment.slots,
        )
        .await
        {
            Ok(kept) => return kept,
            Err(error) => {
                tracing::warn!(partition = %assignment.partition, "cannot load checkpoints yet: {error:#}");
            }
        }
        tokio::time::sleep(RETRY).await;
    }
}

/// Starts the task that writes checkpoints.
pub(super) async fn write(
    assignment: &Assignment,
    deps: &Deps,
    kept: &Restored,
) -> anyhow::Result<(mpsc::Sender<WriteRequest>, JoinHandle<anyhow::Result<u64>>)> {
    let bucket = deps.data.get_key_value(streams::CHECKPOINTS).await.context("the bucket of checkpoints")?;
    let writer = CheckpointWriter { bucket, epoch: assignment.epoch, revisions: kept.revisions.clone() };
    // While a write waits for the broker, few more are prepared: they would only get old.
    let (orders, todo) = mpsc::channel(4);
    Ok((orders, tokio::spawn(writer.run(todo))))
}

impl PartitionTask {
    /// Hands the checkpoints that are due to their writer, as far as it keeps up.
    pub(super) fn keep(&mut self) -> ControlFlow<()> {
        self.round.tick(|| self.state.parts(&self.assignment.slots));
        while let Some(part) = self.round.due() {
            let order = match self.orders.try_reserve() {
                Ok(order) => order,
                Err(TrySendError::Full(())) => break,
                // The writer says why, when it is asked.
                Err(TrySendError::Closed(())) => return ControlFlow::Break(()),
            };
            let values = self.checkpoint(part);
            let written: Vec<Part> = values.iter().map(|(part, _)| *part).collect();
            order.send(WriteRequest::Put(values));
            if let Some(parts) = self.round.done(written)
                && let Ok(order) = self.orders.try_reserve()
            {
                order.send(WriteRequest::Complete(parts));
            }
        }
        ControlFlow::Continue(())
    }

    /// Hands over a checkpoint of everything. Also when readers cannot be told just now: after the broker has lost its
    /// disk, what this owner knows is all there is.
    async fn keep_all(self) {
        if self.place.applied < self.recovery.highest() {
            // What is kept already says of more messages that they are contained.
            return;
        }
        for part in self.state.parts(&self.assignment.slots) {
            if self.orders.send(WriteRequest::Put(self.checkpoint(part))).await.is_err() {
                return;
            }
        }
    }

    fn checkpoint(&self, part: Part) -> Vec<(Part, Bytes)> {
        let encode =
            |part| Checkpoint::encode(self.assignment.epoch, self.place.clone(), self.state.part(part));
        Checkpoint::fit(part, &encode)
    }

    /// Keeps the part of a node that was just forgotten, or its last reports would bring it back when this owner is
    /// killed. While earlier checkpoints wait for the broker, that part has to wait for its turn.
    pub(super) fn keep_now(&self, node: &NodeId) {
        let all = self.state.parts(&self.assignment.slots);
        if let Some(part) = all.into_iter().find(|part| part.contains(node))
            && let Ok(order) = self.orders.try_reserve()
        {
            order.send(WriteRequest::Put(self.checkpoint(part)));
        }
    }
}
