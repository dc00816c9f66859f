//! How requests reach the task that owns the view.

use std::sync::Arc;

use tidemap_wire::{NodeId, Series};
use tokio::sync::{mpsc, oneshot, watch};

use crate::{
    answers::{Nodes, Stats},
    fleet_task::{Answers, Found},
    memory_budget::OverBudget,
    stream_log::{Listening, StreamPosition},
};

/// A request, and where its answer goes.
#[derive(Debug)]
pub(crate) enum FleetRequest {
    Nodes(oneshot::Sender<Arc<Nodes>>),
    Stats(oneshot::Sender<Arc<Stats>>),
    Recent(oneshot::Sender<Series>),
    Both(oneshot::Sender<(Arc<Nodes>, Arc<Stats>)>),
    DisplayNames(Vec<NodeId>, oneshot::Sender<Vec<Option<String>>>),
    Find(String, oneshot::Sender<Option<Box<Found>>>),
    Listen(Option<StreamPosition>, oneshot::Sender<Result<Listening, OverBudget>>),
}

/// The task has ended, because the process is stopping.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the service is stopping")]
pub(crate) struct Stopping;

/// Sends requests to the task. An answer that was already requested in this tick is reused.
#[derive(Clone, Debug)]
pub(crate) struct FleetHandle {
    requests: mpsc::Sender<FleetRequest>,
    answers: watch::Receiver<Answers>,
}

impl FleetHandle {
    pub(crate) fn new(requests: mpsc::Sender<FleetRequest>, answers: watch::Receiver<Answers>) -> Self {
        Self { requests, answers }
    }

    /// All nodes as of a second ago at the most, and the time that it takes to build a list of them.
    pub(crate) async fn nodes(&self) -> Result<Arc<Nodes>, Stopping> {
        let ready = self.answers.borrow().nodes.clone();
        match ready {
            Some(nodes) => Ok(nodes),
            None => self.ask(FleetRequest::Nodes).await,
        }
    }

    /// The fleet's totals, likewise.
    pub(crate) async fn stats(&self) -> Result<Arc<Stats>, Stopping> {
        let ready = self.answers.borrow().stats.clone();
        match ready {
            Some(stats) => Ok(stats),
            None => self.ask(FleetRequest::Stats).await,
        }
    }

    /// The fleet's totals of the last minutes.
    pub(crate) async fn recent(&self) -> Result<Series, Stopping> {
        self.ask(FleetRequest::Recent).await
    }

    /// Nodes and totals of one tick.
    pub(crate) async fn both(&self) -> Result<(Arc<Nodes>, Arc<Stats>), Stopping> {
        let Answers { nodes, stats } = self.answers.borrow().clone();
        match nodes.zip(stats) {
            Some(both) => Ok(both),
            None => self.ask(FleetRequest::Both).await,
        }
    }

    /// The node with this display name or encoded name.
    pub(crate) async fn find(&self, name: String) -> Result<Option<Box<Found>>, Stopping> {
        self.ask(|reply| FleetRequest::Find(name, reply)).await
    }

    /// How these nodes are called, as far as they are known.
    pub(crate) async fn display_names(&self, ids: Vec<NodeId>) -> Result<Vec<Option<String>>, Stopping> {
        self.ask(|reply| FleetRequest::DisplayNames(ids, reply)).await
    }

    /// Opens an event stream, after `position` if possible.
    pub(crate) async fn listen(
        &self,
        position: Option<StreamPosition>,
    ) -> Result<Result<Listening, OverBudget>, Stopping> {
        self.ask(|reply| FleetRequest::Listen(position, reply)).await
    }

    async fn ask<T>(&self, request: impl FnOnce(oneshot::Sender<T>) -> FleetRequest) -> Result<T, Stopping> {
        let (reply, answer) = oneshot::channel();
        // When the task is busy, requests wait here; the channel bounds how many wait in the queue.
        self.requests.send(request(reply)).await.map_err(|_| Stopping)?;
        answer.await.map_err(|_| Stopping)
    }
}
