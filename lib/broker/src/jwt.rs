//! The operator's folder: keys and signed tokens that decide who may connect to the broker, in place of users
//! in the broker's configuration.
//!
//! For fleets with too many nodes for one line each in `users/agents.conf` (see [`crate::keys`]). An operator
//! key signs four accounts, which have the permissions of those in `nats.conf`. A signing key of the account
//! `AGENTS` signs agents. The account lets each agent that this key signs publish as the node in its token
//! and do nothing else. So enrolling a node is an offline signature: brokers need not be informed, however
//! many nodes there are.
//!
//! * `keys/*.nk`: seeds of the operator, its accounts, and the key that enrolls. A host that only enrolls
//!   needs `keys/enroll.nk` and `claims/AGENTS.jwt`, and none of the others;
//! * `claims/*.jwt`: what the operator has signed; public;
//! * `creds/*.creds`: credentials of the services, of programs that only read, of the simulator, of the
//!   operator;
//! * `relays/<relay>.creds`: credentials of relays;
//! * `agents/<node>.creds`: credentials of agents, to be copied to their hosts; `agents/<node>.labels`: the
//!   labels in that node's line; `agents/<node>.jwt`: what was signed for a node that has joined by an
//!   invite, with a key of its own; `agents/<node>.revoked`: the public key that was revoked, and `agent`
//!   below it when the enrolling key is known to have signed it;
//! * `keys/invites.json`: see [`crate::invites`]; `keys/unpublished`: see [`crate::unpublished`];
//! * `broker/nats.conf`: the configuration with which each broker is started; it holds no secrets.

mod brokers;
mod claims;
mod configuration;
mod creds;
mod joined;
mod relays;
mod seed;
mod token;

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
};

use tidemap_wire::NodeId;

use crate::{
    files::{self, PathError},
    invites::is_user_key,
};
use claims::{Accounts, Revoked};
use token::Claims;

pub use brokers::{known_token, push};

/// How far the clock of the host that enrolled a node may be ahead of this one. Used when the credentials,
/// which hold the time of signing, are not in this folder.
const CLOCK_SKEW_MAX_S: i64 = 24 * 60 * 60;

/// The second line in the record of a revoked key that the enrolling key has signed.
const BY_ENROLL_KEY: &str = "agent";

/// Why the operator's folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JwtError {
    /// A file or folder cannot be used.
    #[error(transparent)]
    File(#[from] PathError),
    /// The folder holds no signed accounts.
    #[error("{} is no operator's folder: `tidemap operator init` makes one", dir.display())]
    NotAnOperator {
        /// The folder.
        dir: PathBuf,
    },
    /// A key is missing: it is kept elsewhere. Generating a new one would lock out everybody who relies on
    /// it.
    #[error("{} is missing: put it back for as long as this takes", path.display())]
    NoKey {
        /// The file.
        path: PathBuf,
    },
    /// The node's key is on its host only, so there is none to hand out.
    #[error("{node} has joined by an invite, with a key of its own: revoke it to enroll it with another")]
    Joined {
        /// The node.
        node: NodeId,
    },
    /// A file does not hold the seed, token or credentials that it should.
    #[error("{} holds no {what}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        what: &'static str,
    },
    /// A text is not a public key.
    #[error("{key:?} is no public key of a node: it begins with U")]
    NotAKey {
        /// What was given.
        key: String,
    },
    /// Signing with a key failed.
    #[error("cannot sign: {0}")]
    Unsigned(String),
}

/// An operator's folder.
#[derive(Clone, Debug)]
pub struct Operator {
    dir: PathBuf,
}

/// An agent's credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnrolledCreds {
    /// The file with them.
    pub creds_path: PathBuf,
    /// Whether this call has signed them.
    pub created: bool,
}

/// The result of revoking a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Revocation {
    /// Its credentials are revoked now.
    Now,
    /// The credentials with this public key were revoked before, and the folder holds no others.
    Before(String),
    /// The folder has never held its credentials, so whether it has valid ones is not known.
    Unknown,
}

