//! Invites: which words let nodes join, and who has joined by them. One file in a data folder or an
//! operator's folder, `keys/invites.json`.

mod known;

use std::{
    collections::BTreeMap,
    fs::File,
    path::{Path, PathBuf},
};

use nkeys::{KeyPair, KeyPairType};
use serde::{Deserialize, Serialize};
use tidemap_service::invite::{Invite, InviteKey};
use tidemap_wire::{JoinAsk, JoinRefusal, JoinRequest, NodeName};

use crate::files::{self, PathError};
pub use known::KnownInvites;

const FILE: &str = "keys/invites.json";
/// An invite stays listed this long after its end, to show who has joined by it.
const KEPT_MS: i64 = 30 * 24 * 3_600_000;
/// The most that there are at a time, ended ones included: the file is read for each node that joins.
const MAX: usize = 10_000;

/// Why invites cannot be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum InvitesError {
    /// A file or folder cannot be used.
    #[error(transparent)]
    File(#[from] PathError),
    /// The file is not as this module writes it.
    #[error("{file} cannot be read: {cause}; remove it to begin without invites")]
    Unreadable {
        /// The file.
        file: String,
        /// What is wrong with it.
        cause: String,
    },
    /// There are too many.
    #[error("there are {MAX} invites; end some (`tidemap invites revoke ID`), or wait until they expire")]
    TooMany,
    /// The system has no random numbers.
    #[error("this system has no random numbers")]
    NoRandomNumbers,
}

/// What an invite allows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InviteTerms {
    /// How many nodes may join.
    pub uses: u32,
    /// Until when, Unix milliseconds.
    pub expires_ms: i64,
    /// Labels of the nodes that join.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Whether a node that is enrolled already may join with another key, which replaces the old one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub rejoin: bool,
    /// The broker's address as the nodes reach it, unless it is the enroller's to say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The authority of that broker's certificate (PEM).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authority: Option<String>,
}

/// A node that has joined.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Joined {
    /// Its name.
    pub name: String,
    /// Its id.
    pub node: String,
    /// Its public key.
    pub key: String,
    /// When, Unix milliseconds.
    pub at_ms: i64,
    /// Whether its use is counted, and its key perhaps not admitted yet: somebody was stopped between the
    /// two. Then the same request may go on.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub pending: bool,
}

/// An invite as it is kept: without its word.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InviteRecord {
    /// Which one.
    pub id: String,
    /// What checks its proofs.
    key: String,
    /// What it allows.
    #[serde(flatten)]
    pub terms: InviteTerms,
    /// Whether somebody has ended it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub revoked: bool,
    /// Who has joined by it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub joined: Vec<Joined>,
}

/// All invites.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invites {
    invites: Vec<InviteRecord>,
}

/// A request that proves to know an invite.
#[derive(Debug)]
pub struct Asked<'a> {
    /// The invite.
    pub invite: &'a mut InviteRecord,
    /// What checks and gives its proofs.
    pub secret: InviteKey,
    /// Who asks.
    pub name: NodeName,
    /// Its public key: that of a user.
    pub key: String,
}

/// Why a request is refused: the kind of reason, and the reason in words.
pub type NotAdmitted = (JoinRefusal, String);

/// Reads the invites of a folder.
///
/// # Errors
///
/// When the file cannot be read.
pub fn read(dir: &Path) -> Result<Invites, InvitesError> {
    let path = dir.join(FILE);
    let Some(text) = files::read(&path)? else { return Ok(Invites::default()) };
    serde_json::from_str(&text).map_err(|error| InvitesError::Unreadable {
        file: path.display().to_string(),
        cause: error.to_string(),
    })
}

/// The invites of a folder, which no other process changes meanwhile.
#[derive(Debug)]
pub struct OpenInvites {
    path: PathBuf,
    written: Invites,
    /// As they are to be.
    pub invites: Invites,
    _lock: File,
}

/// Opens the invites of a folder; waits while another process has them open.
///
/// # Errors
///
/// When the file cannot be read.
pub fn open(dir: &Path) -> Result<OpenInvites, InvitesError> {
    let lock = files::lock(dir, &["keys"], "keys/invites.lock")?;
    let written = read(dir)?;
    Ok(OpenInvites { path: dir.join(FILE), invites: written.clone(), written, _lock: lock })
}

/// Changes the invites of a folder, while no other process does.
///
/// # Errors
///
/// When the file cannot be read or written. Then nothing has changed in it.
pub fn update<T>(dir: &Path, change: impl FnOnce(&mut Invites) -> T) -> Result<T, InvitesError> {
    let mut open = open(dir)?;
    let result = change(&mut open.invites);
    open.save()?;
    Ok(result)
}

impl OpenInvites {
    /// Writes what has changed.
    ///
    /// # Errors
    ///
    /// When the file cannot be written. Then nothing has changed in it.
    pub fn save(&mut self) -> Result<(), InvitesError> {
        if self.invites != self.written {
            let text = serde_json::to_string_pretty(&self.invites).map_err(|error| {
                InvitesError::Unreadable { file: FILE.to_owned(), cause: error.to_string() }
            })?;
            files::write_atomically(&self.path, &(text + "\n"))?;
            self.written = self.invites.clone();
        }
        Ok(())
    }
}

impl Invites {
    /// All of them, the oldest first.
    pub fn all(&self) -> &[InviteRecord] {
        &self.invites
    }

