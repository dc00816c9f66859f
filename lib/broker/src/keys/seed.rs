//! A file with a seed.

use std::path::Path;

use data_encoding::HEXLOWER;
use nkeys::{KeyPair, KeyPairType};
use sha2::{Digest, Sha256};

use super::KeysError;
use crate::files;

/// The public key of the seed in a file; generates the seed if the file is missing.
pub(super) fn open_or_create(path: &Path) -> Result<String, KeysError> {
    let not_a_seed = || KeysError::NotASeed { path: path.to_owned() };
    let Some(text) = files::read(path)? else {
        let pair = KeyPair::new_user();
        let seed = pair.seed().map_err(|_| not_a_seed())?;
        files::write_atomically(path, &format!("{seed}\n"))?;
        return Ok(pair.public_key());
    };
    let pair = KeyPair::from_seed(text.trim()).map_err(|_| not_a_seed())?;
    let is_user = matches!(pair.key_pair_type(), KeyPairType::User);
    if is_user { Ok(pair.public_key()) } else { Err(not_a_seed()) }
}

/// A new secret text of 256 bits, for the file at `path`.
pub(super) fn new_token(path: &Path) -> Result<String, KeysError> {
    let seed = KeyPair::new_user().seed().map_err(|_| KeysError::NotASeed { path: path.to_owned() })?;
    Ok(HEXLOWER.encode(&Sha256::digest(seed)))
}
