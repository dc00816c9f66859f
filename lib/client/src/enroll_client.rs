//! Requests to the enroller.

use std::time::Duration;

use async_nats::Client;
use tidemap_wire::{DecodeError, JoinReply, JoinRequest, decode, encode, subject};

use crate::requests::{NoReply, Requests};

/// An enroller answers once the broker has read its users, which may take some seconds while many join.
const TIMEOUT: Duration = Duration::from_secs(20);

/// Why a request has no answer.
#[derive(Debug, thiserror::Error)]
pub enum EnrollError {
    /// There is no connection at the moment.
    #[error("the broker is not connected")]
    NotConnected,
    /// There is no enroller at the moment.
    #[error("no enroller runs: `tidemap up` has one, elsewhere `tidemap enroller` is one")]
    NoEnroller,
    /// An enroller has the request but does not answer.
    #[error("the enroller did not answer in time")]
    TimedOut,
    /// The answer cannot be decoded.
    #[error("the enroller gave an answer that cannot be read: {0}")]
    Unreadable(DecodeError),
    /// The connection was closed.
    #[error("the request could not be sent: {0}")]
    NotSent(String),
}

/// Passes requests on to the enroller.
#[derive(Clone, Debug)]
pub struct EnrollClient(Requests);

impl EnrollClient {
    /// Sends requests over this connection.
    pub fn new(client: Client) -> Self {
        Self(Requests::new(client))
    }

    /// Asks for a node to be admitted.
    ///
    /// # Errors
    ///
    /// See [`EnrollError`].
    pub async fn join(&self, request: &JoinRequest) -> Result<JoinReply, EnrollError> {
        let reply = async {
            let mut inbox = self.0.inbox().await?;
            inbox.send(subject::ENROLL.to_owned(), encode(request)).await?;
            inbox.next().await
        };
        let reply = tokio::time::timeout(TIMEOUT, reply).await.map_err(|_| EnrollError::TimedOut)??;
        decode(&reply.payload).map_err(EnrollError::Unreadable)
    }
}

impl From<NoReply> for EnrollError {
    fn from(why: NoReply) -> Self {
        match why {
            NoReply::NotConnected => Self::NotConnected,
            NoReply::NoResponders => Self::NoEnroller,
            NoReply::NotSent(error) => Self::NotSent(error),
        }
    }
}
