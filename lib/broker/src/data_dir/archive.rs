//! A data folder as one stream of bytes: what a host needs to be the same one elsewhere.
//!
//! A tar archive, compressed by gzip, so that other tools can look into it. Whole folders are taken, but for
//! what each start writes again. What is being written all the time is given as a copy of one moment instead.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    path::{Component, Path, PathBuf},
};

use anyhow::{Context, bail, ensure};
use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use serde::{Deserialize, Serialize};
use tar::{Archive, Builder, EntryType, Header};

use super::{DataDir, format::FORMAT};
use crate::files;

/// The first entry.
const ABOUT: &str = "tidemap-backup.json";
/// What each start writes again, what belongs to a process, and what [`Extra`] files stand for.
const LEFT_OUT: [&str; 10] = [
    "jetstream",
    "history",
    "ports",
    "lock",
    "broker.lock",
    "broker.conf",
    "nats-server.err",
    "nats-server.log",
    "nats-server.pid",
    "keys/lock",
];
const SECRET_FILE: u32 = 0o600;

/// What a backup says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// The format of the data folder. A program that knows only lower ones cannot restore it.
    pub format: u32,
    /// The version that made it.
    pub version: String,
    /// When, in milliseconds since 1970.
    pub made_ms: i64,
}

impl About {
    /// A backup of this version, made at this time.
    pub fn now(made_ms: i64) -> Self {
        Self { format: FORMAT, version: env!("CARGO_PKG_VERSION").to_owned(), made_ms }
    }
}

/// A file to be packed that is not in the folder.
#[derive(Clone, Debug)]
pub struct Extra {
    /// Its path in the data folder.
    pub name: PathBuf,
    /// What is in it.
    pub content: ExtraContent,
}

/// What is in a file.
#[derive(Clone, Debug)]
pub enum ExtraContent {
    /// The same as in this file.
    File(PathBuf),
    /// These bytes.
    Bytes(Vec<u8>),
}

/// Packs a data folder. Returns the number of its files.
///
/// # Errors
///
/// When a file cannot be read, or the archive cannot be written.
pub fn pack(dir: &Path, about: &About, extras: &[Extra], out: impl Write) -> anyhow::Result<usize> {
    let mut tar = Builder::new(GzEncoder::new(out, Compression::default()));
    append(&mut tar, Path::new(ABOUT), &serde_json::to_vec_pretty(about)?)?;
    let mut files = Vec::new();
    collect(dir, Path::new(""), &mut files)?;
    for name in &files {
        // A file may have been replaced since, so it is read as a whole before its length is written.
        let content = fs::read(dir.join(name)).with_context(|| name.display().to_string())?;
        append(&mut tar, name, &content)?;
    }
    for Extra { name, content } in extras {
        match content {
            ExtraContent::Bytes(bytes) => append(&mut tar, name, bytes)?,
            ExtraContent::File(path) => {
                let mut file = File::open(path).with_context(|| path.display().to_string())?;
                let len = file.metadata()?.len();
                tar.append_data(&mut header(len), name, (&mut file).take(len))?;
            }
        }
    }
    tar.into_inner()?.finish()?.flush()?;
    Ok(files.len() + extras.len())
}

/// Unpacks an archive into a data folder that is locked and otherwise empty. Nothing is left of one that
/// turns out to be damaged.
///
/// # Errors
///
/// When the folder is not empty, the archive is damaged, no backup, or of a later format.
pub fn unpack(from: impl Read, dir: &DataDir) -> anyhow::Result<(About, usize)> {
    let dir = dir.path();
    for entry in fs::read_dir(dir)? {
        let name = entry?.file_name();
        // A file system of its own may have the last one.
        ensure!(
            ["lock", "format", "lost+found"].iter().any(|ours| name == *ours),
            "the folder {} is not empty: a backup is restored into an empty one",
            dir.display()
        );
    }
    let unpacked = unpack_into(from, dir);
    if unpacked.is_err() {
        for entry in fs::read_dir(dir)?.filter_map(Result::ok).filter(|entry| entry.file_name() != "lock") {
            // It is said why nothing was restored; what could not be removed is seen at the next attempt.
            let path = entry.path();
            drop(if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) });
        }
    }
    unpacked
}

