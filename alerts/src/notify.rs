//! Sends notices: one attempt at a time. Whoever calls keeps what is not delivered, and tries again.

mod answer;
mod mailer;
mod secrets;
mod signature;

use std::{path::PathBuf, time::Duration};

use tidemap_alert::channels::{Channel, Channels, Heartbeat, Outgoing, Post, Style};
use tidemap_service::web_client::{ExchangeLimits, WebAnswer, WebClient};
use tidemap_wire::AlertNotice;
use tokio::{
    task::{JoinError, spawn_blocking},
    time::timeout,
};

use self::secrets::Secrets;

/// For one attempt, all in all.
const WHOLE: Duration = Duration::from_secs(15);
/// What is read of an answer: enough for the words of an error.
const LIMITS: ExchangeLimits = ExchangeLimits {
    connect: Duration::from_secs(5),
    whole: Duration::from_secs(12),
    body_bytes: 4_096,
    cuts: true,
};

/// After a refusal a notice is tried again when the file was read again, or after this time.
pub const REFUSED_WAIT: Duration = Duration::from_secs(3_600);
/// How long after its moment a notice is tried.
pub const GIVE_UP: Duration = Duration::from_secs(86_400);
/// The wait after the first failure; it doubles with each one.
const FIRST_RETRY: Duration = Duration::from_secs(1);
/// The longest one, unless the other side asks for a longer one.
const LAST_RETRY: Duration = Duration::from_secs(30);
/// No other side is waited for longer.
const LONGEST_WAIT: Duration = Duration::from_secs(3_600);

/// How long to wait after so many failures in a row, from 1. `after` is what the other side asks for.
pub fn retry_wait(failures: u32, after: Option<Duration>) -> Duration {
    let doubled =
        FIRST_RETRY.saturating_mul(1_u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX));
    after.unwrap_or_default().max(doubled.min(LAST_RETRY)).min(LONGEST_WAIT)
}

/// What came of an attempt that reached its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivered {
    /// What the other side said, for people.
    pub answer: String,
}

/// Why a notice is not delivered. Neither contains a secret or an address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendFailure {
    /// It may work later.
    #[error("{reason}")]
    Retry {
        /// How long the other side wants to be left alone.
        after: Option<Duration>,
        /// Why.
        reason: String,
    },
    /// The same attempt would fail again.
    #[error("{reason}")]
    Refused {
        /// Why.
        reason: String,
    },
}

impl SendFailure {
    fn retry(reason: impl Into<String>) -> Self {
        Self::Retry { after: None, reason: reason.into() }
    }

    fn refused(reason: impl Into<String>) -> Self {
        Self::Refused { reason: reason.into() }
    }
}

/// Sends notices. A clone has the same connections.
#[derive(Clone, Debug)]
pub struct Sender {
    client: WebClient,
    folder: PathBuf,
}

