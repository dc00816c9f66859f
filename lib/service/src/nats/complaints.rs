//! What goes wrong with a connection, told in words that help, once in a while.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use async_nats::{Event, Server, ServerError};

use crate::clock::unix_ms;

/// A complaint of one kind is told at most once in this time.
const PERIOD_MS: i64 = 30_000;

/// Listens to one connection and tells what its operator must know.
pub(super) struct Complaints {
    creds: Option<PathBuf>,
    ca: Option<PathBuf>,
    /// When each kind was told last.
    told: Mutex<HashMap<Kind, i64>>,
    /// How often each server had failed when we looked last.
    failures: Mutex<HashMap<String, usize>>,
}

/// What a complaint is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    /// The broker does not let us in.
    Refused,
    /// It let us in, and does not let us do something.
    Forbidden,
    /// It does not prove to be ours.
    Unproven,
    /// It is not there.
    Unreachable,
    /// It sends faster than we read.
    Slow,
    /// Anything else that it says.
    Other,
}

impl Complaints {
    pub(super) fn new(creds: Option<&Path>, ca: Option<&Path>) -> Self {
        Self {
            creds: creds.map(Path::to_owned),
            ca: ca.map(Path::to_owned),
            told: Mutex::default(),
            failures: Mutex::default(),
        }
    }

    /// Hears what became of the last attempt to connect to each server. The client's own event for it is one word.
    pub(super) fn attempted(&self, servers: &[Server]) {
        for server in servers {
            let url = format!("{}://{}:{}", server.addr.scheme(), server.addr.host(), server.addr.port());
            let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
            let before = failures.insert(url.clone(), server.failed_attempts).unwrap_or(0);
            drop(failures);
            if let Some(error) = server.last_error.as_ref().filter(|_| server.failed_attempts > before) {
                let (kind, words) = self.explain(&url, error);
                self.tell(kind, &words);
            }
        }
    }

    /// Hears an event of the client's.
    pub(super) fn happened(&self, event: &Event) {
        match event {
            Event::Connected => tracing::info!("connected to the broker"),
            Event::Disconnected => tracing::warn!("lost the broker; trying again"),
            Event::SlowConsumer(subscription) => {
                self.tell(Kind::Slow, &format!("subscription {subscription} is full: messages were dropped"));
            }
            // The attempt to come back tells the rest.
            Event::ServerError(ServerError::AuthorizationViolation) => {}
            // A refused permission is only ever told here, and it is never harmless.
            Event::ServerError(error)
                if error.to_string().to_lowercase().contains("permissions violation") =>
            {
                let words = format!(
                    "the broker does not let this key do that ({error}): {} for this station and node?",
                    self.creds_in_doubt()
                );
                self.tell(Kind::Forbidden, &words);
            }
            Event::ServerError(error) => self.tell(Kind::Other, &format!("the broker complains: {error}")),
            Event::ClientError(_) | Event::LameDuckMode | Event::Draining | Event::Closed => {
                tracing::debug!(%event, "connection");
            }
        }
    }

    /// A failed attempt in words for whoever must mend it.
    fn explain(&self, url: &str, error: &str) -> (Kind, String) {
        let lower = error.to_lowercase();
        if lower.contains("authorization violation") || lower.contains("authentication") {
            let words = match &self.creds {
                Some(_) => format!(
                    "the broker at {url} refuses this key: was it revoked, or {}? Trying again",
                    self.creds_in_doubt()
                ),
                None => format!("the broker at {url} asks for a key: name its file with --creds"),
            };
            (Kind::Refused, words)
        } else if lower.contains("corrupt message") {
            // What a handshake makes of an answer that is no handshake.
            let words = format!("the broker at {url} does not speak TLS: is the address right? ({error})");
            (Kind::Unproven, words)
        } else if lower.contains("certificate") || lower.contains("tls") {
            let doubt = match &self.ca {
                Some(path) => format!("is --nats-ca {} the authority of this broker", path.display()),
                None => "does it need --nats-ca with the authority that `tidemap enroll` printed".to_owned(),
            };
            let words = format!(
                "the broker at {url} does not prove who it is ({error}): {doubt}, and is this host's clock right?"
            );
            (Kind::Unproven, words)
        } else {
            (Kind::Unreachable, format!("cannot reach the broker at {url}: {error}; trying again"))
        }
    }

    fn creds_in_doubt(&self) -> String {
        let path = self.creds.as_ref().map(|path| format!(" {}", path.display())).unwrap_or_default();
        format!("is --creds{path} not the right file")
    }

    fn tell(&self, kind: Kind, words: &str) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if !is_due(&mut told, kind, unix_ms()) {
            return;
        }
        drop(told);
        match kind {
            Kind::Slow | Kind::Unreachable => tracing::warn!("{words}"),
            Kind::Refused | Kind::Forbidden | Kind::Unproven | Kind::Other => tracing::error!("{words}"),
        }
    }
}

/// Whether a kind may be told again, which is then noted. A clock that was put back silences nobody.
fn is_due(told: &mut HashMap<Kind, i64>, kind: Kind, now_ms: i64) -> bool {
    let due = told.get(&kind).is_none_or(|last| !(0..PERIOD_MS).contains(&(now_ms - last)));
    if due {
        told.insert(kind, now_ms);
    }
    due
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failure_is_told_with_what_mends_it() {
        let explain = |creds: Option<&str>, error: &str| {
            Complaints::new(creds.map(Path::new), None).explain("tls://b:4222", error)
        };
        assert_eq!(
            explain(Some("/k.nk"), "authorization violation: nats: authorization violation"),
            (
                Kind::Refused,
                "the broker at tls://b:4222 refuses this key: was it revoked, or is --creds /k.nk not the right \
                 file? Trying again"
                    .to_owned()
            )
        );
        assert!(explain(None, "authorization violation").1.ends_with("name its file with --creds"));
        let unproven = explain(None, "IO error: invalid peer certificate: UnknownIssuer");
        assert!(unproven.0 == Kind::Unproven && unproven.1.contains("UnknownIssuer"), "{unproven:?}");
        let plain = explain(None, "IO error: received corrupt message of type InvalidContentType");
        assert!(plain.1.contains("does not speak TLS"), "{plain:?}");
        assert_eq!(explain(None, "IO error: Connection refused (os error 111)").0, Kind::Unreachable);
    }

    #[test]
    fn a_kind_is_told_at_once_and_then_once_a_period_whatever_the_others_do() {
        let mut told = HashMap::new();
        assert!(is_due(&mut told, Kind::Refused, 0));
        assert!(!is_due(&mut told, Kind::Refused, PERIOD_MS - 1));
        assert!(is_due(&mut told, Kind::Forbidden, PERIOD_MS - 1));
        assert!(is_due(&mut told, Kind::Refused, PERIOD_MS));
        assert!(is_due(&mut told, Kind::Refused, -5));
    }
}
