//! The labels with which a node was enrolled, so that its line is the same again.

use std::path::{Path, PathBuf};

use tidemap_broker::data_dir;

/// The labels for a node's line: those that are given, which are kept, or else those that were kept. `key` is
/// the file with the node's key.
pub(super) fn given_or_kept(key: &Path, given: &[String]) -> anyhow::Result<Vec<String>> {
    let path = beside(key);
    if given.is_empty() {
        let kept = std::fs::read_to_string(path).unwrap_or_default();
        return Ok(kept.lines().map(str::to_owned).collect());
    }
    data_dir::write(&path, &(given.join("\n") + "\n"))?;
    Ok(given.to_vec())
}

fn beside(key: &Path) -> PathBuf {
    key.with_extension("labels")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_kept_until_others_are_given() {
        let dir = tempfile::tempdir().unwrap();
        let key = dir.path().join("web-01=2Eexample.nk");
        let of = |given: &[&str]| {
            let given: Vec<String> = given.iter().map(|label| (*label).to_owned()).collect();
            given_or_kept(&key, &given).unwrap().join(" ")
        };
        assert_eq!(of(&[]), "");
        assert_eq!(of(&["role=web", "site=fra"]), "role=web site=fra");
        assert_eq!(of(&[]), "role=web site=fra");
        assert_eq!(of(&["role=db"]), "role=db");
        assert_eq!(of(&[]), "role=db");
        let other = dir.path().join("web-02.nk");
        assert_eq!(given_or_kept(&other, &[]).unwrap(), Vec::<String>::new());
    }
}
