//! What agents know of the broker from earlier starts, so that a later one does not lock them out.

use std::{
    net::{IpAddr, SocketAddr},
    path::Path,
};

use tidemap_broker::tls::Certificates;
use tidemap_service::cli::UsageError;

use super::{
    advertised::Advertised,
    now,
    published::{authority_path, endpoint, kept_name},
};

/// What the start before has left in the data folder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Earlier {
    /// The name that was chosen with `--advertise`, then or before.
    pub(super) name: Option<Advertised>,
    /// Host and port of a broker for other hosts.
    network: Option<Advertised>,
    /// Whether a version that kept no chosen name was started last.
    kept_none: bool,
}

impl Earlier {
    pub(super) fn read(dir: &Path) -> Self {
        let url = endpoint(dir).unwrap_or_default();
        let network = url.trim().strip_prefix("tls://").and_then(|host| host.parse().ok());
        Self { name: kept_name(dir), network, kept_none: !dir.join("tls/names").exists() }
    }

    /// The name that was chosen for this host, or that it had at the start before. An address that it had by
    /// chance is no name; version 0.1 has left only the URL, in which an address may have been chosen.
    pub(super) fn chosen(self, listen: SocketAddr, here: impl FnOnce() -> Advertised) -> Option<Advertised> {
        self.name.or_else(|| {
            let before = self.network?;
            let may_be_chance = before.host().parse::<IpAddr>().is_ok() && !self.kept_none;
            (!may_be_chance && before.host() != here().host()).then(|| before.without_port(listen.port()))
        })
    }

    /// The host by which agents of other hosts know the broker.
    pub(super) fn network_host(&self) -> Option<&str> {
        self.network.as_ref().map(Advertised::host)
    }

    /// Warns when agents that are enrolled know this host by another name.
    pub(super) fn warn_of_change(&self, advertised: &Advertised) {
        if let Some(before) = self.network_host().filter(|before| *before != advertised.host()) {
            tracing::warn!(
                "nodes that are enrolled know this host as {before}, new ones as {}. The certificate is for both; \
                 each name must lead here as long as a node uses it (--drop-name {before} ends it)",
                advertised.host()
            );
        }
    }

    /// Refuses a certificate that agents with the authority of the start before would not accept.
    pub(super) fn check_trust(&self, dir: &Path, tls: &Certificates, host: &str) -> anyhow::Result<()> {
        if self.network.is_none() {
            return Ok(());
        }
        let trusted = authority_path(dir);
        let same = trusted.is_none() && tls.authority.is_none();
        if same || tls.prove_to(trusted.as_deref(), host, now()).is_ok() {
            return Ok(());
        }
        let known =
            trusted.map_or_else(|| "a public authority".to_owned(), |path| path.display().to_string());
        Err(UsageError(format!(
            "--listen: nodes that are enrolled trust {known}, which has not signed {}: none of them would connect. \
             Give the certificate of the start before (--tls-cert, --tls-key, --tls-ca), or --new-authority, and enroll \
             every node again",
            tls.certificate.display()
        ))
        .into())
    }
}
