//! A file with the seed of an operator or an account.

use std::path::Path;

use nkeys::KeyPair;

use super::JwtError;
use crate::files;

/// The kind of a key.
pub(super) struct Kind {
    what: &'static str,
    prefix: char,
    make: fn() -> KeyPair,
}

/// The operator's key, which signs accounts.
pub(super) const OPERATOR: Kind = Kind { what: "operator's seed", prefix: 'O', make: KeyPair::new_operator };
/// An account's key, which signs users.
pub(super) const ACCOUNT: Kind = Kind { what: "account's seed", prefix: 'A', make: KeyPair::new_account };

/// The key in a file.
pub(super) fn open(path: &Path, kind: &Kind) -> Result<KeyPair, JwtError> {
    find(path, kind)?.ok_or_else(|| JwtError::NoKey { path: path.to_owned() })
}

/// The key in a file; generates it if the file is missing.
pub(super) fn open_or_create(path: &Path, kind: &Kind) -> Result<KeyPair, JwtError> {
    if let Some(pair) = find(path, kind)? {
        return Ok(pair);
    }
    let pair = (kind.make)();
    let seed = pair.seed().map_err(|error| JwtError::Unsigned(error.to_string()))?;
    files::write_if_changed(path, &format!("{seed}\n"))?;
    Ok(pair)
}

fn find(path: &Path, kind: &Kind) -> Result<Option<KeyPair>, JwtError> {
    let Some(text) = files::read(path)? else { return Ok(None) };
    let pair = KeyPair::from_seed(text.trim()).ok();
    match pair.filter(|pair| pair.public_key().starts_with(kind.prefix)) {
        Some(pair) => Ok(Some(pair)),
        None => Err(JwtError::Unreadable { path: path.to_owned(), what: kind.what }),
    }
}
