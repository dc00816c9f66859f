//! The connection to the broker: options for clusters, for half-open connections, and for fleets that
//! reconnect all at once.

mod address;
mod complaints;
mod connections;
mod identity;
mod key_file;

use std::{
    future::ready,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
    time::Duration,
};

use anyhow::Context;
use async_nats::{Client, ConnectOptions, Event, ServerAddr};
use tidemap_wire::timing;
use tokio_util::sync::CancellationToken;

use crate::{cli::UsageError, deadline::within};
pub use address::addresses;
use complaints::Complaints;
pub use connections::Connections;
pub use identity::{ConnectionId, ConnectionWatch, NewConnection};
pub use key_file::credentials;

/// The client notices a half-open connection after two to three of these. The client's default of a minute is
/// too slow; shorter than 5 s is wrong for agents, whose uplink may be full for seconds, and which are many.
const AGENT_PING_INTERVAL: Duration = Duration::from_secs(5);
/// Services leave a frozen or unreachable server sooner than agents do.
const SERVICE_PING_INTERVAL: Duration = Duration::from_secs(2);
/// A frozen server accepts TCP connections and then sends nothing, so connecting needs a limit.
const SERVICE_CONNECTION_TIMEOUT: Duration = Duration::from_secs(3);
/// A subscription that is this many messages behind drops messages; the client's event about it is logged.
const SUBSCRIPTION_CAPACITY: usize = 65_536;
/// The wait before the second attempt to connect. It doubles with each attempt.
const FIRST_RECONNECT_MS: u64 = 100;

/// The broker's address, and the identity to connect with.
#[derive(clap::Args, Clone, Debug)]
pub struct NatsArgs {
    /// The broker's address; several are separated by commas.
    #[arg(long, env = "TIDEMAP_NATS_URL", default_value = "nats://127.0.0.1:4222", value_name = "URL")]
    pub nats_url: String,
    /// File with the nkey seed or the credentials that `tidemap enroll` or `tidemap up` wrote.
    #[arg(long, env = "TIDEMAP_CREDS", value_name = "FILE")]
    pub creds: Option<PathBuf>,
    /// Certificate authority of the broker's certificate (PEM), unless it is a public one.
    #[arg(long, env = "TIDEMAP_NATS_CA", value_name = "FILE")]
    pub nats_ca: Option<PathBuf>,
    /// Where connections are registered that must be closed before the broker ends, if this program ends the
    /// broker.
    #[arg(skip)]
    pub connections: Option<Connections>,
}

impl NatsArgs {
    /// A connection to `url` with the credentials in `creds`.
    pub fn new(url: &str, creds: Option<&Path>) -> Self {
        Self { nats_url: url.to_owned(), creds: creds.map(Path::to_owned), nats_ca: None, connections: None }
    }

    /// Refuses addresses that cannot be used.
    ///
    /// # Errors
    ///
    /// When an address is malformed, or of a protocol that is not spoken.
    pub fn check(&self) -> Result<(), UsageError> {
        addresses("--nats-url", &self.nats_url).map(drop)
    }

    /// Connects. While there is no broker, at the start or later, the client keeps trying in the background.
    ///
    /// `name` is the connection's name on the server; `inbox` is the prefix of reply subjects if the user's
    /// permissions restrict it.
    ///
    /// # Errors
    ///
    /// When an address or a file cannot be used. An absent broker is no error.
    pub async fn connect(&self, name: &str, inbox: Option<&str>) -> anyhow::Result<Client> {
        let servers = addresses("--nats-url", &self.nats_url)?;
        let leaving = Leaving::default();
        let closed = CancellationToken::new();
        let mut options = self.options(&servers, &leaving, &closed)?.name(name);
        // Only agents' and relays' users are restricted to an inbox prefix; services may use any.
        options = match inbox {
            Some(inbox) => options.custom_inbox_prefix(inbox).ping_interval(AGENT_PING_INTERVAL),
            None => {
                options.ping_interval(SERVICE_PING_INTERVAL).connection_timeout(SERVICE_CONNECTION_TIMEOUT)
            }
        };
        let client = options.connect(servers).await.context("cannot connect to the broker")?;
        if inbox.is_none() {
            leaving.set(client.clone()).ok();
        }
        if let Some(connections) = &self.connections {
            connections.add(client.clone(), closed);
        }
        Ok(client)
    }

