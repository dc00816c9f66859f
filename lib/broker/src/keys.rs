//! Keys: who may connect to the broker.
//!
//! Every user has an nkey: the seed stays in a file of its owner, the public key is in a file that
//! `nats.conf` includes. In the data folder:
//!
//! * `keys/*.nk`: seeds of the services, of programs that only read, of the simulator, of the operator;
//! * `keys/agents/<node>.nk`: seeds of agents, to be copied to their hosts; a node that has joined by an
//!   invite has its seed itself;
//! * `keys/agents/<node>.labels`: the labels in that node's line;
//! * `keys/relays/<relay>.nk`, `keys/relays/<relay>.local.nk`: seeds of relays;
//! * `keys/api.token`: the token of the API's admin, made by `up` unless another is given;
//! * `keys/invites.json`: see [`crate::invites`]; `keys/unpublished`: see [`crate::unpublished`];
//! * `users/*.conf`: the included files, one for each account.
//!
//! Permissions are in `nats.conf`, except those of agents and relays, which differ for each of them.

mod admission;
mod agents;
mod seed;

use std::{
    fs::File,
    path::{Path, PathBuf},
};

use tidemap_wire::NodeId;

use crate::files::{self, PathError};
pub use admission::{Admission, admit, is_admitted};
use agents::Agents;

/// Why keys cannot be generated or read.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// A file or folder cannot be used.
    #[error(transparent)]
    File(#[from] PathError),
    /// A file does not hold the seed that it should.
    #[error("{} holds no nkey seed of a user: remove it to have a new one made", path.display())]
    NotASeed {
        /// The file.
        path: PathBuf,
    },
    /// The node's key is on its host only, so there is none to hand out.
    #[error("{node} has joined by an invite, with a key of its own: revoke it to enroll it with another")]
    Joined {
        /// The node.
        node: NodeId,
    },
    /// A users file does not have the form in which this module writes it, so changing it would not be safe.
    #[error("{} has no line `users = [` with its `]`: remove it to have a new one made", path.display())]
    NotAFragment {
        /// The file.
        path: PathBuf,
    },
}

/// The keys in a data folder.
#[derive(Clone, Debug)]
pub struct Keys {
    dir: PathBuf,
}

impl Keys {
    /// Creates what is missing in the data folder: seeds, and the users files that `nats.conf` includes.
    ///
    /// # Errors
    ///
    /// When a file cannot be written, or one that exists is not what it should be.
    pub fn open_or_create(dir: &Path) -> Result<Self, KeysError> {
        let _lock = lock(dir)?;
        let keys = Self { dir: dir.to_owned() };
        for (account, seed) in [
            ("services", keys.service_seed_path()),
            ("apps", keys.app_seed_path()),
            ("sys", keys.sys_seed_path()),
        ] {
            let user = seed::open_or_create(&seed)?;
            files::write_if_changed(
                &users_path(dir, account),
                &format!("users = [\n  {{ nkey: {user} }}\n]\n"),
            )?;
        }
        let simulator = seed::open_or_create(&keys.simulator_seed_path())?;
        let mut agents = Agents::read(&users_path(dir, "agents"))?;
        agents.set_simulator(&simulator);
        agents.write()?;
        Ok(keys)
    }

    /// The seed of ingest workers and of the API.
    pub fn service_seed_path(&self) -> PathBuf {
        service_seed_path(&self.dir)
    }

    /// The seed of programs that only read.
    pub fn app_seed_path(&self) -> PathBuf {
        seed_path(&self.dir, "app")
    }

    /// The file with the token of the API's admin, which is made if it is missing.
    ///
    /// # Errors
    ///
    /// When the file cannot be written or read.
    pub fn api_token_path(&self) -> Result<PathBuf, KeysError> {
        let _lock = lock(&self.dir)?;
        let path = self.dir.join("keys/api.token");
        if files::read(&path)?.is_none() {
            files::write_atomically(&path, &format!("{}\n", seed::new_token(&path)?))?;
        }
        Ok(path)
    }

    /// The seed of the operator's user, which can administer the running broker.
    pub fn sys_seed_path(&self) -> PathBuf {
        sys_seed_path(&self.dir)
    }

    /// The seed of the simulator, which may publish as every node.
    pub fn simulator_seed_path(&self) -> PathBuf {
        seed_path(&self.dir, "simulator")
    }
}

/// An agent's key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnrolledSeed {
    /// The agent's seed.
    pub seed_path: PathBuf,
    /// Whether it is new, so that a running broker must reload.
    pub created: bool,
}

