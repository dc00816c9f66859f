//! Sends the operator's signed tokens to running brokers.

use std::time::Duration;

use anyhow::{Context, bail};
use async_nats::{Client, Message, Subscriber};
use futures_util::StreamExt;
use serde::Deserialize;
use tokio::time::{Instant, timeout_at};

/// Every broker of a cluster receives this, stores the token and applies it at once.
const UPDATE: &str = "$SYS.REQ.CLAIMS.UPDATE";
/// Every broker of a cluster answers this.
const PING: &str = "$SYS.REQ.SERVER.PING";
/// How long to wait for the answers of a cluster's brokers.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// A broker's answer to the ping, with the size of its cluster.
#[derive(Deserialize)]
struct Pong {
    statsz: Statsz,
}

#[derive(Deserialize)]
struct Statsz {
    active_servers: Option<usize>,
}

/// A broker's answer to a token.
#[derive(Deserialize)]
struct Answer {
    data: Option<Accepted>,
    error: Option<Refused>,
}

#[derive(Deserialize)]
struct Accepted {
    code: u16,
}

#[derive(Deserialize)]
struct Refused {
    description: String,
}

/// An account's token as a broker has it; empty when it has none. `client` must be a user of the system
/// account.
///
/// # Errors
///
/// When no broker answers.
pub async fn known_token(client: &Client, account: &str) -> anyhow::Result<String> {
    let lookup = format!("$SYS.REQ.ACCOUNT.{account}.CLAIMS.LOOKUP");
    let answer = client.request(lookup, "".into()).await.context("the broker does not answer")?;
    Ok(String::from_utf8_lossy(&answer.payload).into_owned())
}

/// Sends the accounts' tokens to all brokers of a cluster; returns how many have stored them. `client` must
/// be a user of the system account. Connections that are no longer allowed end at once; others are not
/// affected.
///
/// # Errors
///
/// When a broker refuses, or one of the cluster does not answer; the others have stored the tokens anyway.
pub async fn push(client: &Client, tokens: &[String]) -> anyhow::Result<usize> {
    let ping = client.request(PING, "".into()).await.context("the broker does not answer")?;
    let pong: Pong = serde_json::from_slice(&ping.payload).context("the broker's answer cannot be read")?;
    let brokers = pong.statsz.active_servers.unwrap_or(1).max(1);
    let inbox = client.new_inbox();
    let mut answers = client.subscribe(inbox.clone()).await?;
    // All are sent before the first answer is awaited, so that one unreachable broker does not delay the
    // others.
    for token in tokens {
        client.publish_with_reply(UPDATE, inbox.clone(), token.clone().into()).await?;
    }
    all(&mut answers, brokers, tokens.len()).await?;
    Ok(brokers)
}

async fn all(answers: &mut Subscriber, brokers: usize, tokens: usize) -> anyhow::Result<()> {
    let deadline = Instant::now() + ANSWER_TIMEOUT;
    for taken in 0..brokers * tokens {
        match timeout_at(deadline, answers.next()).await {
            Ok(Some(answer)) => accepted(&answer)?,
            Ok(None) => bail!("the connection to the broker has ended"),
            Err(_) => bail!(
                "{} of {brokers} brokers have stored the change; one that is away gets it when it is back",
                taken / tokens
            ),
        }
    }
    Ok(())
}

fn accepted(answer: &Message) -> anyhow::Result<()> {
    let answer: Answer =
        serde_json::from_slice(&answer.payload).context("the broker's answer cannot be read")?;
    match (answer.data, answer.error) {
        (Some(Accepted { code: 200 }), None) => Ok(()),
        (_, Some(refused)) => bail!("the broker refuses: {}", refused.description),
        _ => bail!("the broker has not stored the change"),
    }
}
