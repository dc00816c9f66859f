//! A credentials file: a user's token, and the seed that belongs to it.

use std::path::Path;

use nkeys::KeyPair;
use tidemap_service::nats::credentials;

use super::{
    JwtError,
    token::{self, Claims},
};
use crate::files;

/// The contents of a credentials file.
pub(super) struct Creds {
    pub(super) claims: Claims,
    user: KeyPair,
}

/// The credentials in a file; `None` when there is no such file.
pub(super) fn read(path: &Path) -> Result<Option<Creds>, JwtError> {
    let Some(text) = files::read(path)? else { return Ok(None) };
    match parse(&text) {
        Some(creds) => Ok(Some(creds)),
        None => Err(JwtError::Unreadable { path: path.to_owned(), what: "credentials" }),
    }
}

/// Signs credentials, unless those in the file have the same claims. Returns whether it has. A user that has
/// a key keeps it.
pub(super) fn issue(path: &Path, claims: Claims, issuer: &KeyPair, now_s: i64) -> Result<bool, JwtError> {
    let before = read(path)?;
    let user = before.as_ref().map_or_else(KeyPair::new_user, |creds| creds.user.clone());
    let claims = Claims { sub: user.public_key(), ..claims };
    if before.is_some_and(|creds| creds.claims.is_same_as(&claims, issuer)) {
        return Ok(false);
    }
    let token = token::sign(claims.at(now_s), issuer)?;
    let seed = user.seed().map_err(|error| JwtError::Unsigned(error.to_string()))?;
    files::write_if_changed(path, &credentials(&token, &seed))?;
    Ok(true)
}

fn parse(text: &str) -> Option<Creds> {
    let mut words = text.lines().filter(|line| !line.is_empty() && !line.starts_with("---"));
    let claims = token::claims(words.next()?)?;
    Some(Creds { claims, user: KeyPair::from_seed(words.next()?).ok()? })
}