/// What to do with the enrolling key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EnrollKey {
    /// It stays.
    Keep,
    /// Replace it, which revokes every node that the old one enrolled.
    Renew,
}

impl Operator {
    /// Creates what is missing in the folder, and signs again what has changed.
    ///
    /// # Errors
    ///
    /// When a file cannot be written or has unexpected content, or a key is missing.
    pub fn open_or_create(dir: &Path, enroll_key: EnrollKey, now_s: i64) -> Result<Self, JwtError> {
        let operator = Self { dir: dir.to_owned() };
        let _lock = operator.lock()?;
        let accounts = operator.accounts(enroll_key)?;
        let root = operator.root_key()?;
        let mut revoked =
            operator.claims("AGENTS")?.map(|agents| claims::revoked(&agents)).unwrap_or_default();
        if enroll_key == EnrollKey::Renew {
            operator.drop_agents(&mut revoked)?;
        }
        operator.issue("operator", claims::operator(&root, &accounts), &root, now_s)?;
        for (name, claims) in accounts.claims(&revoked)? {
            operator.issue(name, claims, &root, now_s)?;
        }
        for (name, claims, account) in accounts.users() {
            creds::issue(&operator.creds_path(name), claims, account, now_s)?;
        }
        operator.write_configuration()?;
        Ok(operator)
    }

    /// Opens a folder that [`Operator::open_or_create`] has made, or the part of it that was copied to this
    /// host.
    ///
    /// # Errors
    ///
    /// When it holds no signed accounts.
    pub fn open(dir: &Path) -> Result<Self, JwtError> {
        let operator = Self { dir: dir.to_owned() };
        match operator.claims("AGENTS")? {
            Some(_) => Ok(operator),
            None => Err(JwtError::NotAnOperator { dir: dir.to_owned() }),
        }
    }

    /// Signs credentials for a node's agent if it has none.
    ///
    /// # Errors
    ///
    /// When a file cannot be written or has unexpected content, or the enrolling key is missing; or the node
    /// has joined by an invite.
    pub fn enroll(&self, node: &NodeId, now_s: i64) -> Result<EnrolledCreds, JwtError> {
        let _lock = self.lock()?;
        let signer = seed::open(&self.key_path("enroll"), &seed::ACCOUNT)?;
        let agents = self.required_claims("AGENTS")?;
        if self.joined(node)?.is_some_and(|claims| claims.iss == signer.public_key()) {
            return Err(JwtError::Joined { node: node.clone() });
        }
        let creds_path = self.agent_creds_path(node);
        let created = creds::issue(&creds_path, claims::agent(node, &agents.sub), &signer, now_s)?;
        Ok(EnrolledCreds { creds_path, created })
    }

    /// Signs the revocation of a node's credentials, and removes them. Brokers learn of it by [`push`].
    ///
    /// # Errors
    ///
    /// When a file cannot be written or has unexpected content, or the operator's key is missing.
    pub fn revoke(&self, node: &NodeId, now_s: i64) -> Result<Revocation, JwtError> {
        let _lock = self.lock()?;
        let handed_out = creds::read(&self.agent_creds_path(node))?.map(|creds| creds.claims);
        let users: Vec<Claims> = handed_out.into_iter().chain(self.joined(node)?).collect();
        let Some(last) = users.last() else {
            let before = files::read(&self.revoked_path(node))?;
            let key = before.as_deref().and_then(|record| record.lines().next());
            return Ok(key.map_or(Revocation::Unknown, |key| Revocation::Before(key.trim().to_owned())));
        };
        for user in &users {
            // The clock of the host that enrolled may have been ahead of ours.
            self.sign_revocation(&user.sub, user.iat.unwrap_or(now_s).max(now_s), now_s)?;
        }
        self.record_revocation(node, &format!("{}\n{BY_ENROLL_KEY}\n", last.sub))?;
        for extension in ["creds", "jwt", "labels"] {
            files::remove(&self.agent_creds_path(node).with_extension(extension))?;
        }
        Ok(Revocation::Now)
    }

