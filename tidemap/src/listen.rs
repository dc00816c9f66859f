//! Where the broker of `tidemap up` listens: on loopback without encryption, or for other hosts with TLS.

mod advertised;
mod earlier;
mod published;

use std::{
    cell::LazyCell,
    collections::HashSet,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

use tidemap_broker::{
    Broker,
    tls::{self, Certificates},
};
use tidemap_service::{cli::UsageError, clock::unix_ms, listen_address::ListenAddress};

use advertised::{Advertised, tls_url};
use earlier::Earlier;

pub(crate) use advertised::all_outgoing;
pub(crate) use published::{authority, authority_path, endpoint};

/// The names by which nodes of other hosts may know the broker of a data folder, the latest last.
pub(crate) fn published_names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        Earlier::read(dir).in_use(&[]).iter().map(|there| there.host().to_owned()).collect();
    names.dedup();
    names
}

/// The broker's usual port.
const PORT: u16 = 4222;

/// Whether other hosts reach the broker, and the certificate that it shows them.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct ListenArgs {
    /// Accept agents of other hosts, always with TLS, on an address of this host, or 0.0.0.0 for all (port
    /// 4222 unless given).
    #[arg(long, env = "TIDEMAP_LISTEN", value_name = "HOST[:PORT]", conflicts_with = "nats_url")]
    listen: Option<ListenAddress>,
    /// The name or address under which nodes reach this host, with a port where a router forwards another one
    /// to the broker; that of the start before unless given, and at first this host's name.
    #[arg(long, env = "TIDEMAP_ADVERTISE", value_name = "HOST[:PORT]", requires = "listen")]
    advertise: Option<Advertised>,
    /// Leave a name or address of an earlier start out: no agent uses it, so the certificate need not be for
    /// it. May be repeated.
    #[arg(long = "drop-name", value_name = "HOST", requires = "listen")]
    drop_names: Vec<Advertised>,
    /// Accept that nodes that are enrolled do not trust the certificate, as another authority has signed it.
    /// Each of them has to be enrolled again.
    #[arg(long, requires = "listen")]
    new_authority: bool,
    /// The broker's certificate (PEM); one is generated unless given.
    #[arg(long, env = "TIDEMAP_TLS_CERT", value_name = "FILE", requires_all = ["listen", "tls_key"])]
    tls_cert: Option<PathBuf>,
    /// Its private key (PEM).
    #[arg(long, env = "TIDEMAP_TLS_KEY", value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// The authority that signed it (PEM), when it is not a public one.
    #[arg(long, env = "TIDEMAP_TLS_CA", value_name = "FILE", requires = "tls_cert")]
    tls_ca: Option<PathBuf>,
}

/// The options, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Listener {
    /// This host only.
    Loopback(Option<SocketAddr>),
    /// Other hosts too, under a name.
    Network(Network),
}

/// How other hosts reach the broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Network {
    address: SocketAddr,
    advertised: Advertised,
    /// Whether the name is that of `--advertise`, now or at an earlier start.
    is_chosen: bool,
    given: Option<Certificates>,
    dropped: Vec<String>,
    new_authority: bool,
}

impl ListenArgs {
    /// Checks the options, and completes them with those of earlier starts in this data folder.
    pub(crate) fn check(self, nats_url: Option<&str>, dir: &Path) -> anyhow::Result<Listener> {
        let Some(listen) = self.listen else {
            return Ok(Listener::Loopback(nats_url.map(loopback).transpose()?));
        };
        let address = listen.resolve("--listen", Some(PORT))?;
        let here = LazyCell::new(|| Advertised::this_host(tidemap_agent::host_name(), address.ip()));
        let chosen = self.advertise.or_else(|| Earlier::read(dir).chosen(address, || here.clone()));
        let is_chosen = chosen.is_some();
        let advertised = chosen.unwrap_or_else(|| here.clone());
        let dropped: Vec<String> = self.drop_names.iter().map(|name| name.host().to_owned()).collect();
        if dropped.iter().any(|name| name == advertised.host()) {
            let both = format!(
                "--drop-name {}: nodes reach this host by it; choose another with --advertise",
                advertised.host()
            );
            return Err(UsageError(both).into());
        }
        let given = match (self.tls_cert, self.tls_key) {
            (Some(certificate), Some(key)) => Some(
                Certificates::given(&certificate, &key, self.tls_ca.as_deref(), advertised.host(), now())
                    .map_err(|error| UsageError(format!("--tls-cert: {error}")))?,
            ),
            _ => None,
        };
        let new_authority = self.new_authority;
        Ok(Listener::Network(Network { address, advertised, is_chosen, given, dropped, new_authority }))
    }
}

