//! Answers requests, of which the stations of a fleet share the subject.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex},
};

use anyhow::Context;
use async_nats::{Client, Message};
use futures_util::StreamExt;
use tidemap_wire::{
    decode, encode,
    history_query::{HistoryAnswer, HistoryError, HistoryReply, HistoryRequest, HistoryStatus},
    subject,
};
use tokio::{
    sync::{Semaphore, mpsc, watch},
    task::{JoinSet, spawn_blocking},
};
use tokio_util::sync::CancellationToken;

use crate::{
    answers::{AnswerError, answer, replies},
    database::StoreError,
    keeper::Met,
    store::Store,
};

/// Requests that are answered at a time. Others wait in the subscription, which is bounded.
const AT_ONCE: usize = 4;

/// Answers requests.
pub(crate) struct Rpc {
    pub client: Client,
    pub file: PathBuf,
    pub status: watch::Receiver<HistoryStatus>,
    /// Where damage is reported that was met. What finds no room is met again.
    pub damage: mpsc::Sender<Met>,
}

impl Rpc {
    /// Answers until `stop`.
    pub(crate) async fn run(self, stop: CancellationToken) -> anyhow::Result<()> {
        let queue = subject::HISTORY_STATIONS.to_owned();
        let mut requests = self.client.queue_subscribe(subject::HISTORY, queue).await?;
        let readers = Arc::new(Readers { file: self.file, idle: Mutex::default(), damage: self.damage });
        let room = Arc::new(Semaphore::new(AT_ONCE));
        let mut answering = JoinSet::new();
        while let Some(request) = stop.run_until_cancelled(requests.next()).await {
            let request = request.context("the connection was closed")?;
            let permit = Arc::clone(&room).acquire_owned().await?;
            let (client, readers) = (self.client.clone(), Arc::clone(&readers));
            let status = self.status.borrow().clone();
            while answering.try_join_next().is_some() {}
            answering.spawn(async move {
                serve(&client, &request, readers, status).await;
                drop(permit);
            });
        }
        answering.join_all().await;
        Ok(())
    }
}

/// Connections for reading, which see what was written by the time of each request.
struct Readers {
    file: PathBuf,
    idle: Mutex<Vec<Store>>,
    damage: mpsc::Sender<Met>,
}

impl Readers {
    fn answer(
        &self,
        request: &HistoryRequest,
        status: &HistoryStatus,
    ) -> Result<Vec<HistoryReply>, AnswerError> {
        let idle = || self.idle.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let known = idle().pop();
        let mut store = match known {
            Some(store) => store,
            None => Store::open_to_read(&self.file)?,
        };
        let answered = answer(&mut store, request, status);
        let met = store.take_met();
        if !met.is_empty() {
            self.damage.try_send(Met::Tiles(met)).ok();
        }
        if let Err(AnswerError::Store(StoreError::Damaged(what))) = &answered {
            self.damage.try_send(Met::File(what.clone())).ok();
        }
        // One that has failed is opened again.
        if !matches!(answered, Err(AnswerError::Store(_))) {
            idle().push(store);
        }
        answered
    }
}

async fn serve(client: &Client, request: &Message, readers: Arc<Readers>, status: HistoryStatus) {
    let Some(reply) = request.reply.clone() else { return };
    let parts = match decode::<HistoryRequest>(&request.payload) {
        Ok(request) => spawn_blocking(move || readers.answer(&request, &status)).await,
        Err(_) => Ok(Err(HistoryError::Unreadable.into())),
    };
    let parts = match parts {
        Ok(Ok(parts)) => parts,
        Ok(Err(AnswerError::Refused(error))) => refused(error),
        Ok(Err(AnswerError::Store(error))) => unavailable(&error),
        Err(panic) => unavailable(&StoreError::Damaged(panic.to_string())),
    };
    for part in parts {
        // An error means that the connection was closed, which the loop notices.
        if client.publish(reply.clone(), encode(&part).into()).await.is_err() {
            return;
        }
    }
}

fn refused(error: HistoryError) -> Vec<HistoryReply> {
    replies(vec![HistoryAnswer::Refused(error)])
}

fn unavailable(error: &StoreError) -> Vec<HistoryReply> {
    tracing::warn!("a request could not be answered: {error}");
    refused(HistoryError::Unavailable)
}
