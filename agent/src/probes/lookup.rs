//! A target's address, looked up in the background.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use tokio::{
    task::JoinHandle,
    time::{Instant, timeout_at},
};

/// A name may lead elsewhere after this time.
const FRESH: Duration = Duration::from_secs(60);

/// The address of one host. While a later lookup fails or takes its time, the address before it stays, so
/// that an outage of the resolver is none of the target.
#[derive(Debug)]
pub(super) struct Lookup {
    host: String,
    known: Option<(IpAddr, Instant)>,
    /// The system's resolver may hang for long, so no second one is asked beside it.
    pending: Option<JoinHandle<io::Result<Vec<IpAddr>>>>,
}

impl Lookup {
    pub(super) fn new(host: String) -> Self {
        Self { host, known: None, pending: None }
    }

    /// The address, at the latest at `deadline`.
    ///
    /// # Errors
    ///
    /// Why none was ever known.
    pub(super) async fn address(&mut self, deadline: Instant) -> Result<IpAddr, String> {
        if let Ok(address) = self.host.parse() {
            return Ok(address);
        }
        let is_fresh = self.known.is_some_and(|(_, since)| since.elapsed() < FRESH);
        if is_fresh && self.pending.is_none() {
            return self.last();
        }
        let pending = self.pending.get_or_insert_with(|| tokio::spawn(resolve(self.host.clone())));
        // With an address at hand, what is found now is used by the next probe.
        let until = if self.known.is_some() { Instant::now() } else { deadline };
        let Ok(ended) = timeout_at(until, pending).await else {
            return self.last();
        };
        self.pending = None;
        match ended.unwrap_or_else(|error| Err(io::Error::other(error))) {
            Ok(addresses) => {
                let first = addresses.into_iter().next();
                self.known = first.map(|address| (address, Instant::now())).or(self.known);
                self.last()
            }
            // It is asked again at the next probe.
            Err(error) => self.last().map_err(|_| format!("no address of {}: {error}", self.host)),
        }
    }

    fn last(&self) -> Result<IpAddr, String> {
        let (address, _) = self.known.ok_or_else(|| format!("no address of {} yet", self.host))?;
        Ok(address)
    }
}

impl Drop for Lookup {
    fn drop(&mut self) {
        if let Some(pending) = &self.pending {
            pending.abort();
        }
    }
}

/// In the order of the system's preference.
async fn resolve(host: String) -> io::Result<Vec<IpAddr>> {
    Ok(tokio::net::lookup_host((host, 0)).await?.map(|address: SocketAddr| address.ip()).collect())
}