    /// Makes an invite.
    ///
    /// # Errors
    ///
    /// When there are too many, or the system has no random numbers.
    pub fn make(&mut self, terms: InviteTerms, now_ms: i64) -> Result<Invite, InvitesError> {
        self.invites.retain(|invite| invite.terms.expires_ms.saturating_add(KEPT_MS) > now_ms);
        if self.invites.len() >= MAX {
            return Err(InvitesError::TooMany);
        }
        let invite = Invite::random().ok_or(InvitesError::NoRandomNumbers)?;
        self.invites.push(InviteRecord {
            id: invite.id().to_owned(),
            key: invite.key().text(),
            terms,
            revoked: false,
            joined: Vec::new(),
        });
        Ok(invite)
    }

    /// Ends an invite. Returns whether there is one with this id.
    pub fn revoke(&mut self, id: &str) -> bool {
        let found = self.invites.iter_mut().find(|invite| invite.id == id);
        found.map(|invite| invite.revoked = true).is_some()
    }

    /// Whether somebody has asked for this node and may not have been answered.
    pub fn has_pending(&self, node: &str) -> bool {
        self.invites
            .iter()
            .flat_map(|invite| &invite.joined)
            .any(|joined| joined.pending && joined.node == node)
    }

    /// Whoever has asked for this node and was not answered does not come in with that request any more.
    pub fn settle(&mut self, node: &str) {
        for joined in self.invites.iter_mut().flat_map(|invite| &mut invite.joined) {
            joined.pending &= joined.node != node;
        }
    }

    /// The invites by which a node has joined and by which more nodes may join.
    pub fn still_admitting<'a>(&'a self, node: &'a str, now_ms: i64) -> impl Iterator<Item = &'a str> {
        let by = move |invite: &&InviteRecord| invite.joined.iter().any(|joined| joined.node == node);
        let open = move |invite: &&InviteRecord| invite.over(now_ms).is_none();
        self.invites.iter().filter(by).filter(open).map(|invite| &*invite.id)
    }

    /// The invite that a request proves to know, and what it asks for. Whether the invite still admits
    /// anybody is another question: see [`InviteRecord::over`].
    ///
    /// # Errors
    ///
    /// When there is none, or the request makes no sense.
    pub fn asked(&mut self, request: &JoinRequest) -> Result<Asked<'_>, NotAdmitted> {
        let (at, secret, name, key) = self.proved(request)?;
        Ok(Asked { invite: &mut self.invites[at], secret, name, key })
    }

    /// Why a request is not even heard.
    pub fn refuses(&self, request: &JoinRequest) -> Option<NotAdmitted> {
        self.proved(request).err()
    }

    fn proved(&self, request: &JoinRequest) -> Result<(usize, InviteKey, NodeName, String), NotAdmitted> {
        // One answer to both, so that nobody learns which ids exist.
        let unknown = || (JoinRefusal::Unknown, "there is no such invite".to_owned());
        let at = self.invites.iter().position(|invite| invite.id == request.invite).ok_or_else(unknown)?;
        let invite = &self.invites[at];
        let secret = InviteKey::from_text(&invite.id, &invite.key).ok_or_else(unknown)?;
        if !secret.is_asked(&request.ask, &request.proof) {
            return Err(unknown());
        }
        let unfit = |why: String| (JoinRefusal::Unfit, why);
        let ask: JoinAsk = serde_json::from_str(&request.ask).map_err(|error| unfit(error.to_string()))?;
        let name = NodeName::parse(&ask.name).map_err(|error| unfit(error.to_string()))?;
        let key = user_key(&ask.key).ok_or_else(|| unfit("the key is no public key of a user".to_owned()))?;
        if !secret.is_signed(&key, &request.ask, &request.signature) {
            return Err(unfit("whoever asks does not have the key".to_owned()));
        }
        Ok((at, secret, name, ask.key))
    }
}

impl InviteRecord {
    /// How many nodes may still join.
    pub fn uses_left(&self) -> u32 {
        self.terms.uses.saturating_sub(u32::try_from(self.joined.len()).unwrap_or(u32::MAX))
    }

    /// Why nobody may join by it any more; `None` while somebody may.
    pub fn over(&self, now_ms: i64) -> Option<&'static str> {
        if self.revoked {
            Some("is revoked")
        } else if self.terms.expires_ms <= now_ms {
            Some("has expired")
        } else if self.uses_left() == 0 {
            Some("is used up")
        } else {
            None
        }
    }

    /// The entry of this node, if it has joined by it with this key.
    pub fn joined(&mut self, node: &str, key: &str) -> Option<&mut Joined> {
        self.joined.iter_mut().find(|joined| joined.node == node && joined.key == key)
    }

    /// Takes back a use that was counted for a node that was not admitted.
    pub fn uncount(&mut self, node: &str, key: &str) {
        self.joined.retain(|joined| !(joined.pending && joined.node == node && joined.key == key));
    }
}

/// Whether this is the public key of a user, and nothing else.
pub(crate) fn is_user_key(key: &str) -> bool {
    user_key(key).is_some()
}

fn user_key(key: &str) -> Option<KeyPair> {
    let pair = KeyPair::from_public_key(key).ok()?;
    (matches!(pair.key_pair_type(), KeyPairType::User) && pair.public_key() == key).then_some(pair)
}

#[cfg(test)]
mod tests;
