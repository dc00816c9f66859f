//! Changes of silences: each is one write of one key, by compare-and-swap, and is shown once it is stored.

use std::time::Duration;

use async_nats::jetstream;
use tidemap_client::{AlertBucket, AlertWriter, KeyWrite, SilenceRecord, silence_key};
use tidemap_service::causes::causes;
use tidemap_wire::Silence;
use tokio::sync::{mpsc, oneshot};

/// Requests that wait; further ones are refused.
const REQUESTS: usize = 8;
/// How often a write is tried that another one has overtaken, or that was not answered.
const ROUNDS: usize = 4;
/// For all of them.
const TIMEOUT: Duration = Duration::from_secs(3);

/// A change of a silence.
#[derive(Clone, Debug)]
pub(crate) enum SilenceChange {
    /// A new one under this id.
    Make(String, Silence),
    /// Another in the place of the one with this id.
    Replace(String, Silence),
    /// The one with this id ends now.
    End(String),
}

/// Why a silence was not changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotSilenced {
    #[error("there is no silence {0}")]
    Unknown(String),
    #[error("there are {} silences already, the most that there may be", Silence::MAX)]
    Full,
    #[error("too many silences were made within an hour; an alert station removes those that have ended")]
    TooMany,
    #[error("no alert station has run")]
    NoStation,
    #[error("the broker has not stored the silence")]
    NotStored,
}

/// A change, and where its outcome goes.
#[derive(Debug)]
pub(crate) struct SilenceRequest {
    pub(crate) change: SilenceChange,
    /// Broker time, Unix milliseconds.
    pub(crate) now_ms: i64,
    pub(crate) reply: oneshot::Sender<Result<(), NotSilenced>>,
}

/// Changes silences.
#[derive(Clone, Debug)]
pub(crate) struct Silencer(mpsc::Sender<SilenceRequest>);

impl Silencer {
    /// A silencer, and where its requests are.
    pub(crate) fn new() -> (Self, mpsc::Receiver<SilenceRequest>) {
        let (requests_in, requests) = mpsc::channel(REQUESTS);
        (Self(requests_in), requests)
    }

    /// Changes a silence. When it returns, answers show the change.
    pub(crate) async fn change(&self, change: SilenceChange, now_ms: i64) -> Result<(), NotSilenced> {
        let (reply, replied) = oneshot::channel();
        self.0.try_send(SilenceRequest { change, now_ms, reply }).map_err(|_| NotSilenced::NotStored)?;
        replied.await.unwrap_or(Err(NotSilenced::NotStored))
    }
}

/// What must be written for a change: the id, the silence, and the revision that it replaces. `None` where
/// that is what the bucket has.
fn plan(
    bucket: &AlertBucket,
    change: &SilenceChange,
    now_ms: i64,
) -> Result<Option<(String, Silence, u64)>, NotSilenced> {
    let (SilenceChange::Make(id, _) | SilenceChange::Replace(id, _) | SilenceChange::End(id)) = change;
    let known = bucket.silences.get(id);
    let going_on = known.filter(|stored| stored.value.silence.until_ms > now_ms);
    let (silence, revision) = match (change, known) {
        // An earlier attempt whose answer was lost.
        (SilenceChange::Make(_, silence) | SilenceChange::Replace(_, silence), Some(stored))
            if stored.value.silence == *silence =>
        {
            return Ok(None);
        }
        (SilenceChange::Make(_, silence), None) => {
            if bucket.silences_at(now_ms).count() >= Silence::MAX {
                return Err(NotSilenced::Full);
            }
            if bucket.silences.len() >= AlertBucket::MAX_SILENCES {
                return Err(NotSilenced::TooMany);
            }
            (silence.clone(), 0)
        }
        (SilenceChange::Make(..), Some(_)) => return Err(NotSilenced::NotStored),
        (SilenceChange::Replace(_, silence), _) => {
            let stored = going_on.ok_or_else(|| NotSilenced::Unknown(id.clone()))?;
            (silence.clone(), stored.revision)
        }
        (SilenceChange::End(_), _) => {
            let stored = going_on.ok_or_else(|| NotSilenced::Unknown(id.clone()))?;
            (Silence { until_ms: now_ms, ..stored.value.silence.clone() }, stored.revision)
        }
    };
    Ok(Some((id.clone(), silence, revision)))
}

