//! What agents know of the broker from earlier starts, so that a later one does not lock them out.

use std::{
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
};

use tidemap_broker::tls::Certificates;
use tidemap_service::cli::UsageError;

use super::{
    advertised::Advertised,
    now,
    published::{kept_name, published},
};

/// What the starts before have left in the data folder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Earlier {
    /// The name that was chosen with `--advertise`, then or before.
    pub(super) name: Option<Advertised>,
    /// Host and port under which nodes of other hosts know the broker, the latest last.
    published: Vec<Advertised>,
    /// The authority that those nodes trust; a public one unless there is a file.
    authority: Option<PathBuf>,
    /// Whether a version that kept no names was started last.
    pub(super) kept_none: bool,
}

impl Earlier {
    pub(super) fn read(dir: &Path) -> Self {
        let (published, authority) = published(dir);
        Self { name: kept_name(dir), published, authority, kept_none: !dir.join("tls/names").exists() }
    }

    /// The name that was chosen for this host, or that it had at the start before. An address that it had by
    /// chance is no name; version 0.1 has left only the URL, in which an address may have been chosen.
    pub(super) fn chosen(self, listen: SocketAddr, here: impl FnOnce() -> Advertised) -> Option<Advertised> {
        self.name.or_else(|| {
            let before = self.published.last()?.clone();
            let may_be_chance = before.host().parse::<IpAddr>().is_ok() && !self.kept_none;
            (!may_be_chance && before.host() != here().host()).then(|| before.without_port(listen.port()))
        })
    }

    /// The host by which agents of other hosts know the broker.
    pub(super) fn network_host(&self) -> Option<&str> {
        self.published.last().map(Advertised::host)
    }

    /// What was published to agents of other hosts, without the names that none of them uses any more.
    pub(super) fn in_use(&self, dropped: &[String]) -> Vec<Advertised> {
        let is_used = |there: &&Advertised| !dropped.iter().any(|name| name == there.host());
        self.published.iter().filter(is_used).cloned().collect()
    }

    /// Warns when agents that are enrolled look for this host by another name or at another port. The
    /// certificate has been proved for all of these names.
    pub(super) fn warn_of_change(&self, advertised: &Advertised, port: u16) {
        let Some(before) = self.published.last() else { return };
        let (host, now) = (advertised.host(), advertised.port(port));
        if before.host() != host {
            tracing::warn!(
                "nodes that are enrolled know this host as {old}, new ones as {host}. The certificate is for both; \
                 each name must lead here as long as a node uses it (--drop-name {old} ends it)",
                old = before.host()
            );
        }
        let then = before.port(port);
        if then != now {
            tracing::warn!(
                "nodes that are enrolled look for the broker at port {then}, new ones at {now}: the port of before \
                 must lead here too, or they have to be enrolled again"
            );
        }
    }

    /// Refuses a certificate that agents with the authority and the names of earlier starts would not accept.
    pub(super) fn check_trust(
        &self,
        tls: &Certificates,
        host: &str,
        dropped: &[String],
    ) -> Result<(), UsageError> {
        if self.published.is_empty() {
            return Ok(());
        }
        let trusted = self.authority.as_deref();
        let same = trusted.is_none() && tls.authority.is_none();
        if !same && tls.prove_to(trusted, host, now()).is_err() {
            let known =
                trusted.map_or_else(|| "a public authority".to_owned(), |path| path.display().to_string());
            return Err(UsageError(format!(
                "--listen: nodes that are enrolled trust {known}, which has not signed {}: none of them would connect. \
                 Give the certificate of the start before (--tls-cert, --tls-key, --tls-ca), or --new-authority, and \
                 enroll every node again",
                tls.certificate.display()
            )));
        }
        for name in self.in_use(dropped).iter().map(Advertised::host) {
            if tls.prove_to(tls.authority.as_deref(), name, now()).is_err() {
                return Err(UsageError(format!(
                    "--listen: nodes that are enrolled know this host as {name}, and {} is not valid for it: they \
                     would not connect. Give a certificate for both names, or --drop-name {name} once no node uses it",
                    tls.certificate.display()
                )));
            }
        }
        Ok(())
    }
}