impl Listener {
    /// The address to listen on, and the certificate to show there; one is made in the data folder when none
    /// was given.
    pub(crate) fn prepare(&self, dir: &Path) -> anyhow::Result<(Option<SocketAddr>, Option<Certificates>)> {
        let earlier = Earlier::read(dir);
        match self {
            Self::Loopback(address) => {
                if let Some(host) = earlier.network_host() {
                    tracing::warn!(
                        "agents of other hosts know the broker as {host}, and this start is without --listen: \
                         they do not reach it (remove network-endpoints of the data folder if there are none)"
                    );
                }
                Ok((*address, None))
            }
            Self::Network(network) => {
                let tls = network.certificates(dir, &earlier)?;
                if !network.new_authority {
                    earlier.check_trust(&tls, network.advertised.host(), &network.dropped)?;
                    earlier.warn_of_change(&network.advertised, network.address.port());
                }
                Ok((Some(network.address), Some(tls)))
            }
        }
    }

    /// Writes to the data folder, for `tidemap enroll` and for the next start, how nodes reach the broker.
    pub(crate) fn publish(
        &self,
        dir: &Path,
        broker: &Broker,
        authority: Option<&Path>,
    ) -> anyhow::Result<()> {
        match self {
            Self::Loopback(_) => published::write(dir, &broker.url(), authority),
            Self::Network(network) => network.publish(dir, broker.address().port(), authority),
        }
    }

    /// The URL for this host's own stations. A certificate of the operator's covers the advertised name only;
    /// no router is between, so the port is the broker's own.
    pub(crate) fn url_here(&self, broker: &Broker) -> String {
        match self {
            Self::Network(Network { given: Some(_), advertised, .. }) => {
                tls_url(advertised.host(), broker.address().port())
            }
            Self::Network(Network { given: None, .. }) | Self::Loopback(_) => broker.url(),
        }
    }

    /// The name or address under which other hosts reach this one, where it listens on `ip`.
    pub(crate) fn host_there(&self, ip: IpAddr) -> String {
        match self {
            Self::Network(network) => network.advertised.host().to_owned(),
            Self::Loopback(_) => Advertised::this_host(tidemap_agent::host_name(), ip).host().to_owned(),
        }
    }
}

impl Network {
    /// The operator's, or those of the data folder. A generated one has the name of the start before, too.
    fn certificates(&self, dir: &Path, earlier: &Earlier) -> anyhow::Result<Certificates> {
        if let Some(given) = &self.given {
            return Ok(given.clone());
        }
        for name in Certificates::drop_names(dir, &self.dropped, now())? {
            tracing::warn!("the broker's certificate is no longer valid for {name} (--drop-name)");
        }
        let mut names = tls::names(self.advertised.host(), self.address.ip());
        if !self.new_authority {
            let published = earlier.in_use(&self.dropped);
            names.splice(0..0, published.iter().map(|there| there.host().to_owned()));
        }
        if earlier.kept_none {
            // Version 0.1 listened at one of these, or was known by it.
            let here = all_outgoing(self.address.ip()).map(|ip| ip.to_string());
            let possible: Vec<String> = here.chain(tidemap_agent::host_name()).collect();
            let present = Certificates::present_names(dir, &possible, now());
            names.splice(0..0, present.into_iter().filter(|name| !self.dropped.contains(name)));
        }
        let mut seen = HashSet::new();
        names.retain(|name| seen.insert(name.clone()));
        Ok(Certificates::open_or_create(dir, &names, now())?)
    }

    /// Writes how nodes reach the broker, and keeps the URLs of before. Nodes that trust another authority
    /// have to be enrolled again, so none is kept for them.
    fn publish(&self, dir: &Path, port: u16, authority: Option<&Path>) -> anyhow::Result<()> {
        let before = if self.new_authority { Vec::new() } else { Earlier::read(dir).in_use(&self.dropped) };
        published::keep_published(dir, &before, &self.advertised.with_port(port), authority)?;
        published::write(dir, &self.advertised.url(port), authority)?;
        if self.is_chosen { published::keep_name(dir, &self.advertised) } else { Ok(()) }
    }
}

/// Host and port in `HOST:PORT` of an endpoint.
pub(crate) fn host_of(endpoint: &str) -> Option<(String, u16)> {
    endpoint.trim().parse::<Advertised>().ok().map(|there| (there.host().to_owned(), there.port(PORT)))
}

/// This host's time since 1970, by which certificates are judged.
fn now() -> Duration {
    Duration::from_millis(u64::try_from(unix_ms()).unwrap_or(0))
}

/// The address in a broker's URL, which must be a loopback address, because any other listener needs TLS.
fn loopback(url: &str) -> Result<SocketAddr, UsageError> {
    let given = url.strip_prefix("nats://").unwrap_or(url).trim_end_matches('/');
    let address: ListenAddress = given.parse().map_err(|why| {
        UsageError(format!("--nats-url {url}: not of the form nats://127.0.0.1:4222: {why}"))
    })?;
    let address = address.resolve("--nats-url", Some(PORT))?;
    if !address.ip().to_canonical().is_loopback() {
        return Err(UsageError(format!("--nats-url {url}: for other hosts use --listen, which adds TLS")));
    }
    Ok(address)
}

#[cfg(test)]
mod tests;
