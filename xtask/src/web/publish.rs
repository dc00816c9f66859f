//! Writes a bundle to the folder that the API embeds.

use std::{fs, io::ErrorKind, path::Path};

use anyhow::{Context, Result};

use super::bundle::Bundle;

/// Replaces the folder by the bundle; leaves it untouched, times included, when its content is the same.
pub(super) fn replace(folder: &Path, bundle: &Bundle) -> Result<()> {
    let files = files_of(bundle);
    if holds_exactly(folder, &files) {
        return Ok(());
    }
    let (new, old) = (folder.with_extension("new"), folder.with_extension("old"));
    remove(&new)?;
    remove(&old)?;
    fs::create_dir_all(&new)?;
    for (name, bytes) in &files {
        fs::write(new.join(name), bytes).with_context(|| format!("cannot write {name}"))?;
    }
    if folder.exists() {
        fs::rename(folder, &old)?;
    }
    fs::rename(&new, folder)?;
    remove(&old)
}

/// Every file with its compressed twin.
fn files_of(bundle: &Bundle) -> Vec<(String, &[u8])> {
    let twins = bundle
        .assets()
        .iter()
        .map(|asset| [(asset.name.clone(), &*asset.bytes), (format!("{}.gz", asset.name), &*asset.gzip)]);
    twins.flatten().collect()
}

fn holds_exactly(folder: &Path, files: &[(String, &[u8])]) -> bool {
    fs::read_dir(folder).is_ok_and(|entries| entries.count() == files.len())
        && files.iter().all(|(name, bytes)| fs::read(folder.join(name)).is_ok_and(|found| found == *bytes))
}

fn remove(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", folder.display()))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::bundle::Kind;

    fn bundle(content: &str) -> Bundle {
        let mut bundle = Bundle::default();
        bundle.add_unhashed(Kind::Index, "index.html", content.into());
        bundle
    }

    #[test]
    fn a_bundle_replaces_all_that_was_there() {
        let dist = tempfile::tempdir().unwrap();
        let folder = dist.path().join("web");
        replace(&folder, &bundle("one")).unwrap();
        fs::write(folder.join("stale.js"), "").unwrap();
        replace(&folder, &bundle("two")).unwrap();
        assert_eq!(fs::read_to_string(folder.join("index.html")).unwrap(), "two");
        assert!(folder.join("index.html.gz").exists() && !folder.join("stale.js").exists());
        assert_eq!(fs::read_dir(dist.path()).unwrap().count(), 1, "nothing is left beside it");
    }

    #[test]
    fn the_same_bundle_leaves_the_folder_untouched() {
        let dist = tempfile::tempdir().unwrap();
        let folder = dist.path().join("web");
        let modified = || fs::metadata(&folder).unwrap().modified().unwrap();
        replace(&folder, &bundle("one")).unwrap();
        let before = modified();
        replace(&folder, &bundle("one")).unwrap();
        assert_eq!(modified(), before);
    }
}