impl Sender {
    /// A sender for channels of a file in this folder, to which the paths of secrets are relative.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { client: WebClient::new(), folder: folder.into() }
    }

    /// Makes one attempt to deliver a notice, within 15 s. Secrets are read each time. It may be dropped
    /// at any moment, and then the notice may have been delivered or not. `now_ms` is broker time or the
    /// system's: a signature has it.
    ///
    /// # Errors
    ///
    /// When the notice is not delivered, or whether it is cannot be known.
    pub async fn send(
        &self,
        channel: &Channel,
        notice: &AlertNotice,
        style: &Style,
        now_ms: i64,
    ) -> Result<Delivered, SendFailure> {
        let named = |why: &str| format!("channel {}: {why}", channel.name());
        let secrets = Secrets::read(&self.folder, channel).await;
        // A file may be replaced at this moment.
        let mut secrets = secrets.map_err(|why| SendFailure::retry(named(&why)))?;
        let outgoing = channel.outgoing(secrets.values(), notice, style);
        if let Ok(Outgoing::Post(post)) = &outgoing {
            secrets.note(post);
        }
        let sent = match outgoing {
            Ok(Outgoing::Post(post)) => self.post(post, now_ms, |text| secrets.hide(text)).await,
            Ok(Outgoing::Mail(mail)) => match timeout(WHOLE, mailer::send(mail)).await {
                Ok(sent) => sent,
                Err(_) => Err(SendFailure::retry(format!("no answer within {} s", WHOLE.as_secs()))),
            },
            Err(why) => Err(SendFailure::refused(why)),
        };
        let shown = |text: &str| named(&shorter(secrets.hide(text)));
        match sent {
            Ok(Delivered { answer }) => Ok(Delivered { answer: shorter(secrets.hide(&answer)) }),
            Err(SendFailure::Retry { after, reason }) => {
                Err(SendFailure::Retry { after, reason: shown(&reason) })
            }
            Err(SendFailure::Refused { reason }) => Err(SendFailure::refused(shown(&reason))),
        }
    }

    /// Calls the heartbeat's address once.
    ///
    /// # Errors
    ///
    /// When nobody there answers that it was heard.
    pub async fn beat(&self, heartbeat: &Heartbeat) -> Result<Delivered, SendFailure> {
        let url = secrets::text(&self.folder, "url", &heartbeat.url).await;
        let url = url.map_err(|why| SendFailure::refused(format!("heartbeat: {why}")))?;
        let client = self.client.clone();
        let address = url.clone();
        let called = spawn_blocking(move || client.get(&address, &[], LIMITS)).await;
        let hide = |text: &str| secrets::hide_address(text, &url);
        let judged = judged(called, hide).map(|Delivered { answer }| Delivered { answer: hide(&answer) });
        judged.map_err(|failure| {
            let reason = format!("heartbeat: {}", hide(&failure.to_string()));
            match failure {
                SendFailure::Retry { after, .. } => SendFailure::Retry { after, reason },
                SendFailure::Refused { .. } => SendFailure::Refused { reason },
            }
        })
    }

    /// A line for each channel whose secrets cannot be read at the moment, and for the heartbeat.
    pub async fn missing(&self, channels: &Channels) -> Vec<String> {
        let mut missing = Vec::new();
        for channel in channels.names().filter_map(|name| channels.named(name)) {
            if let Err(why) = Secrets::read(&self.folder, channel).await {
                missing.push(format!("channel {}: {why}", channel.name()));
            }
        }
        if let Some(heartbeat) = channels.heartbeat()
            && let Err(why) = secrets::text(&self.folder, "url", &heartbeat.url).await
        {
            missing.push(format!("heartbeat: {why}"));
        }
        missing
    }

    async fn post(
        &self,
        post: Post,
        now_ms: i64,
        hide: impl Fn(&str) -> String,
    ) -> Result<Delivered, SendFailure> {
        let client = self.client.clone();
        let sent = spawn_blocking(move || {
            let Post { url, mut headers, body, secret } = post;
            if let Some(secret) = secret {
                headers.extend(signature::headers(&secret, now_ms, &body));
            }
            let headers: Vec<_> =
                headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            client.post(&url, &headers, body.as_bytes(), LIMITS)
        });
        judged(sent.await, hide)
    }
}

/// What people are shown of what a server of mail says, which may be long.
fn shorter(text: String) -> String {
    const SHOWN: usize = 400;
    if text.chars().count() <= SHOWN { text } else { text.chars().take(SHOWN).chain(['…']).collect() }
}

/// What an answer means, or that there is none. What panics may work the next time.
fn judged(
    called: Result<Result<WebAnswer, String>, JoinError>,
    hide: impl Fn(&str) -> String,
) -> Result<Delivered, SendFailure> {
    match called {
        Ok(Ok(mut answer)) => {
            // Before it is cut: what is left of a secret that is cut through is not recognized.
            answer.body = hide(&answer.body);
            answer::judge(&answer, jiff::Timestamp::now().as_second())
        }
        Ok(Err(why)) => Err(SendFailure::retry(why)),
        Err(_) => Err(SendFailure::retry("the attempt ended early")),
    }
}

#[cfg(test)]
mod tests;
