//! A file with a seed.

use std::path::Path;

use nkeys::{KeyPair, KeyPairType};

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
