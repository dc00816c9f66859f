//! Where the broker of `tidemap up` listens: on loopback without encryption, or for other hosts with TLS.

mod advertised;
mod earlier;
mod published;

use std::{
    cell::LazyCell,
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
    /// Leave a name or address of an earlier start out of the generated certificate: no agent uses it. May be
    /// repeated.
    #[arg(long = "drop-name", value_name = "HOST", requires = "listen", conflicts_with = "tls_cert")]
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
                         they do not reach it"
                    );
                }
                Ok((*address, None))
            }
            Self::Network(network) => {
                earlier.warn_of_change(&network.advertised);
                let tls = network.certificates(dir, &earlier)?;
                if !network.new_authority {
                    earlier.check_trust(dir, &tls, network.advertised.host())?;
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
        let (url, chosen) = match self {
            Self::Loopback(_) => (broker.url(), None),
            Self::Network(Network { advertised, is_chosen, .. }) => {
                (advertised.url(broker.address().port()), is_chosen.then_some(advertised))
            }
        };
        published::write(dir, &url, authority)?;
        chosen.map_or(Ok(()), |chosen| published::keep_name(dir, chosen))
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
        let before = earlier.network_host().filter(|host| !self.dropped.iter().any(|name| name == host));
        names.extend(before.filter(|host| !names.iter().any(|name| name == host)).map(str::to_owned));
        Ok(Certificates::open_or_create(dir, &names, now())?)
    }
}

