//! Logs connection faults at a bounded rate, with what the operator can do about them.

use std::{
    collections::HashMap,
    net::IpAddr,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use async_nats::{ClientError, ConnectErrorKind, Event, Server, ServerAddr, ServerError};

use crate::logging::Throttle;

/// Each kind of complaint is logged at most once in this time.
const PERIOD: Duration = Duration::from_secs(30);

/// Watches one connection, and logs what its operator must know.
pub(super) struct Complaints {
    /// The servers that are given by name.
    names: Vec<String>,
    creds: Option<PathBuf>,
    ca: Option<PathBuf>,
    throttles: Mutex<HashMap<ComplaintKind, Throttle>>,
    /// How many failures each server had at the last check.
    failures: Mutex<HashMap<String, usize>>,
}

/// What a complaint is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum ComplaintKind {
    /// The broker rejects the key.
    Rejected,
    /// The key is valid, but lacks a permission.
    Forbidden,
    /// The broker cannot prove its identity.
    Unproven,
    /// The broker cannot be reached.
    Unreachable,
    /// The broker's name has no address.
    Unresolved,
    /// The broker sends faster than a subscription is read.
    Slow,
    /// Any other error.
    Other,
}

impl Complaints {
    pub(super) fn new(servers: &[ServerAddr], creds: Option<&Path>, ca: Option<&Path>) -> Self {
        let hosts = servers.iter().map(ServerAddr::host);
        let names = hosts.filter(|host| host.parse::<IpAddr>().is_err()).map(str::to_owned).collect();
        Self {
            names,
            creds: creds.map(Path::to_owned),
            ca: ca.map(Path::to_owned),
            throttles: Mutex::default(),
            failures: Mutex::default(),
        }
    }

    /// Records the outcome of the last attempt to connect to each server. The client's own event does not
    /// give the reason.
    pub(super) fn attempted(&self, servers: &[Server]) {
        for server in servers {
            let url = format!("{}://{}:{}", server.addr.scheme(), server.addr.host(), server.addr.port());
            let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
            let before = failures.insert(url.clone(), server.failed_attempts).unwrap_or(0);
            drop(failures);
            if let Some(error) = server.last_error.as_ref().filter(|_| server.failed_attempts > before) {
                let (kind, words) = self.explain(&url, error);
                self.log(kind, &words);
            }
        }
    }

    /// Handles an event of the client.
    pub(super) fn happened(&self, event: &Event) {
        match event {
            Event::Connected => tracing::info!("connected to the broker"),
            Event::Disconnected => tracing::warn!("lost the broker; trying again"),
            Event::SlowConsumer(subscription) => {
                self.log(
                    ComplaintKind::Slow,
                    &format!("subscription {subscription} is full: messages were dropped"),
                );
            }
            // The next attempt to connect logs the reason.
            Event::ServerError(ServerError::AuthorizationViolation) => {}
            // A missing permission is reported nowhere else, and it is never harmless.
            Event::ServerError(error)
                if error.to_string().to_lowercase().contains("permissions violation") =>
            {
                let words = format!(
                    "the broker denies this key a permission ({error}): {} for this station and node?",
                    self.creds_in_doubt()
                );
                self.log(ComplaintKind::Forbidden, &words);
            }
            Event::ServerError(error) => {
                self.log(ComplaintKind::Other, &format!("the broker reports an error: {error}"));
            }
            // A name without an address is the one failure that the client does not note at the server.
            Event::ClientError(ClientError::Other(kind)) if is_unresolved(kind) => {
                let words = format!(
                    "no address is known for the broker's name {}: is it right, and does this host have a name server? \
                     Trying again",
                    self.names.join(" or ")
                );
                self.log(ComplaintKind::Unresolved, &words);
            }
            Event::ClientError(_) | Event::LameDuckMode | Event::Draining | Event::Closed => {
                tracing::debug!(%event, "connection");
            }
        }
    }