fn unpack_into(from: impl Read, dir: &Path) -> anyhow::Result<(About, usize)> {
    let mut archive = Archive::new(GzDecoder::new(from));
    let mut entries = archive.entries()?;
    let about = entries.next().context("it is empty")?.context("it is no backup of Tidemap")?;
    ensure!(about.path()? == Path::new(ABOUT), "it is no backup of Tidemap");
    let about: About = serde_json::from_reader(about).context("it is no backup of Tidemap")?;
    ensure!(
        about.format <= FORMAT,
        "tidemap {} made it, in format {}, and this version knows formats up to {FORMAT}: install that version or \
         a later one",
        about.version,
        about.format
    );
    let mut count = 0;
    for entry in entries {
        let mut entry = entry.context("the backup is damaged")?;
        let name = entry.path()?.into_owned();
        ensure!(entry.header().entry_type() == EntryType::Regular && is_below(&name), "{}", odd(&name));
        let path = dir.join(&name);
        let folder = path.parent().context("it has a parent")?;
        files::create_private(folder).with_context(|| folder.display().to_string())?;
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, SECRET_FILE);
        let mut file = files::open_here(&path, &mut options).with_context(|| path.display().to_string())?;
        io::copy(&mut entry, &mut file).context("the backup is damaged")?;
        file.sync_all()?;
        for made in path.ancestors().take_while(|made| *made != dir) {
            files::own_as_folder(made).with_context(|| made.display().to_string())?;
        }
        count += 1;
    }
    // The checksum comes last.
    io::copy(&mut archive.into_inner(), &mut io::sink()).context("the backup is damaged")?;
    ensure!(count > 0, "the backup is damaged: nothing follows its first entry");
    Ok((about, count))
}

fn odd(name: &Path) -> String {
    format!("the backup is not as Tidemap writes it: {}", name.display())
}

fn is_below(name: &Path) -> bool {
    name.components().all(|part| matches!(part, Component::Normal(_))) && name.file_name().is_some()
}

/// All files of a folder but those that are left out, in the order of their names.
fn collect(dir: &Path, below: &Path, files: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    let folder = dir.join(below);
    let entries = fs::read_dir(&folder).with_context(|| folder.display().to_string())?;
    let mut names: Vec<PathBuf> =
        entries.map(|entry| Ok(below.join(entry?.file_name()))).collect::<io::Result<_>>()?;
    names.sort();
    for name in names {
        if LEFT_OUT.iter().any(|left_out| name == Path::new(left_out)) {
            continue;
        }
        let kind = fs::symlink_metadata(dir.join(&name))?.file_type();
        if kind.is_dir() {
            collect(dir, &name, files)?;
        } else if kind.is_file() {
            files.push(name);
        } else if kind.is_symlink() && dir.join(&name).is_file() {
            // Such as a certificate that another program renews.
            files.push(name);
        } else if kind.is_symlink() {
            bail!("{} is a link to a folder: back that up by itself", dir.join(&name).display());
        }
    }
    Ok(())
}

fn append(tar: &mut Builder<impl Write>, name: &Path, content: &[u8]) -> io::Result<()> {
    tar.append_data(&mut header(content.len() as u64), name, content)
}