    /// Revokes a node whose credentials are not in this folder, by its public key.
    ///
    /// # Errors
    ///
    /// As with [`Operator::revoke`], and when `key` is not the public key of a user.
    pub fn revoke_key(&self, node: &NodeId, key: &str, now_s: i64) -> Result<(), JwtError> {
        check_user_key(key)?;
        let _lock = self.lock()?;
        self.sign_revocation(key, now_s + CLOCK_SKEW_MAX_S, now_s)?;
        let path = self.agent_creds_path(node);
        match creds::read(&path)? {
            Some(user) if user.claims.sub == key => {
                self.record_revocation(node, &format!("{key}\n{BY_ENROLL_KEY}\n"))?;
                Ok(files::remove(&path)?)
            }
            _ if self.is_admitted(node, key)? => {
                self.record_revocation(node, &format!("{key}\n{BY_ENROLL_KEY}\n"))?;
                Ok(files::remove(&self.agent_token_path(node))?)
            }
            // It may be a relay's, named without `--relay`.
            _ => self.record_revocation(node, &format!("{key}\n")),
        }
    }

    /// Removes from a list of revoked users those that the old enrolling key has signed: the account no
    /// longer trusts it. Relays stay, because the account's own key signs them, and so do keys of which
    /// nobody has recorded who signed them.
    fn drop_agents(&self, revoked: &mut Revoked) -> Result<(), JwtError> {
        let folder = self.dir.join("agents");
        for entry in fs::read_dir(&folder).map_err(files::at(&folder))? {
            let path = entry.map_err(files::at(&folder))?.path();
            if path.extension().is_some_and(|extension| extension == "revoked")
                && let Some(record) = files::read(&path)?
                && let Some((key, BY_ENROLL_KEY)) = record.trim().split_once('\n')
            {
                revoked.remove(key);
            }
        }
        Ok(())
    }

    fn record_revocation(&self, node: &NodeId, record: &str) -> Result<(), JwtError> {
        Ok(files::write_if_changed(&self.revoked_path(node), record)?)
    }

    /// Signs that tokens for this key that were issued until `until_s` are invalid.
    fn sign_revocation(&self, key: &str, until_s: i64, now_s: i64) -> Result<(), JwtError> {
        let root = seed::open(&self.key_path("operator"), &seed::OPERATOR)?;
        let agents = claims::revoke(self.required_claims("AGENTS")?, key, until_s);
        self.issue("AGENTS", agents, &root, now_s)?;
        self.write_configuration()
    }

    /// The accounts' tokens, for [`push`].
    ///
    /// # Errors
    ///
    /// When a file cannot be read.
    pub fn accounts_tokens(&self) -> Result<Vec<String>, JwtError> {
        claims::ACCOUNTS.into_iter().map(|account| self.required_token(account)).collect()
    }

    /// The credentials of ingest workers and of the API.
    pub fn service_creds_path(&self) -> PathBuf {
        self.creds_path("service")
    }

    /// The credentials of programs that only read.
    pub fn app_creds_path(&self) -> PathBuf {
        self.creds_path("app")
    }

    /// The credentials of the operator's own user, which can administer running brokers.
    pub fn sys_creds_path(&self) -> PathBuf {
        self.creds_path("sys")
    }

    /// The credentials of the simulator, which may publish as every node.
    pub fn simulator_creds_path(&self) -> PathBuf {
        self.creds_path("simulator")
    }

    /// The configuration with which brokers are started.
    pub fn configuration_path(&self) -> PathBuf {
        self.dir.join("broker/nats.conf")
    }

    fn root_key(&self) -> Result<nkeys::KeyPair, JwtError> {
        self.key("operator", &seed::OPERATOR)
    }