    /// Describes a failed attempt for the operator.
    fn explain(&self, url: &str, error: &str) -> (ComplaintKind, String) {
        let lower = error.to_lowercase();
        if lower.contains("authorization violation") || lower.contains("authentication") {
            let words = match &self.creds {
                Some(_) => format!(
                    "the broker at {url} refuses this key: was it revoked, or {}? Trying again",
                    self.creds_in_doubt()
                ),
                None => format!("the broker at {url} asks for a key: name its file with --creds"),
            };
            (ComplaintKind::Rejected, words)
        } else if lower.contains("corrupt message") {
            // This error means that the server did not answer the TLS handshake with TLS.
            let words = format!("the broker at {url} does not speak TLS: is the address right? ({error})");
            (ComplaintKind::Unproven, words)
        } else if lower.contains("certificate") || lower.contains("tls") {
            let doubt = match &self.ca {
                Some(path) => format!("is --nats-ca {} the authority of this broker", path.display()),
                None => "does it need --nats-ca with the authority that `tidemap enroll` printed".to_owned(),
            };
            let words = format!(
                "the broker at {url} does not prove who it is ({error}): {doubt}, and is this host's clock right?"
            );
            (ComplaintKind::Unproven, words)
        } else {
            (ComplaintKind::Unreachable, format!("cannot reach the broker at {url}: {error}; trying again"))
        }
    }

    fn creds_in_doubt(&self) -> String {
        let path = self.creds.as_ref().map(|path| format!(" {}", path.display())).unwrap_or_default();
        format!("is --creds{path} not the right file")
    }

    fn log(&self, kind: ComplaintKind, words: &str) {
        if !self.is_due(kind) {
            return;
        }
        match kind {
            ComplaintKind::Slow | ComplaintKind::Unreachable | ComplaintKind::Unresolved => {
                tracing::warn!("{words}");
            }
            ComplaintKind::Rejected
            | ComplaintKind::Forbidden
            | ComplaintKind::Unproven
            | ComplaintKind::Other => tracing::error!("{words}"),
        }
    }

    fn is_due(&self, kind: ComplaintKind) -> bool {
        let mut throttles = self.throttles.lock().unwrap_or_else(PoisonError::into_inner);
        throttles.entry(kind).or_insert(Throttle::new(PERIOD)).is_due()
    }
}

/// Whether an attempt failed because of a name. The client passes on its kind as text only.
fn is_unresolved(kind: &str) -> bool {
    kind == ConnectErrorKind::Dns.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failure_is_logged_with_what_to_do_about_it() {
        let explain = |creds: Option<&str>, error: &str| {
            Complaints::new(&[], creds.map(Path::new), None).explain("tls://b:4222", error)
        };
        assert_eq!(
            explain(Some("/k.nk"), "authorization violation: nats: authorization violation"),
            (
                ComplaintKind::Rejected,
                "the broker at tls://b:4222 refuses this key: was it revoked, or is --creds /k.nk not the right \
                 file? Trying again"
                    .to_owned()
            )
        );
        assert!(explain(None, "authorization violation").1.ends_with("name its file with --creds"));
        let unproven = explain(None, "IO error: invalid peer certificate: UnknownIssuer");
        assert!(
            unproven.0 == ComplaintKind::Unproven && unproven.1.contains("UnknownIssuer"),
            "{unproven:?}"
        );
        let plain = explain(None, "IO error: received corrupt message of type InvalidContentType");
        assert!(plain.1.contains("does not speak TLS"), "{plain:?}");
        assert_eq!(
            explain(None, "IO error: Connection refused (os error 111)").0,
            ComplaintKind::Unreachable
        );
    }

    #[tokio::test(start_paused = true)]
    async fn each_kind_is_throttled_by_itself() {
        let complaints = Complaints::new(&[], None, None);
        assert!(complaints.is_due(ComplaintKind::Rejected));
        tokio::time::advance(PERIOD - Duration::from_millis(1)).await;
        assert!(!complaints.is_due(ComplaintKind::Rejected));
        assert!(complaints.is_due(ComplaintKind::Forbidden));
        tokio::time::advance(Duration::from_millis(1)).await;
        assert!(complaints.is_due(ComplaintKind::Rejected));
    }
}
