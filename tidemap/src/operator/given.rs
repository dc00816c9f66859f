//! An operator's folder from files that lie beside each other, as a Secret of Kubernetes is mounted.

use std::{
    fs::{self, DirBuilder, OpenOptions},
    io::{ErrorKind, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::Path,
};

use anyhow::{Context, bail};

/// Where files of each kind are in an operator's folder.
const FOLDERS: [(&str, &str); 3] = [("nk", "keys"), ("jwt", "claims"), ("creds", "creds")];

/// Copies what `folder` does not have. What it has stays: it may know of nodes that were revoked since.
pub(super) fn take_over(from: &Path, folder: &Path) -> anyhow::Result<()> {
    let entries = fs::read_dir(from).with_context(|| format!("cannot read {}", from.display()))?;
    let mut found = 0;
    for entry in entries {
        let file = entry?.path();
        let extension = file.extension().unwrap_or_default();
        let kind = FOLDERS.iter().find(|(kind, _)| extension == *kind);
        let (Some((_, part)), Some(name)) = (kind, file.file_name()) else { continue };
        found += 1;
        let part = folder.join(part);
        DirBuilder::new().recursive(true).mode(0o700).create(&part)?;
        let to = part.join(name);
        let read = fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
        match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&to) {
            Ok(mut copy) => {
                copy.write_all(&read).with_context(|| format!("cannot write {}", to.display()))?;
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error).with_context(|| format!("cannot write {}", to.display())),
        }
    }
    if found == 0 {
        bail!("--from {}: no file of an operator's folder is there", from.display());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use tidemap_broker::jwt::{EnrollKey, Operator};

    use super::*;

    #[test]
    fn an_operator_is_the_same_when_its_files_have_lain_beside_each_other() {
        let (first, flat, second) =
            (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        Operator::open_or_create(first.path(), EnrollKey::Keep, 1_800_000_000).unwrap();
        for (_, part) in FOLDERS {
            for file in fs::read_dir(first.path().join(part)).unwrap() {
                let file = file.unwrap();
                fs::copy(file.path(), flat.path().join(file.file_name())).unwrap();
            }
        }
        fs::write(flat.path().join("api-token"), "a secret of another kind").unwrap();
        for _ in 0..2 {
            take_over(flat.path(), second.path()).unwrap();
            Operator::open_or_create(second.path(), EnrollKey::Keep, 1_800_000_001).unwrap();
        }
        for file in ["keys/operator.nk", "keys/enroll.nk", "claims/operator.jwt", "creds/service.creds"] {
            let read = |folder: &tempfile::TempDir| fs::read_to_string(folder.path().join(file)).unwrap();
            assert_eq!(read(&first), read(&second), "{file}");
        }
        assert!(!second.path().join("api-token").exists());
        assert!(take_over(tempfile::tempdir().unwrap().path(), second.path()).is_err());
    }
}