    fn accounts(&self, enroll_key: EnrollKey) -> Result<Accounts, JwtError> {
        let known = self.claims("AGENTS")?.and_then(|agents| claims::enroll_key(&agents));
        let path = self.key_path("enroll");
        let enroll = match known {
            // Only a host that enrolls nodes needs the enrolling key's seed.
            Some(public) if enroll_key == EnrollKey::Keep && !path.exists() => public,
            _ => {
                if enroll_key == EnrollKey::Renew {
                    files::remove(&path)?;
                }
                seed::open_or_create(&path, &seed::ACCOUNT)?.public_key()
            }
        };
        Ok(Accounts {
            sys: self.key("sys", &seed::ACCOUNT)?,
            tidemap: self.key("tidemap", &seed::ACCOUNT)?,
            agents: self.key("agents", &seed::ACCOUNT)?,
            apps: self.key("apps", &seed::ACCOUNT)?,
            enroll,
        })
    }

    /// A key that is generated with the folder and must exist from then on.
    fn key(&self, name: &str, kind: &seed::Kind) -> Result<nkeys::KeyPair, JwtError> {
        let path = self.key_path(name);
        match self.claims("operator")? {
            Some(_) => seed::open(&path, kind),
            None => seed::open_or_create(&path, kind),
        }
    }

    /// Signs claims, unless the present token has the same ones.
    fn issue(&self, name: &str, claims: Claims, key: &nkeys::KeyPair, now_s: i64) -> Result<(), JwtError> {
        let before = self.claims(name)?;
        if before.as_ref().is_some_and(|before| before.is_same_as(&claims, key)) {
            return Ok(());
        }
        // A broker keeps the token with the latest time, so two changes within a second need different times.
        let after = before.and_then(|before| before.iat).map_or(now_s, |iat_s| now_s.max(iat_s + 1));
        let token = token::sign(claims.at(after), key)?;
        Ok(files::write_if_changed(&self.claims_path(name), &token)?)
    }

    fn write_configuration(&self) -> Result<(), JwtError> {
        let mut accounts = Vec::new();
        for account in claims::ACCOUNTS {
            accounts.push((self.required_claims(account)?.sub, self.required_token(account)?));
        }
        let text = configuration::render(&self.required_token("operator")?, &accounts);
        Ok(files::write_if_changed(&self.configuration_path(), &text)?)
    }

    fn claims(&self, name: &str) -> Result<Option<Claims>, JwtError> {
        let path = self.claims_path(name);
        let Some(token) = files::read(&path)? else { return Ok(None) };
        match token::claims(&token) {
            Some(claims) => Ok(Some(claims)),
            None => Err(JwtError::Unreadable { path, what: "token" }),
        }
    }

    fn required_claims(&self, name: &str) -> Result<Claims, JwtError> {
        self.claims(name)?.ok_or_else(|| JwtError::NotAnOperator { dir: self.dir.clone() })
    }

    fn required_token(&self, name: &str) -> Result<String, JwtError> {
        files::read(&self.claims_path(name))?.ok_or_else(|| JwtError::NotAnOperator { dir: self.dir.clone() })
    }

    fn key_path(&self, name: &str) -> PathBuf {
        self.dir.join("keys").join(format!("{name}.nk"))
    }

    fn claims_path(&self, name: &str) -> PathBuf {
        self.dir.join("claims").join(format!("{name}.jwt"))
    }

    fn creds_path(&self, name: &str) -> PathBuf {
        self.dir.join("creds").join(format!("{name}.creds"))
    }

    fn agent_creds_path(&self, node: &NodeId) -> PathBuf {
        self.dir.join("agents").join(format!("{node}.creds"))
    }

    fn revoked_path(&self, node: &NodeId) -> PathBuf {
        self.dir.join("agents").join(format!("{node}.revoked"))
    }

    /// Locks the folder against changes by other processes; waits while one holds the lock.
    fn lock(&self) -> Result<File, JwtError> {
        let folders = ["keys", "claims", "creds", "agents", "relays", "broker"];
        Ok(files::lock(&self.dir, &folders, "lock")?)
    }
}

fn check_user_key(key: &str) -> Result<(), JwtError> {
    if is_user_key(key) { Ok(()) } else { Err(JwtError::NotAKey { key: key.to_owned() }) }
}

#[cfg(test)]
mod tests;
