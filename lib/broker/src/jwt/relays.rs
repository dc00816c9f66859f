//! Credentials of relays.

use std::path::PathBuf;

use tidemap_wire::NodeId;

use super::{
    CLOCK_SKEW_MAX_S, EnrolledCreds, JwtError, Operator, Revocation, check_user_key, claims, creds, seed,
};
use crate::files;

impl Operator {
    /// Signs credentials for a relay if it has none. This needs the key of the account `AGENTS`, because the
    /// enrolling key can grant no more than a node may do.
    ///
    /// # Errors
    ///
    /// When a file cannot be written or has unexpected content, or that key is missing.
    pub fn enroll_relay(&self, relay: &NodeId, now_s: i64) -> Result<EnrolledCreds, JwtError> {
        let _lock = self.lock()?;
        let signer = seed::open(&self.key_path("agents"), &seed::ACCOUNT)?;
        let creds_path = self.relay_creds_path(relay);
        let created = creds::issue(&creds_path, claims::relay(relay), &signer, now_s)?;
        Ok(EnrolledCreds { creds_path, created })
    }

    /// Signs the revocation of a relay's credentials, and removes them. A relay whose credentials are not in
    /// this folder is revoked by its public key, see [`Operator::revoke_relay_key`].
    ///
    /// # Errors
    ///
    /// As with [`Operator::revoke`].
    pub fn revoke_relay(&self, relay: &NodeId, now_s: i64) -> Result<Revocation, JwtError> {
        let _lock = self.lock()?;
        let path = self.relay_creds_path(relay);
        let Some(user) = creds::read(&path)? else { return Ok(Revocation::Unknown) };
        let until_s = user.claims.iat.unwrap_or(now_s).max(now_s);
        self.sign_revocation(&user.claims.sub, until_s, now_s)?;
        files::remove(&path)?;
        Ok(Revocation::Now)
    }

    /// Revokes a relay whose credentials are not in this folder, by its public key.
    ///
    /// # Errors
    ///
    /// As with [`Operator::revoke_key`].
    pub fn revoke_relay_key(&self, relay: &NodeId, key: &str, now_s: i64) -> Result<(), JwtError> {
        check_user_key(key)?;
        let _lock = self.lock()?;
        self.sign_revocation(key, now_s + CLOCK_SKEW_MAX_S, now_s)?;
        let path = self.relay_creds_path(relay);
        match creds::read(&path)? {
            Some(user) if user.claims.sub == key => Ok(files::remove(&path)?),
            _ => Ok(()),
        }
    }

    fn relay_creds_path(&self, relay: &NodeId) -> PathBuf {
        self.dir.join("relays").join(format!("{relay}.creds"))
    }
}
