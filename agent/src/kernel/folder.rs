//! Linux: a folder of sysfs and its files.

use std::{
    ffi::OsStr,
    io,
    mem::MaybeUninit,
    os::{fd::OwnedFd, unix::ffi::OsStrExt},
    path::Path,
};

use rustix::{
    fs::{Access, AtFlags, CWD, FileType, Mode, OFlags, RawDir, accessat, fstat, open, openat, readlinkat},
    io::read,
};

use super::names;

/// No file of sysfs is longer.
const PAGE: usize = 4096;

/// An open folder. Everything read through it belongs to one device, even if the device's name passes to
/// another. It also saves time: the path of an interface, with a link and a dozen folders, is resolved once
/// and not for each file.
pub(super) struct Folder(OwnedFd);

impl Folder {
    /// The folder at a path.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        Ok(Self(open(path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?))
    }

    /// A folder in this one, for opening files in it; it cannot be listed.
    pub(super) fn folder(&self, name: &str) -> Option<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        openat(&self.0, name, flags, Mode::empty()).ok().map(Self)
    }

    /// As [`Folder::folder`], by path.
    pub(super) fn passage(path: &Path) -> Option<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        openat(CWD, path, flags, Mode::empty()).ok().map(Self)
    }

    /// The names and types of all its entries.
    pub(super) fn list(&self, mut entry: impl FnMut(&[u8], FileType)) -> io::Result<()> {
        let mut buffer = [MaybeUninit::uninit(); PAGE];
        let mut entries = RawDir::new(&self.0, &mut buffer);
        while let Some(found) = entries.next() {
            let found = found?;
            let name = found.file_name().to_bytes();
            if !matches!(name, b"." | b"..") {
                entry(name, found.file_type());
            }
        }
        Ok(())
    }

    /// Whether it has an entry of this name.
    pub(super) fn has(&self, name: &str) -> bool {
        accessat(&self.0, name, Access::EXISTS, AtFlags::empty()).is_ok()
    }

    /// Its number in the file system.
    pub(super) fn inode(&self) -> Option<u64> {
        fstat(&self.0).ok().map(|found| found.st_ino)
    }

    /// The text of a file, without the final line break.
    pub(super) fn text(&self, file: &str) -> Option<String> {
        self.read(file, &mut [0; PAGE], |text| Some(text.to_owned()))
    }

    /// The number in a file.
    pub(super) fn number<T: std::str::FromStr>(&self, file: &str) -> Option<T> {
        self.read(file, &mut [0; 32], |text| text.parse().ok())
    }

    /// The last component of a symbolic link's target.
    pub(super) fn target_name(&self, link: &str) -> Option<String> {
        let target = readlinkat(&self.0, link, Vec::with_capacity(256)).ok()?;
        Some(names::shown(Path::new(OsStr::from_bytes(target.as_bytes())).file_name()?.as_bytes()))
    }

    /// The first read of a sysfs file returns all of it.
    fn read<T>(&self, file: &str, buffer: &mut [u8], parse: impl FnOnce(&str) -> Option<T>) -> Option<T> {
        let file = openat(&self.0, file, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok()?;
        let length = read(&file, &mut *buffer).ok()?;
        parse(str::from_utf8(buffer.get(..length)?).ok()?.trim())
    }
}
