//! How requests reach the owner of the view.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot, watch};

use crate::{
    answers::{Nodes, NotBuilt, Stats},
    frames::{Listening, Place},
    owner::{Answers, Found},
};

/// A question to the owner, and where its answer goes.
#[derive(Debug)]
pub(crate) enum Ask {
    Nodes(oneshot::Sender<Arc<Nodes>>),
    Stats(oneshot::Sender<Arc<Stats>>),
    Both(oneshot::Sender<(Arc<Nodes>, Arc<Stats>)>),
    Find(String, oneshot::Sender<Option<Box<Found>>>),
    Listen(Option<Place>, oneshot::Sender<Result<Listening, NotBuilt>>),
}

/// The owner has stopped, as it does when the process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the service is stopping")]
pub(crate) struct OwnerGone;

/// Asks the owner. An answer that somebody has asked for in this tick is taken without asking again.
#[derive(Clone, Debug)]
pub(crate) struct FleetHandle {
    asks: mpsc::Sender<Ask>,
    answers: watch::Receiver<Answers>,
}

impl FleetHandle {
    pub(crate) fn new(asks: mpsc::Sender<Ask>, answers: watch::Receiver<Answers>) -> Self {
        Self { asks, answers }
    }

    /// All nodes as of half a second ago at the most.
    pub(crate) async fn nodes(&self) -> Result<Arc<Nodes>, OwnerGone> {
        let ready = self.answers.borrow().nodes.clone();
        match ready {
            Some(nodes) => Ok(nodes),
            None => self.ask(Ask::Nodes).await,
        }
    }

    /// The fleet's totals, likewise.
    pub(crate) async fn stats(&self) -> Result<Arc<Stats>, OwnerGone> {
        let ready = self.answers.borrow().stats.clone();
        match ready {
            Some(stats) => Ok(stats),
            None => self.ask(Ask::Stats).await,
        }
    }

    /// Nodes and totals of one tick.
    pub(crate) async fn both(&self) -> Result<(Arc<Nodes>, Arc<Stats>), OwnerGone> {
        let Answers { nodes, stats } = self.answers.borrow().clone();
        match nodes.zip(stats) {
            Some(both) => Ok(both),
            None => self.ask(Ask::Both).await,
        }
    }

    /// The node with this display name or encoded name.
    pub(crate) async fn find(&self, name: String) -> Result<Option<Box<Found>>, OwnerGone> {
        self.ask(|reply| Ask::Find(name, reply)).await
    }

    /// Opens an event stream, after `place` when that is possible.
    pub(crate) async fn listen(
        &self,
        place: Option<Place>,
    ) -> Result<Result<Listening, NotBuilt>, OwnerGone> {
        self.ask(|reply| Ask::Listen(place, reply)).await
    }

    async fn ask<T>(&self, question: impl FnOnce(oneshot::Sender<T>) -> Ask) -> Result<T, OwnerGone> {
        let (reply, answer) = oneshot::channel();
        // When the owner is busy, requests wait here, and no more of them than the channel is long are kept by it.
        self.asks.send(question(reply)).await.map_err(|_| OwnerGone)?;
        answer.await.map_err(|_| OwnerGone)
    }
}