    /// What all connections have in common.
    fn options(
        &self,
        servers: &[ServerAddr],
        leaving: &Leaving,
        closed: &CancellationToken,
    ) -> anyhow::Result<ConnectOptions> {
        let complaints = Complaints::new(servers, self.creds.as_deref(), self.nats_ca.as_deref());
        let complaints = Arc::new(complaints);
        let attempts = Arc::clone(&complaints);
        let (leaving, closed) = (Arc::clone(leaving), closed.clone());
        let options = key_file::with_identity(self.creds.as_deref())?
            .retry_on_initial_connect()
            .max_reconnects(None)
            .subscription_capacity(SUBSCRIPTION_CAPACITY)
            .reconnect_delay_callback(reconnect_delay)
            // Only this callback gets the reason why an attempt failed. It does not choose a server.
            .reconnect_to_server_callback(move |servers, _| {
                attempts.attempted(&servers);
                ready(None)
            })
            .event_callback(move |event| {
                complaints.happened(&event);
                if matches!(event, Event::Closed) {
                    closed.cancel();
                }
                let leaving = leaving.get().filter(|_| matches!(event, Event::LameDuckMode)).cloned();
                async move {
                    if let Some(client) = leaving {
                        // An error means that the client is closed.
                        client.force_reconnect().await.ok();
                    }
                }
            });
        // Also for servers of the cluster that the client gets to know later.
        let options = options.require_tls(servers.iter().all(ServerAddr::tls_required));
        let Some(ca) = &self.nats_ca else { return Ok(options) };
        check_authority(ca)?;
        Ok(options.add_root_certificates(ca.clone()).require_tls(true))
    }
}

/// The client, for its own event handler. A server announces its shutdown (lame duck mode) long before it
/// closes connections. Services then reconnect at once, so no request falls into the gap. Agents stay until
/// the server disconnects them, one by one.
type Leaving = Arc<OnceLock<Client>>;

/// Waits until the broker is reached: for commands that a person waits for.
///
/// # Errors
///
/// When the broker was not reached in time.
pub async fn reached(client: &Client, limit: Duration) -> anyhow::Result<()> {
    // The client queues the flush until it is connected, so the flush completes once it is.
    let missed = "the broker does not answer: is it running, and are --nats-url and --creds right?";
    within(limit, missed, async { client.flush().await.context("the broker does not answer") }).await
}

/// Checks that the file holds a certificate: the client would take any file, and then trust no broker.
fn check_authority(path: &Path) -> Result<(), UsageError> {
    let wrong = |problem: &dyn std::fmt::Display| UsageError::in_file("--nats-ca", path, problem);
    // Read as the client reads it, byte by byte.
    let text = std::fs::read_to_string(path).map_err(|error| wrong(&error))?;
    let mark = "-----BEGIN CERTIFICATE-----";
    if text.lines().any(|line| line.starts_with(mark)) {
        Ok(())
    } else if text.contains(mark) {
        Err(wrong(&"something precedes its first line: save it without quotes and byte order mark"))
    } else {
        Err(wrong(&"it holds no certificate (PEM)"))
    }
}

/// Doubles from attempt to attempt up to [`timing::RECONNECT`], with full jitter, so that a fleet does not
/// reconnect all at once.
fn reconnect_delay(attempts: usize) -> Duration {
    let doublings = u32::try_from(attempts.saturating_sub(1).min(7)).unwrap_or(7);
    let ceiling_ms = (FIRST_RECONNECT_MS << doublings).min(timing::millis(timing::RECONNECT));
    timing::RECONNECT_SPREAD + Duration::from_millis(fastrand::u64(0..ceiling_ms))
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
    async fn bad_values_are_refused_with_their_flag() {
        let refusal =
            |args: NatsArgs| async move { format!("{:#}", args.connect("test", None).await.unwrap_err()) };
        assert!(refusal(NatsArgs::new("nats://[", None)).await.starts_with("--nats-url nats://[: "));
        let missing = refusal(NatsArgs::new("nats://127.0.0.1:1", Some(Path::new("/no/such/seed")))).await;
        assert!(missing.starts_with("--creds /no/such/seed: "), "{missing}");
    }
}