/// Stores a change in the bucket, and notes it in `bucket`.
pub(super) async fn store(
    js: &jetstream::Context,
    bucket: &mut AlertBucket,
    change: &SilenceChange,
    now_ms: i64,
) -> Result<(), NotSilenced> {
    let stored = async {
        let unwritten = |error: anyhow::Error| {
            tracing::warn!("a silence is not stored: {}", causes(error.as_ref()));
            NotSilenced::NotStored
        };
        let mut failure = None;
        let writer = AlertWriter::open(js).await.map_err(unwritten)?;
        for round in 0..ROUNDS {
            let (id, silence, revision) = match plan(bucket, change, now_ms) {
                Ok(Some(planned)) => planned,
                // It has ended, by an earlier attempt whose answer was lost.
                Err(NotSilenced::Unknown(_)) if round > 0 && matches!(change, SilenceChange::End(..)) => {
                    return Ok(());
                }
                Ok(None) => return Ok(()),
                Err(error) => return Err(error),
            };
            let write = KeyWrite::new(silence_key(&id), &SilenceRecord::new(silence), revision);
            let written = writer.write(vec![write.map_err(unwritten)?], bucket).await;
            if written.stored == 1 {
                return Ok(());
            }
            failure = written.failure;
        }
        let why = failure.unwrap_or_else(|| "others change it at the same time".to_owned());
        Err(unwritten(anyhow::anyhow!(why)))
    };
    tokio::time::timeout(TIMEOUT, stored).await.unwrap_or_else(|_| {
        tracing::warn!("a silence is not stored: the broker does not answer");
        Err(NotSilenced::NotStored)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_MS: i64 = 1_000;

    fn silence(until_ms: i64) -> Silence {
        Silence { all: true, until_ms, who: "me".to_owned(), ..Silence::default() }
    }

    fn put(bucket: &mut AlertBucket, id: &str, silence: Silence, revision: u64) {
        let value = serde_json::to_vec(&SilenceRecord::new(silence)).unwrap();
        bucket.note(&silence_key(id), Some(&value), revision);
    }

    #[test]
    fn a_change_names_the_revision_that_it_replaces_and_what_has_ended_is_unknown() {
        let mut bucket = AlertBucket::default();
        put(&mut bucket, "on", silence(5_000), 7);
        put(&mut bucket, "over", silence(NOW_MS), 8);
        let unknown = |id: &str| Err(NotSilenced::Unknown(id.to_owned()));
        let longer = silence(9_000);
        for (change, expected) in [
            (SilenceChange::Make("new".to_owned(), longer.clone()), Ok(Some((longer.clone(), 0)))),
            (SilenceChange::Make("on".to_owned(), silence(5_000)), Ok(None)),
            (SilenceChange::Make("on".to_owned(), longer.clone()), Err(NotSilenced::NotStored)),
            (SilenceChange::Replace("on".to_owned(), longer.clone()), Ok(Some((longer.clone(), 7)))),
            (SilenceChange::Replace("over".to_owned(), longer.clone()), unknown("over")),
            (SilenceChange::Replace("none".to_owned(), longer.clone()), unknown("none")),
            (SilenceChange::End("on".to_owned()), Ok(Some((silence(NOW_MS), 7)))),
            (SilenceChange::End("over".to_owned()), unknown("over")),
            (SilenceChange::End("none".to_owned()), unknown("none")),
        ] {
            let planned = plan(&bucket, &change, NOW_MS);
            let planned = planned.map(|planned| planned.map(|(_, silence, revision)| (silence, revision)));
            assert_eq!(planned, expected, "{change:?}");
        }
    }

    #[test]
    fn there_are_two_hundred_at_a_time_without_those_that_have_ended() {
        let mut bucket = AlertBucket::default();
        for number in 0..Silence::MAX {
            put(&mut bucket, &number.to_string(), silence(5_000), 1);
        }
        let make = SilenceChange::Make("new".to_owned(), silence(5_000));
        assert_eq!(plan(&bucket, &make, NOW_MS), Err(NotSilenced::Full));
        put(&mut bucket, "7", silence(NOW_MS), 2);
        assert!(plan(&bucket, &make, NOW_MS).is_ok());
    }
}