fn header(len: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::Regular);
    header.set_size(len);
    header.set_mode(SECRET_FILE);
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in [
            ("keys/service.nk", "SUA"),
            ("keys/agents/web-01.nk", "SUB"),
            ("keys/lock", ""),
            ("invites.d/one", "1"),
            ("jetstream/big", "log"),
            ("history/history.sqlite", "half"),
            ("nats.conf", "accounts {}"),
            ("nats-server.log", "words"),
        ] {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        dir
    }

    fn packed(dir: &Path, about: &About) -> Vec<u8> {
        let copy = tempfile::NamedTempFile::new().unwrap();
        fs::write(copy.path(), "whole").unwrap();
        let content = ExtraContent::File(copy.path().to_owned());
        let extra = Extra { name: "history/history.sqlite".into(), content };
        let mut bytes = Vec::new();
        assert_eq!(pack(dir, about, &[extra], &mut bytes).unwrap(), 5);
        bytes
    }

    fn restored(bytes: &[u8], dir: &Path) -> Result<(About, usize), String> {
        let locked = DataDir::lock(dir).unwrap();
        unpack(bytes, &locked).map_err(|error| format!("{error:#}"))
    }

    #[test]
    fn a_folder_comes_back_as_it_was_without_what_a_start_makes() {
        let (from, root) = (folder(), tempfile::tempdir().unwrap());
        let about = About::now(7);
        let to = root.path().join("to");
        assert_eq!(restored(&packed(from.path(), &about), &to), Ok((about, 5)));
        for (name, text) in [
            ("keys/service.nk", "SUA"),
            ("keys/agents/web-01.nk", "SUB"),
            ("invites.d/one", "1"),
            ("history/history.sqlite", "whole"),
            ("nats.conf", "accounts {}"),
        ] {
            assert_eq!(fs::read_to_string(to.join(name)).unwrap(), text, "{name}");
            #[cfg(unix)]
            {
                let mode = |path: PathBuf| {
                    std::os::unix::fs::PermissionsExt::mode(&fs::metadata(path).unwrap().permissions())
                        & 0o777
                };
                assert_eq!(mode(to.join(name)), 0o600, "{name}");
                assert_eq!(mode(to.join("keys")), 0o700);
            }
        }
        assert!(!to.join("jetstream").exists() && !to.join("nats-server.log").exists());
        let refused = restored(&packed(from.path(), &About::now(7)), &to).unwrap_err();
        assert!(refused.contains("is not empty"), "{refused}");
    }

    #[test]
    fn what_is_damaged_or_of_a_later_version_leaves_nothing() {
        let (from, root) = (folder(), tempfile::tempdir().unwrap());
        let about = About::now(7);
        let whole = packed(from.path(), &about);
        let later = packed(from.path(), &About { format: FORMAT + 1, ..about });
        let mut flipped = whole.clone();
        let last = flipped.len() - 6;
        flipped[last] ^= 1;
        let to = root.path().join("to");
        for (bytes, why) in [
            (&b"not at all"[..], "no backup of Tidemap"),
            (&whole[..whole.len() / 2], "damaged"),
            (&flipped, "damaged"),
            (&later, "knows formats up to 1"),
        ] {
            let refused = restored(bytes, &to).unwrap_err();
            assert!(refused.contains(why), "{why}: {refused}");
            let left: Vec<_> = fs::read_dir(&to).unwrap().map(|entry| entry.unwrap().file_name()).collect();
            assert_eq!(left, ["lock"], "{why}");
        }
        restored(&whole, &to).unwrap();
    }

    #[test]
    fn an_archive_that_reaches_out_of_the_folder_is_refused() {
        for name in ["../evil", "/evil", "a/../../evil"] {
            assert!(!is_below(Path::new(name)), "{name}");
        }
        assert!(is_below(Path::new("keys/agents/web-01.nk")));
    }

    #[test]
    fn a_folder_of_a_later_format_is_refused() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("data");
        drop(DataDir::lock(&dir).unwrap());
        assert_eq!(fs::read_to_string(dir.join("format")).unwrap(), "1\n");
        fs::write(dir.join("format"), "2\n").unwrap();
        let refused = DataDir::lock(&dir).unwrap_err().to_string();
        assert!(refused.contains("format 2") && refused.contains("later"), "{refused}");
    }
}
