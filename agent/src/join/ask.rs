//! The request to the API, and what its answer proves.

use std::{path::Path, thread, time::Duration};

use anyhow::{Context, bail};
use nkeys::KeyPair;
use tidemap_service::{
    cli::{UsageError, say},
    invite::Invite,
    text_file,
    web_client::{ExchangeLimits, WebAnswer, WebClient},
};
use tidemap_wire::{JoinAnswer, JoinAsk, JoinGrant, JoinRequest};

/// The broker may take a while to read its users when many join.
const LIMITS: ExchangeLimits = ExchangeLimits {
    connect: Duration::from_secs(10),
    whole: Duration::from_secs(40),
    body_bytes: 256 << 10,
    cuts: true,
};
/// Attempts while the API cannot be reached or is busy, such as while a whole rack starts, and the pause
/// after the first; it doubles each time. In all, a minute.
const ATTEMPTS: u32 = 6;
const FIRST_PAUSE: Duration = Duration::from_secs(2);
/// What is shown of what an API says is wrong. It may be anybody who says it.
const SHOWN_LETTERS: usize = 400;

/// The API refuses this request, and would again.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Refused(String);

/// The API of a fleet.
pub(super) struct Api {
    url: String,
    client: WebClient,
}

impl Api {
    pub(super) fn new(url: &str, ca: Option<&Path>) -> Result<Self, UsageError> {
        let url = url.trim().trim_end_matches('/');
        if !url.starts_with("http://") && !url.starts_with("https://") {
            return Err(UsageError(format!("{url}: the API's address must begin with http:// or https://")));
        }
        let client = match ca {
            Some(path) => {
                let wrong = |problem: &dyn std::fmt::Display| UsageError::in_file("--api-ca", path, problem);
                let pem = text_file::read(path).map_err(|error| wrong(&error))?;
                WebClient::trusting(&pem).ok_or_else(|| wrong(&"it holds no certificate (PEM)"))?
            }
            None => WebClient::new(),
        };
        Ok(Self { url: url.to_owned(), client })
    }

    /// Asks to be admitted, and returns what is granted once it is proved that it comes from where the invite
    /// was made.
    pub(super) fn join(&self, invite: &Invite, name: &str, key: &KeyPair) -> anyhow::Result<JoinGrant> {
        let secret = invite.key();
        let ask = JoinAsk { name: name.to_owned(), key: key.public_key() };
        let ask = serde_json::to_string(&ask)?;
        let (proof, signature) = (secret.prove_ask(&ask), secret.sign_ask(key, &ask));
        let signature = signature.context("the new key has no seed")?;
        let request = JoinRequest { invite: invite.id().to_owned(), ask, proof, signature };
        let answer: JoinAnswer = serde_json::from_str(&self.answer(&serde_json::to_vec(&request)?)?)
            .with_context(|| format!("{} is no Tidemap, or another version", self.url))?;
        if !secret.is_granted(&request.proof, &answer.grant, &answer.proof) {
            bail!("{} does not know this invite: somebody is between, or it is another Tidemap", self.url);
        }
        serde_json::from_str(&answer.grant).context("what is granted cannot be read")
    }

    fn answer(&self, body: &[u8]) -> anyhow::Result<String> {
        let mut pause = FIRST_PAUSE;
        for attempt in 1.. {
            let url = format!("{}/api/enroll", self.url);
            let answer = self.client.post(&url, &[("content-type", "application/json")], body, LIMITS);
            let why = match answer {
                Ok(WebAnswer { status: 200, body, .. }) => return Ok(body),
                Ok(WebAnswer { status, body, .. }) => {
                    let why = refusal(status, &body);
                    let is_busy = matches!(status, 429 | 502 | 503 | 504);
                    anyhow::ensure!(is_busy, Refused(format!("{}: {why}", self.url)));
                    why
                }
                Err(error) => error,
            };
            anyhow::ensure!(attempt < ATTEMPTS, "{}: {why}", self.url);
            say(format_args!("{}: {why}; trying again in {} s", self.url, pause.as_secs()));
            thread::sleep(pause);
            pause *= 2;
        }
        bail!("{} was not asked", self.url)
    }
}

/// What an answer says is wrong.
fn refusal(status: u16, body: &str) -> String {
    let detail = serde_json::from_str::<serde_json::Value>(body).ok();
    let detail = detail.as_ref().and_then(|error| error["detail"].as_str());
    match detail {
        Some(detail) => detail.chars().filter(|letter| !letter.is_control()).take(SHOWN_LETTERS).collect(),
        None => format!("it answers with status {status}, which is no answer of Tidemap's"),
    }
}
