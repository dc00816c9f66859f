//! Where nodes are admitted: among the users of a broker's data folder, or by an operator's signature.

use std::path::{Path, PathBuf};

use anyhow::Context;
use tidemap_broker::{
    jwt::Operator,
    keys::{self, Admission},
};
use tidemap_service::nats::NatsArgs;
use tidemap_wire::NodeId;

use super::FolderArgs;
use crate::{
    enroll, listen,
    operator::{self, BrokersArgs},
};

/// The folder with keys and invites, and how its brokers are reached.
#[derive(Clone, Debug)]
pub(crate) struct Registry {
    keys: KeysIn,
    brokers: BrokersArgs,
}

#[derive(Clone, Debug)]
enum KeysIn {
    DataFolder(PathBuf),
    Operator(PathBuf, Operator),
}

/// How a node stands after it was to be admitted.
pub(super) struct Admitted {
    pub(super) admission: Admission,
    /// What the operator has signed for it.
    pub(super) token: Option<String>,
}

impl Registry {
    pub(super) fn open(args: &FolderArgs) -> anyhow::Result<Self> {
        let keys = match &args.operator {
            Some(folder) => KeysIn::Operator(folder.clone(), Operator::open(folder)?),
            None => KeysIn::DataFolder(enroll::data_dir(args.data_dir.clone())?),
        };
        Ok(Self { keys, brokers: BrokersArgs { nats_url: None, nats_ca: None } })
    }

    /// The users in the data folder of a broker that this process runs.
    pub(crate) fn of_data_dir(dir: &Path) -> Self {
        Self {
            keys: KeysIn::DataFolder(dir.to_owned()),
            brokers: BrokersArgs { nats_url: None, nats_ca: None }.at(dir),
        }
    }

    /// With the address by which this process reaches the brokers.
    pub(super) fn reached_by(mut self, nats: &NatsArgs) -> anyhow::Result<Self> {
        nats.check()?;
        self.brokers = BrokersArgs { nats_url: Some(nats.nats_url.clone()), nats_ca: nats.nats_ca.clone() };
        Ok(self)
    }

    /// The folder.
    pub(crate) fn folder(&self) -> &Path {
        match &self.keys {
            KeysIn::DataFolder(dir) => dir,
            KeysIn::Operator(dir, _) => dir,
        }
    }

    /// Whether nodes are admitted by signatures.
    pub(crate) fn signs(&self) -> bool {
        matches!(self.keys, KeysIn::Operator(..))
    }

    /// With what a service connects.
    pub(super) fn service_creds(&self) -> PathBuf {
        match &self.keys {
            KeysIn::DataFolder(dir) => keys::service_seed_path(dir),
            KeysIn::Operator(_, operator) => operator.service_creds_path(),
        }
    }

    /// Where nodes reach the broker unless an invite says otherwise, and the authority of its certificate.
    pub(super) fn endpoint(&self) -> anyhow::Result<(String, Option<String>)> {
        if let KeysIn::DataFolder(dir) = &self.keys
            && let Some(url) = listen::endpoint(dir)
        {
            let authority = listen::authority(dir).filter(|_| url.starts_with("tls://"));
            return Ok((url, authority));
        }
        let url = self.brokers.nats_url.clone();
        let url = url.context("nobody has said how nodes reach the broker: make invites with --nats-url")?;
        let authority = self.brokers.nats_ca.as_deref().map(enroll::read).transpose()?;
        Ok((url, authority))
    }

    pub(super) fn admit(
        &self,
        node: &NodeId,
        key: &str,
        invite: &str,
        replaces: bool,
        now_ms: i64,
    ) -> anyhow::Result<Admitted> {
        match &self.keys {
            KeysIn::DataFolder(dir) => {
                let admission = keys::admit(dir, node, key, invite, replaces)?;
                Ok(Admitted { admission, token: None })
            }
            KeysIn::Operator(_, operator) => {
                let (admission, token) = operator.admit(node, key, replaces, now_ms / 1_000)?;
                Ok(Admitted { admission, token: Some(token) })
            }
        }
    }

    /// Whether a node is admitted with this key at the moment.
    pub(super) fn is_admitted(&self, node: &NodeId, key: &str) -> anyhow::Result<bool> {
        Ok(match &self.keys {
            KeysIn::DataFolder(dir) => keys::is_admitted(dir, node, key)?,
            KeysIn::Operator(_, operator) => operator.is_admitted(node, key)?,
        })
    }

    /// Makes the brokers know what was admitted. Where they trust signatures, they need to hear of
    /// revocations only.
    pub(super) async fn tell_brokers(&self, has_revoked: bool) -> anyhow::Result<()> {
        match &self.keys {
            KeysIn::DataFolder(dir) => {
                let runs = enroll::reload(dir, &self.brokers).await?;
                anyhow::ensure!(runs, "no broker runs with the users of {}", dir.display());
            }
            KeysIn::Operator(_, operator) if has_revoked => {
                operator::push(operator, &self.brokers).await?;
            }
            KeysIn::Operator(..) => {}
        }
        Ok(())
    }
}
