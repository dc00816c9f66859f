//! A data folder as one stream of bytes: what a host needs to be the same one elsewhere.
//!
//! A tar archive, compressed by gzip, so that other tools can look into it. Whole folders are taken, but for
//! what each start writes again. What is being written all the time is given as a copy of one moment instead,
//! and keys, users and invites are read while nobody enrolls.

use std::{
    ffi::OsStr,
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
const LEFT_OUT: [&str; 12] = [
    "jetstream",
    "history",
    "history-folder",
    "ports",
    "lock",
    "broker.lock",
    "broker.conf",
    "nats-server.err",
    "nats-server.log",
    "nats-server.pid",
    "keys/lock",
    "keys/invites.lock",
];
/// How the names of files begin that are left out of every folder: half-written ones, and a history that is
/// in another folder than the usual one.
const LEFT_OUT_PREFIXES: [&str; 2] = [".tmp", "history.sqlite"];
/// What enrolling changes together.
const ENROLLED: [&str; 2] = ["keys", "users"];
/// What a file system of its own has.
const LOST: &str = "lost+found";
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
    // Read as a whole before anything of them is written: who reads the archive may be slow, and until then
    // nobody can enroll.
    let enrolled = enrolled(dir)?;
    for (name, content) in &enrolled {
        append(&mut tar, name, content)?;
    }
    let mut count = enrolled.len() + extras.len();
    let mut files = Vec::new();
    collect(dir, Path::new(""), &ENROLLED, &mut files)?;
    for name in &files {
        if let Some(file) = open(dir, name)? {
            append_file(&mut tar, name, file)?;
            count += 1;
        }
    }
    for Extra { name, content } in extras {
        match content {
            ExtraContent::Bytes(bytes) => append(&mut tar, name, bytes)?,
            ExtraContent::File(path) => {
                append_file(&mut tar, name, File::open(path).with_context(|| path.display().to_string())?)?;
            }
        }
    }
    tar.into_inner()?.finish()?.flush()?;
    Ok(count)
}

/// Keys and users, as they are between two changes.
fn enrolled(dir: &Path) -> anyhow::Result<Vec<(PathBuf, Vec<u8>)>> {
    let _lock = files::lock(dir, &["keys"], "keys/lock")?;
    let mut names = Vec::new();
    for folder in ENROLLED.into_iter().filter(|folder| dir.join(folder).is_dir()) {
        collect(dir, Path::new(folder), &[], &mut names)?;
    }
    let mut found = Vec::new();
    for name in names {
        if let Some(mut file) = open(dir, &name)? {
            let mut content = Vec::new();
            file.read_to_end(&mut content).with_context(|| name.display().to_string())?;
            found.push((name, content));
        }
    }
    Ok(found)
}

/// A file that was listed; `None` when it has been removed since.
fn open(dir: &Path, name: &Path) -> anyhow::Result<Option<File>> {
    match File::open(dir.join(name)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        opened => opened.map(Some).with_context(|| name.display().to_string()),
    }
}

/// Unpacks an archive into a data folder that is locked and otherwise empty. Nothing is left of one that
/// turns out to be damaged.
///
/// # Errors
///
/// When the folder is not empty, the archive is damaged, no backup, or of a later format.
pub fn unpack(from: impl Read, dir: &DataDir) -> anyhow::Result<(About, usize)> {
    let dir = dir.path();
    check_empty(dir)?;
    let unpacked = unpack_into(from, dir);
    if unpacked.is_err() {
        let stays = |name: &OsStr| name == "lock" || name == LOST;
        for entry in fs::read_dir(dir)?.filter_map(Result::ok).filter(|entry| !stays(&entry.file_name())) {
            // It is said why nothing was restored; what could not be removed is seen at the next attempt.
            let path = entry.path();
            drop(if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) });
        }
    }
    unpacked
}

/// Whether a backup can be restored into this folder: it is empty, or does not exist yet. Nothing is changed.
///
/// # Errors
///
/// When it is not empty, or cannot be read.
pub fn check_empty(dir: &Path) -> anyhow::Result<()> {
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries.with_context(|| dir.display().to_string())?,
    };
    for entry in entries {
        let name = entry?.file_name();
        ensure!(
            ["lock", "format", LOST].iter().any(|ours| name == *ours),
            "the folder {} is not empty: a backup is restored into an empty one",
            dir.display()
        );
    }
    Ok(())
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

/// All files of a folder but those that are left out here or always, in the order of their names.
fn collect(dir: &Path, below: &Path, without: &[&str], files: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    let folder = dir.join(below);
    let entries = fs::read_dir(&folder).with_context(|| folder.display().to_string())?;
    let mut names: Vec<PathBuf> =
        entries.map(|entry| Ok(below.join(entry?.file_name()))).collect::<io::Result<_>>()?;
    names.sort();
    for name in names {
        if is_left_out(&name) || without.iter().any(|other| name == Path::new(other)) {
            continue;
        }
        let kind = match fs::symlink_metadata(dir.join(&name)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            found => found.with_context(|| name.display().to_string())?.file_type(),
        };
        if kind.is_dir() {
            collect(dir, &name, without, files)?;
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

fn is_left_out(name: &Path) -> bool {
    let own = name.file_name().unwrap_or_default().as_encoded_bytes();
    LEFT_OUT.iter().any(|left_out| name == Path::new(left_out))
        || LEFT_OUT_PREFIXES.iter().any(|prefix| own.starts_with(prefix.as_bytes()))
}

/// Packs a file without reading it as a whole. Its length comes before it, so one that loses bytes meanwhile
/// is an error; what is added meanwhile is left out.
fn append_file(tar: &mut Builder<impl Write>, name: &Path, file: File) -> anyhow::Result<()> {
    let place = || name.display().to_string();
    let len = file.metadata().with_context(place)?.len();
    let mut content = file.take(len);
    tar.append_data(&mut header(len), name, &mut content).with_context(place)?;
    ensure!(content.limit() == 0, "{} has become shorter while it was read", place());
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
mod tests;
