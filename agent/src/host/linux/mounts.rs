//! `/proc/self/mountinfo`: which file system is the host's disk.

use std::{
    cmp::Reverse,
    collections::BTreeMap,
    os::unix::ffi::OsStringExt,
    path::{Path, PathBuf},
};

/// The space of a file system, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) used: u64,
    /// Used and available.
    pub(super) total: u64,
}

/// File systems on disks that have no block device of their own.
const ON_DISKS: [&str; 6] = ["btrfs", "zfs", "bcachefs", "ubifs", "jffs2", "overlay"];
const IN_MEMORY: [&str; 3] = ["tmpfs", "ramfs", "rootfs"];
/// Where programs keep what does not outlive them. A file system in memory here is no host's disk.
const PASSING: [&str; 5] = ["/dev", "/proc", "/run", "/sys", "/tmp"];

/// Where the content of a file system is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Medium {
    Disk,
    Memory,
    /// On a server, or nowhere.
    Other,
}

#[derive(Debug)]
struct Mount {
    /// The folder of the file system that is mounted.
    folder: Vec<u8>,
    kind: String,
    has_block_device: bool,
    /// Of the file system. A mount of it may still be read-only, as for the services of a systemd host and
    /// for containers.
    is_writable: bool,
    /// Where an overlay keeps what is written to it.
    upper: Option<PathBuf>,
}

type Mounts = BTreeMap<PathBuf, Mount>;

/// Where the file system is mounted whose space is the host's disk: the root, unless nothing can be written
/// to it or it is in memory while there are disks. `None` when there is none but an image, which is always
/// full.
///
/// `size` is asked only about other file systems than the root of most hosts, because one on a server that is
/// gone hangs.
pub(super) fn disk(mountinfo: &str, size: impl Fn(&Path) -> Option<Size>) -> Option<PathBuf> {
    let root = PathBuf::from("/");
    // A later mount at the same place covers the earlier one.
    let mounts: Mounts = mountinfo.lines().filter_map(parse).collect();
    let Some(of_root) = mounts.get(&root) else { return Some(root) };
    let is_writable = of_root.is_writable;
    if is_writable && medium(of_root, &mounts) != Medium::Memory {
        return Some(root);
    }
    let largest = |wanted| largest(&mounts, wanted, &size);
    let has_room = || size(&root).is_some_and(|size| size.used < size.total);
    largest(Medium::Disk)
        .or_else(|| is_writable.then(|| root.clone()))
        .or_else(|| largest(Medium::Memory))
        .or_else(|| has_room().then(|| root.clone()))
}

/// The largest writable file system on this medium, at its most complete mount.
fn largest(mounts: &Mounts, wanted: Medium, size: impl Fn(&Path) -> Option<Size>) -> Option<PathBuf> {
    let is_wanted = |(path, mount): &(&PathBuf, &Mount)| {
        mount.is_writable
            && medium(mount, mounts) == wanted
            && path.as_os_str() != "/"
            && !is_below_other(path, mounts)
            && (wanted == Medium::Disk || !PASSING.iter().any(|passing| path.starts_with(passing)))
    };
    let sized = |(path, mount): (&PathBuf, &Mount)| {
        // Containers have single files of their host's disk.
        let size = size(path).filter(|size| size.total > 0 && path.is_dir())?;
        let order = (Reverse(size.total), mount.folder.len(), path.as_os_str().len(), path.clone());
        Some((order, path.clone()))
    };
    let found = mounts.iter().filter(is_wanted).filter_map(sized).min_by(|one, other| one.0.cmp(&other.0));
    found.map(|(_, path)| path)
}

/// Whether the way to this path leads through a file system that may hang.
fn is_below_other(path: &Path, mounts: &Mounts) -> bool {
    let above = path.ancestors().skip(1).filter(|above| above.as_os_str() != "/");
    above.filter_map(|above| mounts.get(above)).any(|mount| medium(mount, mounts) == Medium::Other)
}

fn medium(mount: &Mount, mounts: &Mounts) -> Medium {
    // An overlay's space is that of the file system below it; in a container that is not mounted.
    let below = mount.upper.as_ref().and_then(|upper| {
        upper.ancestors().filter(|path| path.as_os_str() != "/").find_map(|path| mounts.get(path))
    });
    let kind = &*below.unwrap_or(mount).kind;
    if IN_MEMORY.contains(&kind) {
        Medium::Memory
    } else if mount.has_block_device || ON_DISKS.contains(&kind) || below.is_some() {
        Medium::Disk
    } else {
        Medium::Other
    }
}

/// A line: `36 25 98:0 /folder /mount/point rw,noatime master:1 - ext4 /dev/sda1 rw,errors=continue`.
fn parse(line: &str) -> Option<(PathBuf, Mount)> {
    let (mount, file_system) = line.split_once(" - ")?;
    let mut mount = mount.split(' ').skip(2);
    let (device, folder, point) = (mount.next()?, mount.next()?, mount.next()?);
    let mut file_system = file_system.split(' ');
    let (kind, options) = (file_system.next()?, file_system.nth(1)?);
    let upper = options.split(',').find_map(|option| option.strip_prefix("upperdir="));
    let upper = upper.map(|upper| path(unescaped(upper)));
    let is_writable = options.split(',').next() == Some("rw") && (kind != "overlay" || upper.is_some());
    let mount = Mount {
        folder: unescaped(folder),
        kind: kind.to_owned(),
        has_block_device: !device.starts_with("0:"),
        is_writable,
        upper,
    };
    Some((path(unescaped(point)), mount))
}

fn path(bytes: Vec<u8>) -> PathBuf {
    std::ffi::OsString::from_vec(bytes).into()
}

/// The kernel writes spaces and the like as a backslash and three octal digits.
fn unescaped(text: &str) -> Vec<u8> {
    let mut pieces = text.split('\\');
    let mut bytes = pieces.next().unwrap_or_default().as_bytes().to_vec();
    for piece in pieces {
        let code = piece.get(..3).and_then(|digits| u8::from_str_radix(digits, 8).ok());
        bytes.extend(code.or(Some(b'\\')));
        bytes.extend(piece.as_bytes().get(if code.is_some() { 3 } else { 0 }..).unwrap_or_default());
    }
    bytes
}

#[cfg(test)]
mod tests;