/// The host in `HOST:PORT` of an endpoint.
pub(crate) fn host_of(endpoint: &str) -> Option<String> {
    endpoint.trim().parse::<Advertised>().ok().map(|there| there.host().to_owned())
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
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Cli {
        #[arg(long)]
        nats_url: Option<String>,
        #[command(flatten)]
        listen: ListenArgs,
    }

    fn check(args: &[&str]) -> anyhow::Result<Listener> {
        check_in(Path::new("/no/such/folder"), args)
    }

    fn check_in(dir: &Path, args: &[&str]) -> anyhow::Result<Listener> {
        let cli = Cli::try_parse_from([&["up"], args].concat())?;
        cli.listen.check(cli.nats_url.as_deref(), dir)
    }

    #[test]
    fn without_tls_the_broker_stays_on_this_host() {
        assert_eq!(check(&[]).unwrap(), Listener::Loopback(None));
        let here = Listener::Loopback(Some(([127, 0, 0, 1], 4333).into()));
        for url in ["nats://127.0.0.1:4333", "127.0.0.1:4333", "nats://localhost:4333/"] {
            assert_eq!(check(&["--nats-url", url]).unwrap(), here, "{url}");
        }
        for bad in ["nats://0.0.0.0:4222", "nats://192.0.2.7", "4222", "tls://127.0.0.1:1", ""] {
            assert!(check(&["--nats-url", bad]).is_err(), "{bad}");
        }
    }

    /// What a start does with its data folder, except for starting a broker. Returns the advertised host.
    fn started(dir: &Path, args: &[&str]) -> anyhow::Result<(String, Certificates)> {
        let listener = check_in(dir, &[&["--listen", "0.0.0.0"], args].concat())?;
        let (_, tls) = listener.prepare(dir)?;
        let tls = tls.unwrap();
        let Listener::Network(network) = listener else { panic!("not for other hosts") };
        published::write(dir, &network.advertised.url(PORT), tls.authority.as_deref())?;
        if network.is_chosen {
            published::keep_name(dir, &network.advertised)?;
        }
        Ok((network.advertised.host().to_owned(), tls))
    }

    fn proves(tls: &Certificates, host: &str) -> bool {
        tls.prove_to(tls.authority.as_deref(), host, now()).is_ok()
    }

    #[test]
    fn a_start_without_a_name_keeps_the_one_before() {
        let dir = tempfile::tempdir().unwrap();
        let (host, _) = started(dir.path(), &["--advertise", "old.example:24222"]).unwrap();
        assert_eq!(host, "old.example");
        let (host, tls) = started(dir.path(), &[]).unwrap();
        assert!(host == "old.example" && proves(&tls, &host), "{host}");
        assert_eq!(Earlier::read(dir.path()).name.unwrap().to_string(), "old.example:24222");
        let (host, tls) = started(dir.path(), &["--advertise", "new.example"]).unwrap();
        assert!(host == "new.example" && proves(&tls, &host) && proves(&tls, "old.example"), "{host}");
        started(dir.path(), &["--drop-name", "new.example"]).unwrap_err();
        let (host, tls) = started(dir.path(), &["--drop-name", "old.example"]).unwrap();
        assert!(host == "new.example" && proves(&tls, &host) && !proves(&tls, "old.example"), "{host}");
    }

    #[test]
    fn an_address_that_this_host_had_by_chance_stays_in_the_certificate_only() {
        let dir = tempfile::tempdir().unwrap();
        started(dir.path(), &[]).unwrap();
        let authority = dir.path().join("tls/ca.pem");
        published::write(dir.path(), "tls://192.0.2.77:4222", Some(&authority)).unwrap();
        let (host, tls) = started(dir.path(), &[]).unwrap();
        assert!(host != "192.0.2.77" && proves(&tls, &host) && proves(&tls, "192.0.2.77"), "{host}");
    }

    #[test]
    fn the_name_that_version_0_1_has_left_is_kept_too() {
        let dir = tempfile::tempdir().unwrap();
        Certificates::open_or_create(dir.path(), &tls::names("old.example", [0; 4].into()), now()).unwrap();
        std::fs::remove_file(dir.path().join("tls/names")).unwrap();
        let authority = dir.path().join("tls/ca.pem");
        published::write(dir.path(), "tls://old.example:4222", Some(&authority)).unwrap();
        let (host, tls) = started(dir.path(), &[]).unwrap();
        assert!(host == "old.example" && proves(&tls, "old.example"), "{host}");
    }

    #[test]
    fn a_start_with_an_authority_that_no_agent_trusts_is_refused() {
        let (dir, theirs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let name = "broker.example".to_owned();
        let given = Certificates::open_or_create(theirs.path(), std::slice::from_ref(&name), now()).unwrap();
        let path = |path: &Path| path.to_str().unwrap().to_owned();
        let (cert, key) = (path(&given.certificate), path(&given.key));
        let authority = path(given.authority.as_deref().unwrap());
        let given = ["--tls-cert", &cert, "--tls-key", &key, "--tls-ca", &authority, "--advertise", &name];
        let new = ["--new-authority"];
        started(dir.path(), &given).unwrap();
        let refused = started(dir.path(), &["--advertise", &name]).unwrap_err();
        assert!(refused.is::<UsageError>() && refused.to_string().contains("--new-authority"), "{refused}");
        started(dir.path(), &given).unwrap();
        started(dir.path(), &[&["--advertise", &name], &new[..]].concat()).unwrap();
        started(dir.path(), &given).unwrap_err();
        // Somebody has removed the folder.
        std::fs::remove_dir_all(dir.path().join("tls")).unwrap();
        started(dir.path(), &[]).unwrap_err();
        started(dir.path(), &new).unwrap();
        started(dir.path(), &[]).unwrap();
    }

    #[test]
    fn for_other_hosts_there_is_always_a_certificate() {
        let dir = tempfile::tempdir().unwrap();
        let listener = check(&["--listen", "0.0.0.0", "--advertise", "broker.example"]).unwrap();
        let (address, tls) = listener.prepare(dir.path()).unwrap();
        assert_eq!(address, Some(([0, 0, 0, 0], PORT).into()));
        assert!(tls.unwrap().authority.is_some());
        for bad in [
            &["--listen", "everywhere.invalid"][..],
            &["--listen", "tls://0.0.0.0:4222"],
            &["--listen", "0.0.0.0", "--tls-cert", "/a.pem"],
            &["--listen", "0.0.0.0", "--tls-cert", "/no/a.pem", "--tls-key", "/no/b.pem"],
            &["--listen", "0.0.0.0", "--nats-url", "nats://127.0.0.1:1"],
            &["--advertise", "x"],
            &["--listen", "0.0.0.0", "--advertise", "tls://broker.example"],
            &["--listen", "0.0.0.0", "--advertise", ""],
        ] {
            assert!(check(bad).is_err(), "{bad:?}");
        }
    }
}
