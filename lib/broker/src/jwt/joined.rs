//! Nodes that have joined by an invite, with a key of their own: the operator signs for the key.

use std::path::PathBuf;

use tidemap_wire::NodeId;

use super::{BY_ENROLL_KEY, JwtError, Operator, check_user_key, claims, creds, seed, token};
use crate::{files, keys::Admission, unpublished};
use token::Claims;

impl Operator {
    /// Signs credentials for a node's public key, and returns them with how it stands. If the node has
    /// another key, that is revoked only if `replaces`, which needs the operator's key; brokers learn of it
    /// by [`super::push`], and until then it is marked ([`crate::unpublished`]).
    ///
    /// # Errors
    ///
    /// When a file cannot be written or has unexpected content, or a key is missing.
    pub fn admit(
        &self,
        node: &NodeId,
        key: &str,
        replaces: bool,
        now_s: i64,
    ) -> Result<(Admission, String), JwtError> {
        check_user_key(key)?;
        let _lock = self.lock()?;
        let signer = seed::open(&self.key_path("enroll"), &seed::ACCOUNT)?;
        let path = self.agent_token_path(node);
        let handed_out = creds::read(&self.agent_creds_path(node))?.map(|creds| creds.claims);
        // What an enrolling key of before has signed is worth nothing.
        let is_valid = |claims: &Claims| claims.iss == signer.public_key();
        let before = self.joined(node)?.into_iter().chain(handed_out).find(is_valid);
        let admission = match before {
            Some(claims) if claims.sub == key => {
                if let Some(text) = files::read(&path)? {
                    return Ok((Admission::Known, text.trim().to_owned()));
                }
                Admission::Known
            }
            Some(_) if !replaces => return Ok((Admission::NodeTaken, String::new())),
            Some(claims) => {
                unpublished::mark(&self.dir)?;
                self.sign_revocation(&claims.sub, claims.iat.unwrap_or(now_s).max(now_s), now_s)?;
                self.record_revocation(node, &format!("{}\n{BY_ENROLL_KEY}\n", claims.sub))?;
                Admission::Replaced
            }
            None => Admission::New,
        };
        let agents = self.required_claims("AGENTS")?;
        let claims = Claims { sub: key.to_owned(), ..claims::agent(node, &agents.sub) };
        let token = token::sign(claims.at(now_s), &signer)?;
        files::write_if_changed(&path, &format!("{token}\n"))?;
        files::remove(&self.agent_creds_path(node))?;
        Ok((admission, token))
    }

    /// The account of agents.
    ///
    /// # Errors
    ///
    /// When its file cannot be read.
    pub fn agents_account(&self) -> Result<String, JwtError> {
        Ok(self.required_claims("AGENTS")?.sub)
    }

    /// Takes over the revocations in the token of that account that brokers have: brokers keep the token that
    /// was signed last, and another copy of this folder may have signed some. Without the operator's key
    /// nothing is signed here, and nothing changes.
    ///
    /// # Errors
    ///
    /// When a file cannot be written or has unexpected content.
    pub fn unite_revocations(&self, known: &str, now_s: i64) -> Result<(), JwtError> {
        let _lock = self.lock()?;
        let agents = self.required_claims("AGENTS")?;
        let Some(known) = token::claims(known).filter(|known| known.sub == agents.sub) else { return Ok(()) };
        // What a renewed enrolling key has made worthless is not revoked again.
        let has_same_key = claims::enroll_key(&known) == claims::enroll_key(&agents);
        if !has_same_key || !self.key_path("operator").exists() {
            return Ok(());
        }
        let root = seed::open(&self.key_path("operator"), &seed::OPERATOR)?;
        let revoked = claims::revoked(&known);
        let add = |agents, (key, until_s): (&String, &i64)| claims::revoke(agents, key, *until_s);
        let united = revoked.iter().fold(agents, add);
        self.issue("AGENTS", united, &root, now_s)?;
        self.write_configuration()
    }

    /// Whether a node has joined with this key, and was not revoked since.
    ///
    /// # Errors
    ///
    /// When a file has unexpected content.
    pub fn is_admitted(&self, node: &NodeId, key: &str) -> Result<bool, JwtError> {
        Ok(self.joined(node)?.is_some_and(|claims| claims.sub == key))
    }

    /// What is signed for a node that has joined.
    pub(super) fn joined(&self, node: &NodeId) -> Result<Option<Claims>, JwtError> {
        let path = self.agent_token_path(node);
        let Some(text) = files::read(&path)? else { return Ok(None) };
        token::claims(&text).map(Some).ok_or(JwtError::Unreadable { path, what: "token" })
    }

    pub(super) fn agent_token_path(&self, node: &NodeId) -> PathBuf {
        self.dir.join("agents").join(format!("{node}.jwt"))
    }
}
