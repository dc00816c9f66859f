//! Where the broker of `tidemap up` listens: on loopback without encryption, or for other hosts with TLS.

mod advertised;

use std::{
    fs, io,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context;
use tidemap_broker::{
    Broker, data_dir,
    tls::{self, Certificates},
};
use tidemap_service::{cli::UsageError, clock::unix_ms, listen_address::ListenAddress};

use advertised::{Advertised, tls_url};

/// The broker's usual port.
const PORT: u16 = 4222;
/// In the data folder: the URL under which nodes reach the broker, for `tidemap enroll`.
const ENDPOINT: &str = "endpoint";
/// In the data folder: the authority of that broker's certificate (PEM), unless a public one signed it.
const AUTHORITY: &str = "endpoint-ca.pem";

/// Whether other hosts reach the broker, and the certificate that it shows them.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct ListenArgs {
    /// Accept agents of other hosts, always with TLS, on an address of this host, or 0.0.0.0 for all (port
    /// 4222 unless given).
    #[arg(long, env = "TIDEMAP_LISTEN", value_name = "HOST[:PORT]", conflicts_with = "nats_url")]
    listen: Option<ListenAddress>,
    /// The name or address under which nodes reach this host, with a port where a router forwards another one
    /// to the broker; its hostname unless given.
    #[arg(long, env = "TIDEMAP_ADVERTISE", value_name = "HOST[:PORT]", requires = "listen")]
    advertise: Option<Advertised>,
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
    Network { address: SocketAddr, advertised: Advertised, given: Option<Certificates> },
}

impl ListenArgs {
    pub(crate) fn check(self, nats_url: Option<&str>) -> anyhow::Result<Listener> {
        let Some(listen) = self.listen else {
            return Ok(Listener::Loopback(nats_url.map(loopback).transpose()?));
        };
        let address = listen.resolve("--listen", Some(PORT))?;
        let advertised =
            self.advertise.unwrap_or_else(|| Advertised::this_host(tidemap_agent::host_name(), address.ip()));
        let given = match (self.tls_cert, self.tls_key) {
            (Some(certificate), Some(key)) => Some(
                Certificates::given(&certificate, &key, self.tls_ca.as_deref(), advertised.host(), now())
                    .map_err(|error| UsageError(format!("--tls-cert: {error}")))?,
            ),
            _ => None,
        };
        Ok(Listener::Network { address, advertised, given })
    }
}

impl Listener {
    /// The address to listen on, and the certificate to show there; one is made in the data folder when none
    /// was given.
    pub(crate) fn prepare(&self, dir: &Path) -> anyhow::Result<(Option<SocketAddr>, Option<Certificates>)> {
        match self {
            Self::Loopback(address) => Ok((*address, None)),
            Self::Network { address, given: Some(given), .. } => Ok((Some(*address), Some(given.clone()))),
            Self::Network { address, advertised, given: None } => {
                let made =
                    Certificates::open_or_create(dir, &tls::names(advertised.host(), address.ip()), now())?;
                Ok((Some(*address), Some(made)))
            }
        }
    }

    /// Writes to the data folder, for `tidemap enroll`, how nodes reach the broker.
    pub(crate) fn publish(
        &self,
        dir: &Path,
        broker: &Broker,
        authority: Option<&Path>,
    ) -> anyhow::Result<()> {
        Self::write_authority(dir, authority)
            .context("cannot write the broker's authority to the data folder")?;
        Ok(data_dir::write(&dir.join(ENDPOINT), &self.url_there(broker))?)
    }

    fn write_authority(dir: &Path, authority: Option<&Path>) -> anyhow::Result<()> {
        let path = dir.join(AUTHORITY);
        match authority {
            Some(authority) => Ok(data_dir::write(&path, &fs::read_to_string(authority)?)?),
            None => match fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
                _ => Ok(()),
            },
        }
    }

    /// The URL for this host's own stations. A certificate of the operator's covers the advertised name only;
    /// no router is between, so the port is the broker's own.
    pub(crate) fn url_here(&self, broker: &Broker) -> String {
        match self {
            Self::Network { given: Some(_), advertised, .. } => {
                tls_url(advertised.host(), broker.address().port())
            }
            Self::Network { given: None, .. } | Self::Loopback(_) => broker.url(),
        }
    }

    /// The name or address under which other hosts reach this one, where it listens on `ip`.
    pub(crate) fn host_there(&self, ip: IpAddr) -> String {
        match self {
            Self::Network { advertised, .. } => advertised.host().to_owned(),
            Self::Loopback(_) => Advertised::this_host(tidemap_agent::host_name(), ip).host().to_owned(),
        }
    }

    fn url_there(&self, broker: &Broker) -> String {
        match self {
            Self::Loopback(_) => broker.url(),
            Self::Network { advertised, .. } => advertised.url(broker.address().port()),
        }
    }
}

/// How nodes reach the broker of a data folder, as `tidemap up` has written it there.
pub(crate) fn endpoint(dir: &Path) -> Option<String> {
    fs::read_to_string(dir.join(ENDPOINT)).ok()
}

/// The authority of that broker's certificate (PEM), likewise; `None` is a public one.
pub(crate) fn authority(dir: &Path) -> Option<String> {
    fs::read_to_string(authority_path(dir)?).ok()
}

/// The file with that authority.
pub(crate) fn authority_path(dir: &Path) -> Option<PathBuf> {
    Some(dir.join(AUTHORITY)).filter(|path| path.exists())
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
        let cli = Cli::try_parse_from([&["up"], args].concat())?;
        cli.listen.check(cli.nats_url.as_deref())
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

    #[test]
    fn the_authority_in_the_data_folder_is_the_one_in_use() {
        let dir = tempfile::tempdir().unwrap();
        let pem = dir.path().join("theirs.pem");
        for text in ["old", "new"] {
            fs::write(&pem, text).unwrap();
            Listener::write_authority(dir.path(), Some(&pem)).unwrap();
            assert_eq!(authority(dir.path()).as_deref(), Some(text));
        }
        for _ in 0..2 {
            Listener::write_authority(dir.path(), None).unwrap();
            assert_eq!(authority(dir.path()), None);
        }
        Listener::write_authority(dir.path(), Some(Path::new("/no/such.pem"))).unwrap_err();
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
