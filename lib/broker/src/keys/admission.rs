//! Admits a node by a public key that was made on its host.

use std::{fs, path::Path};

use tidemap_wire::NodeId;

use super::{KeysError, agent_seed_path, agents::Agents, lock, users_path};
use crate::{files, unpublished};

/// How it stands with a key that was to be admitted for a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It is admitted now.
    New,
    /// It is admitted now, in place of another one.
    Replaced,
    /// It was admitted before.
    Known,
    /// The node has another key, and keeps it.
    NodeTaken,
    /// The key is another user's.
    KeyTaken,
}

/// Adds a node to the broker's users with this public key, and marks that the broker has yet to hear of it
/// ([`crate::unpublished`]). If the node has another key, that is replaced only if `replaces`.
///
/// # Errors
///
/// When a file cannot be written, or one that exists is not what it should be.
pub fn admit(
    dir: &Path,
    node: &NodeId,
    key: &str,
    invite: &str,
    replaces: bool,
) -> Result<Admission, KeysError> {
    let _lock = lock(dir)?;
    let mut agents = Agents::read(&users_path(dir, "agents"))?;
    let before = agents.user(node).map(|(user, _)| user.to_owned());
    match before {
        Some(user) if user == key => return Ok(Admission::Known),
        Some(_) if !replaces => return Ok(Admission::NodeTaken),
        // A broker refuses users of which two have one key, and then serves with those of before.
        _ if is_used(dir, key)? => return Ok(Admission::KeyTaken),
        _ => {}
    }
    unpublished::mark(dir)?;
    agents.set_joined(node, key, invite);
    agents.write()?;
    files::remove(&agent_seed_path(dir, node))?;
    Ok(if before.is_some() { Admission::Replaced } else { Admission::New })
}

/// Whether a node is among the broker's users with this key.
///
/// # Errors
///
/// When the file cannot be read, or is not what it should be.
pub fn is_admitted(dir: &Path, node: &NodeId, key: &str) -> Result<bool, KeysError> {
    let agents = Agents::read(&users_path(dir, "agents"))?;
    Ok(agents.user(node).is_some_and(|(user, _)| user == key))
}

/// Whether any user of the broker has this key.
fn is_used(dir: &Path, key: &str) -> Result<bool, KeysError> {
    let folder = dir.join("users");
    for entry in fs::read_dir(&folder).map_err(files::at(&folder))? {
        let path = entry.map_err(files::at(&folder))?.path();
        let is_users = path.extension().is_some_and(|extension| extension == "conf");
        if is_users && files::read(&path)?.is_some_and(|text| text.contains(key)) {
            return Ok(true);
        }
    }
    Ok(false)
}
