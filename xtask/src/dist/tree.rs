//! The files of a package, before they are in an archive.

use std::{
    collections::BTreeMap,
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

const FOLDER: u32 = 0o755;

/// Files by their paths, which are relative to the root that they will lie in.
#[derive(Clone, Debug, Default)]
pub(super) struct Tree {
    files: BTreeMap<PathBuf, Entry>,
}

#[derive(Clone, Debug)]
enum Entry {
    Bytes(Vec<u8>, u32),
    CopyOf(PathBuf, u32),
}

impl Tree {
    /// A file that everybody may read.
    pub(super) fn text(&mut self, path: impl Into<PathBuf>, content: impl Into<Vec<u8>>) {
        self.files.insert(path.into(), Entry::Bytes(content.into(), 0o644));
    }

    /// A script of these words.
    pub(super) fn script(&mut self, path: impl Into<PathBuf>, content: impl Into<Vec<u8>>) {
        self.files.insert(path.into(), Entry::Bytes(content.into(), 0o755));
    }

    /// A copy of a program.
    pub(super) fn program(&mut self, path: impl Into<PathBuf>, source: &Path) {
        self.files.insert(path.into(), Entry::CopyOf(source.to_owned(), 0o755));
    }

    /// A copy of a file that everybody may read.
    pub(super) fn copy(&mut self, path: impl Into<PathBuf>, source: &Path) {
        self.files.insert(path.into(), Entry::CopyOf(source.to_owned(), 0o644));
    }

    /// Moves a folder.
    pub(super) fn moved(&mut self, from: &str, to: &str) {
        let moved = |path: &Path| path.strip_prefix(from).ok().map(|rest| Path::new(to).join(rest));
        let files = std::mem::take(&mut self.files).into_iter();
        self.files = files.map(|(path, entry)| (moved(&path).unwrap_or(path), entry)).collect();
    }

    /// Takes over all of another one, below `folder`.
    pub(super) fn graft(&mut self, folder: &str, other: &Self) {
        let moved = other.files.iter().map(|(path, entry)| (Path::new(folder).join(path), entry.clone()));
        self.files.extend(moved);
    }

    /// The paths, in order.
    pub(super) fn paths(&self) -> impl Iterator<Item = &Path> {
        self.files.keys().map(PathBuf::as_path)
    }

    /// How many bytes its files hold.
    pub(super) fn bytes(&self) -> Result<u64> {
        self.files.values().map(Entry::bytes).sum()
    }

    /// Writes all of it into a folder that is made anew. Whoever packs it sets owner and times.
    pub(super) fn write(&self, root: &Path) -> Result<()> {
        if root.exists() {
            fs::remove_dir_all(root).with_context(|| format!("cannot remove {}", root.display()))?;
        }
        make_folder(root, root)?;
        self.files.iter().try_for_each(|(path, entry)| {
            let to = root.join(path);
            entry.write(root, &to).with_context(|| format!("cannot write {}", to.display()))
        })
    }
}

impl Entry {
    fn bytes(&self) -> Result<u64> {
        Ok(match self {
            Self::Bytes(bytes, _) => u64::try_from(bytes.len())?,
            Self::CopyOf(source, _) => fs::metadata(source)?.len(),
        })
    }

    fn write(&self, root: &Path, to: &Path) -> Result<()> {
        make_folder(root, to.parent().unwrap_or(root))?;
        let mode = match self {
            Self::Bytes(bytes, mode) => {
                fs::write(to, bytes)?;
                *mode
            }
            Self::CopyOf(source, mode) => {
                fs::copy(source, to).with_context(|| format!("from {}", source.display()))?;
                *mode
            }
        };
        Ok(fs::set_permissions(to, Permissions::from_mode(mode))?)
    }
}

/// With the same mode whatever this process's umask is.
fn make_folder(root: &Path, folder: &Path) -> Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    if folder != root {
        make_folder(root, folder.parent().unwrap_or(root))?;
        fs::create_dir(folder)?;
    } else {
        fs::create_dir_all(folder)?;
    }
    Ok(fs::set_permissions(folder, Permissions::from_mode(FOLDER))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_where_and_as_they_shall_be() {
        let folder = tempfile::tempdir().unwrap();
        let mut share = Tree::default();
        share.text("zsh/site-functions/_x", "completions");
        let mut tree = Tree::default();
        tree.script("bin/x", "#!/bin/sh\n");
        tree.program("bin/copy", Path::new("/bin/sh"));
        tree.graft("share", &share);
        tree.moved("share/zsh/site-functions", "share/zsh/vendor-completions");
        let paths: Vec<_> = tree.paths().map(|path| path.display().to_string()).collect();
        assert_eq!(paths, ["bin/copy", "bin/x", "share/zsh/vendor-completions/_x"]);
        let root = folder.path().join("root");
        fs::create_dir(&root).unwrap();
        fs::write(root.join("of an earlier release"), "").unwrap();
        tree.write(&root).unwrap();
        let mode = |path: &str| fs::metadata(root.join(path)).unwrap().permissions().mode() & 0o7777;
        assert_eq!(
            ["bin", "bin/x", "bin/copy", "share/zsh/vendor-completions/_x"].map(mode),
            [0o755, 0o755, 0o755, 0o644]
        );
        assert!(!root.join("of an earlier release").exists());
        assert_eq!(tree.bytes().unwrap(), 10 + 11 + fs::metadata("/bin/sh").unwrap().len());
    }
}
