//! Requests to the history stations, of which any one answers.

mod forget;
mod parts;

use std::time::Duration;

use async_nats::Client;
use tidemap_wire::{
    DecodeError, decode, encode,
    history_query::{
        HistoryAnswer, HistoryError, HistoryReply, HistoryRequest, HistoryStatus, RangeAnswer, RangeRequest,
        TopAnswer, TopRequest,
    },
    subject,
};

use self::parts::Parts;
use crate::requests::{NoReply, Requests};

/// How long a station may be silent before the next part of its answer. It answers within a tenth of a second
/// as a rule, and may have a few requests before this one.
const PART_TIMEOUT: Duration = Duration::from_secs(4);
/// A station that ends takes a request with it; the next attempt reaches another one.
const ATTEMPTS: u32 = 2;

/// Why a question to the history has no answer.
#[derive(Debug, thiserror::Error)]
pub enum HistoryRequestError {
    /// There is no connection at the moment.
    #[error("the broker is not connected")]
    NotConnected,
    /// No station runs, so no history is kept at the moment.
    #[error("there is no history station at the moment")]
    NoStation,
    /// A station took the request and did not answer.
    #[error("the history station did not answer in time")]
    TimedOut,
    /// A station has no answer to this request.
    #[error(transparent)]
    Refused(#[from] HistoryError),
    /// The answer cannot be decoded.
    #[error("the history station gave an answer that cannot be read")]
    Unreadable(#[from] DecodeError),
    /// The answer is not one to the request, or its parts are not of one answer.
    #[error("the history station gave an answer that contradicts itself")]
    Contradictory,
    /// A station could not forget a node: it said why in its log.
    #[error("a history station could not forget it; its log says why")]
    NotForgotten,
    /// The connection was closed.
    #[error("the request could not be sent: {0}")]
    NotSent(String),
}

/// Asks the history. Several stations may run; each has everything from when it began. Clones share a
/// connection.
#[derive(Clone, Debug)]
pub struct HistoryClient(Requests);

impl HistoryClient {
    /// Sends requests over this connection.
    pub fn new(client: Client) -> Self {
        Self(Requests::new(client))
    }

    /// What moved over a range of time.
    ///
    /// # Errors
    ///
    /// See [`HistoryRequestError`].
    pub async fn range(&self, request: RangeRequest) -> Result<RangeAnswer, HistoryRequestError> {
        parts::range(self.ask(HistoryRequest::Range(request)).await?)
    }

    /// The nodes with the most traffic.
    ///
    /// # Errors
    ///
    /// See [`HistoryRequestError`].
    pub async fn top(&self, request: TopRequest) -> Result<TopAnswer, HistoryRequestError> {
        match parts::only(self.ask(HistoryRequest::Top(request)).await?)? {
            HistoryAnswer::Top(answer) => Ok(answer),
            _ => Err(HistoryRequestError::Contradictory),
        }
    }

    /// How far back the history reaches, and how far it has read.
    ///
    /// # Errors
    ///
    /// See [`HistoryRequestError`].
    pub async fn status(&self) -> Result<HistoryStatus, HistoryRequestError> {
        match parts::only(self.ask(HistoryRequest::Status).await?)? {
            HistoryAnswer::Status(status) => Ok(status),
            _ => Err(HistoryRequestError::Contradictory),
        }
    }

    async fn ask(&self, request: HistoryRequest) -> Result<Vec<HistoryAnswer>, HistoryRequestError> {
        let request = encode(&request);
        for _ in 1..ATTEMPTS {
            match self.attempt(request.clone()).await {
                Err(HistoryRequestError::TimedOut) => {}
                answered => return answered,
            }
        }
        self.attempt(request).await
    }

    /// Each attempt has an inbox of its own, so no answer has parts of two stations.
    async fn attempt(&self, request: Vec<u8>) -> Result<Vec<HistoryAnswer>, HistoryRequestError> {
        let mut inbox = self.0.inbox().await?;
        inbox.send(subject::HISTORY.to_owned(), request).await?;
        let mut parts = Parts::default();
        loop {
            let reply = tokio::time::timeout(PART_TIMEOUT, inbox.next()).await;
            let reply = reply.map_err(|_| HistoryRequestError::TimedOut)??;
            if let Some(answers) = parts.add(decode::<HistoryReply>(&reply.payload)?)? {
                return Ok(answers);
            }
        }
    }
}

impl From<NoReply> for HistoryRequestError {
    fn from(why: NoReply) -> Self {
        match why {
            NoReply::NotConnected => Self::NotConnected,
            NoReply::NoResponders => Self::NoStation,
            NoReply::NotSent(error) => Self::NotSent(error),
        }
    }
}
