//! A file with a seed.

use std::{fs, io, path::Path};

use nkeys::{KeyPair, KeyPairType};

use super::{KeysError, at, write_atomically};

/// The public key of the seed in a file; generates the seed if the file is missing.
pub(super) fn open_or_create(path: &Path) -> Result<String, KeysError> {
    let not_a_seed = || KeysError::NotASeed { path: path.to_owned() };
    match fs::read_to_string(path) {
        Ok(text) => {
            let pair = KeyPair::from_seed(text.trim()).map_err(|_| not_a_seed())?;
            let is_user = matches!(pair.key_pair_type(), KeyPairType::User);
            if is_user { Ok(pair.public_key()) } else { Err(not_a_seed()) }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let pair = KeyPair::new_user();
            let seed = pair.seed().map_err(|_| not_a_seed())?;
            write_atomically(path, &format!("{seed}\n"))?;
            Ok(pair.public_key())
        }
        Err(error) => Err(at(path)(error)),
    }
}

/// Removes a seed; a missing one is no error.
pub(super) fn remove(path: &Path) -> Result<(), KeysError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(at(path)(error)),
        _ => Ok(()),
    }
}
