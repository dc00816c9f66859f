//! The connection to the broker, with the settings that experience demands.

mod complaints;
mod connections;

use std::{
    future::ready,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
    time::Duration,
};

use anyhow::Context;
use async_nats::{Client, ConnectOptions, Event};
use tokio_util::sync::CancellationToken;

use crate::cli::UsageError;
use complaints::Complaints;
pub use connections::Connections;

/// An agent's half-open link is noticed after two to three of these; the client's default of a minute misses cuts. Its
/// uplink may be full for seconds, and there are many agents.
const AGENT_PING_INTERVAL: Duration = Duration::from_secs(5);
/// The same for a service: a server that is frozen or cut off must be left soon.
const SERVICE_PING_INTERVAL: Duration = Duration::from_secs(2);
/// A frozen server accepts connections and says nothing.
const SERVICE_CONNECTION_TIMEOUT: Duration = Duration::from_secs(3);
/// A subscription that is this many messages behind loses messages; the event is logged.
const SUBSCRIPTION_CAPACITY: usize = 65_536;

/// Where the broker is, and who we are to it.
#[derive(clap::Args, Clone, Debug)]
pub struct NatsArgs {
    /// The broker's address; several are separated by commas.
    #[arg(long, env = "TIDEMAP_NATS_URL", default_value = "nats://127.0.0.1:4222", value_name = "URL")]
    pub nats_url: String,
    /// File with the nkey seed or the credentials that `tidemap enroll` or `tidemap up` made.
    #[arg(long, env = "TIDEMAP_CREDS", value_name = "FILE")]
    pub creds: Option<PathBuf>,
    /// Certificate authority of the broker's certificate (PEM), when it is not a public one.
    #[arg(long, env = "TIDEMAP_NATS_CA", value_name = "FILE")]
    pub nats_ca: Option<PathBuf>,
    /// Whoever ends the broker, too, closes what was connected with these before it does.
    #[arg(skip)]
    pub connections: Option<Connections>,
}

impl NatsArgs {
    /// A connection to `url` with the credentials in `creds`.
    pub fn new(url: &str, creds: Option<&Path>) -> Self {
        Self { nats_url: url.to_owned(), creds: creds.map(Path::to_owned), nats_ca: None, connections: None }
    }

    /// Connects. Without a broker it goes on trying in the background, and so it does after every loss.
    ///
    /// `name` is what the broker's operator sees; `inbox` is the prefix of reply subjects when the user's permissions
    /// name one.
    ///
    /// # Errors
    ///
    /// When an address or a file cannot be used. An absent broker is no error.
    pub async fn connect(&self, name: &str, inbox: Option<&str>) -> anyhow::Result<Client> {
        let servers = self
            .nats_url
            .split(',')
            .map(|url| url.trim().parse::<async_nats::ServerAddr>())
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| UsageError(format!("--nats-url {}: {error}", self.nats_url)))?;
        let complaints = Arc::new(Complaints::new(self.creds.as_deref(), self.nats_ca.as_deref()));
        let attempts = Arc::clone(&complaints);
        // A server that is about to end says so long before it closes connections. Services leave it at once, so that
        // they choose the moment and nothing that they ask for falls into a gap. Agents stay until they are sent away,
        // one by one.
        let client_to_be = Arc::new(OnceLock::<Client>::new());
        let leaving = Arc::clone(&client_to_be);
        let closed = CancellationToken::new();
        let closing = closed.clone();
        let mut options = with_identity(self.creds.as_deref())?
            .name(name)
            .ping_interval(AGENT_PING_INTERVAL)
            .retry_on_initial_connect()
            .max_reconnects(None)
            .subscription_capacity(SUBSCRIPTION_CAPACITY)
            .reconnect_delay_callback(reconnect_delay)
            // Only this hook is told why an attempt has failed. It chooses no server.
            .reconnect_to_server_callback(move |servers, _| {
                attempts.attempted(&servers);
                ready(None)
            })
            .event_callback(move |event| {
                complaints.happened(&event);
                if matches!(event, Event::Closed) {
                    closing.cancel();
                }
                let leaving = leaving.get().filter(|_| matches!(event, Event::LameDuckMode)).cloned();
                async move {
                    if let Some(client) = leaving {
                        // It fails only when the client has ended.
                        client.force_reconnect().await.ok();
                    }
                }
            });
        // Services may receive what they like; only agents' users are held to an inbox of their own.
        options = match inbox {
            Some(inbox) => options.custom_inbox_prefix(inbox),
            None => {
                options.ping_interval(SERVICE_PING_INTERVAL).connection_timeout(SERVICE_CONNECTION_TIMEOUT)
            }
        };
        if let Some(ca) = &self.nats_ca {
            readable(ca, "--nats-ca")?;
            options = options.add_root_certificates(ca.clone()).require_tls(true);
        }
        let client = options.connect(servers).await.context("cannot connect to the broker")?;
        if inbox.is_none() {
            client_to_be.set(client.clone()).ok();
        }
        if let Some(connections) = &self.connections {
            connections.add(client.clone(), closed);
        }
        Ok(client)
    }
}