/// Enrolls a node's agent: generates its key if it has none, and adds it to the broker's users.
///
/// # Errors
///
/// When a file cannot be written, or one that exists is not what it should be; or the node has joined by an
/// invite.
pub fn enroll(dir: &Path, node: &NodeId) -> Result<EnrolledSeed, KeysError> {
    let _lock = lock(dir)?;
    let seed_path = agent_seed_path(dir, node);
    let mut agents = Agents::read(&users_path(dir, "agents"))?;
    if agents.user(node).is_some_and(|(_, has_joined)| has_joined) {
        return Err(KeysError::Joined { node: node.clone() });
    }
    let user = seed::open_or_create(&seed_path)?;
    let created = agents.set(node, &user);
    agents.write()?;
    Ok(EnrolledSeed { seed_path, created })
}

/// Revokes a node's agent and removes its seed. Returns whether it was enrolled.
///
/// # Errors
///
/// When a file cannot be written, or the users file is not as this module writes it.
pub fn revoke(dir: &Path, node: &NodeId) -> Result<bool, KeysError> {
    let _lock = lock(dir)?;
    let mut agents = Agents::read(&users_path(dir, "agents"))?;
    let known = agents.remove(node);
    agents.write()?;
    let seed_path = agent_seed_path(dir, node);
    files::remove(&seed_path)?;
    files::remove(&seed_path.with_extension("labels"))?;
    Ok(known)
}

/// What a relay does at a broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RelaySide {
    /// It publishes packs.
    Packs,
    /// It receives all reports at the agents' server, and acknowledges them.
    Reports,
}

/// Enrolls a relay: generates its key if it has none, and adds it to the broker's users.
///
/// # Errors
///
/// When a file cannot be written, or one that exists is not what it should be.
pub fn enroll_relay(dir: &Path, relay: &NodeId, side: RelaySide) -> Result<EnrolledSeed, KeysError> {
    let _lock = lock(dir)?;
    let seed_path = relay_seed_path(dir, relay, side);
    let user = seed::open_or_create(&seed_path)?;
    let mut agents = Agents::read(&users_path(dir, "agents"))?;
    let created = agents.set_relay(relay, side, &user);
    agents.write()?;
    Ok(EnrolledSeed { seed_path, created })
}

/// Revokes a relay on both sides and removes its seeds. Returns whether it was enrolled.
///
/// # Errors
///
/// When a file cannot be written, or the users file is not as this module writes it.
pub fn revoke_relay(dir: &Path, relay: &NodeId) -> Result<bool, KeysError> {
    let _lock = lock(dir)?;
    let mut agents = Agents::read(&users_path(dir, "agents"))?;
    let known = agents.remove_relay(relay);
    agents.write()?;
    for side in [RelaySide::Packs, RelaySide::Reports] {
        files::remove(&relay_seed_path(dir, relay, side))?;
    }
    Ok(known)
}

/// The seed of a data folder's services, see [`Keys::service_seed_path`].
pub fn service_seed_path(dir: &Path) -> PathBuf {
    seed_path(dir, "service")
}

/// The seed of a data folder's operator, see [`Keys::sys_seed_path`].
pub fn sys_seed_path(dir: &Path) -> PathBuf {
    seed_path(dir, "sys")
}

fn seed_path(dir: &Path, name: &str) -> PathBuf {
    dir.join("keys").join(name).with_extension("nk")
}

fn agent_seed_path(dir: &Path, node: &NodeId) -> PathBuf {
    dir.join("keys/agents").join(format!("{node}.nk"))
}

fn relay_seed_path(dir: &Path, relay: &NodeId, side: RelaySide) -> PathBuf {
    // A relay's name contains no dot, so the two sides' files cannot collide.
    let name = match side {
        RelaySide::Packs => format!("{relay}.nk"),
        RelaySide::Reports => format!("{relay}.local.nk"),
    };
    dir.join("keys/relays").join(name)
}

fn users_path(dir: &Path, account: &str) -> PathBuf {
    dir.join("users").join(account).with_extension("conf")
}

/// Locks the keys against changes by other processes, as `enroll` may run beside `up`.
fn lock(dir: &Path) -> Result<File, KeysError> {
    Ok(files::lock(dir, &["keys", "keys/agents", "keys/relays", "users"], "keys/lock")?)
}

#[cfg(test)]
pub(crate) mod tests;