/// Waits until the broker is reached, or the deadline has passed: for commands that a person waits for.
///
/// # Errors
///
/// When the broker was not reached in time.
pub async fn reached(client: &Client, within: Duration) -> anyhow::Result<()> {
    // The client queues the flush until it is connected, so its completion is the news we wait for.
    tokio::time::timeout(within, client.flush())
        .await
        .context("the broker does not answer: is it running, and are --nats-url and --creds right?")?
        .context("the broker does not answer")
}

fn with_identity(creds: Option<&Path>) -> anyhow::Result<ConnectOptions> {
    let Some(path) = creds else { return Ok(ConnectOptions::new()) };
    let text = readable(path, "--creds")?;
    if text.contains("-----BEGIN") {
        return ConnectOptions::with_credentials(&text)
            .map_err(|error| UsageError(format!("--creds {}: {error}", path.display())).into());
    }
    let seed = text.lines().map(str::trim).find(|line| line.starts_with("SU"));
    match seed {
        Some(seed) if nkeys::KeyPair::from_seed(seed).is_ok() => {
            Ok(ConnectOptions::with_nkey(seed.to_owned()))
        }
        _ => Err(UsageError(format!(
            "--creds {}: neither an nkey seed nor a credentials file",
            path.display()
        ))
        .into()),
    }
}

fn readable(path: &Path, flag: &str) -> Result<String, UsageError> {
    std::fs::read_to_string(path).map_err(|error| UsageError(format!("{flag} {}: {error}", path.display())))
}

/// 0.1 s doubling to 10 s, with full jitter: a fleet must not come back at one instant.
fn reconnect_delay(attempts: usize) -> Duration {
    let exponent = u32::try_from(attempts.saturating_sub(1).min(7)).unwrap_or(7);
    let ceiling_ms = (100_u64 << exponent).min(10_000);
    Duration::from_millis(100 + fastrand::u64(0..ceiling_ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reconnects_are_spread_between_a_tenth_and_ten_seconds() {
        for attempts in 0..100 {
            let delay = reconnect_delay(attempts);
            assert!(
                (Duration::from_millis(100)..Duration::from_millis(10_100)).contains(&delay),
                "{delay:?}"
            );
        }
    }

    #[tokio::test]
    async fn bad_values_are_told_by_their_flag() {
        let told =
            |args: NatsArgs| async move { format!("{:#}", args.connect("test", None).await.unwrap_err()) };
        assert!(told(NatsArgs::new("nats://[", None)).await.starts_with("--nats-url nats://[: "));
        let missing = told(NatsArgs::new("nats://127.0.0.1:1", Some(Path::new("/no/such/seed")))).await;
        assert!(missing.starts_with("--creds /no/such/seed: "), "{missing}");
    }
}
