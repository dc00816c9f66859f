use super::*;

const SQUASHFS: &str = "20 1 7:1 / / ro,relatime shared:1 - squashfs /dev/loop1 ro,errors=continue\n";
const ROOT_ON_DISK: &str = "20 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n";

/// The chosen file system. Every folder here exists; `sizes` are their used and total bytes.
fn chosen(mountinfo: &str, sizes: &[(&str, u64, u64)]) -> Option<String> {
    let size = |path: &Path| {
        let (_, used, total) = sizes.iter().find(|(at, _, _)| path == Path::new(at))?;
        Some(Size { used: *used, total: *total })
    };
    disk(mountinfo, size).map(|path| path.to_str().unwrap().to_owned())
}

/// Asserts a choice that needs no size.
fn at_once(mountinfo: &str) -> Option<String> {
    disk(mountinfo, |path| panic!("{path:?} may hang")).map(|path| path.to_str().unwrap().to_owned())
}

#[test]
fn a_root_that_can_be_written_to_is_the_disk_and_no_other_is_asked() {
    let data = "21 20 8:0 / /usr rw - ext4 /dev/sdb rw\n22 20 0:50 / /nfs rw - nfs4 dead:/x rw\n";
    for root in [
        ROOT_ON_DISK,
        "20 1 0:26 /@root / rw - btrfs /dev/nvme0n1p2 rw,subvol=/@root\n",
        "20 1 0:30 / / rw,relatime - zfs rpool/ROOT/pve-1 rw,xattr\n",
        // A service under `ProtectSystem=strict`, and a container with a read-only root: only the mount is.
        "20 1 254:0 / / ro,relatime - ext4 /dev/vda rw\n",
        "20 1 0:44 / / ro - overlay overlay rw,lowerdir=/l/A:/l/B,upperdir=/var/lib/docker/1/diff,workdir=/w\n",
        "20 1 0:44 / / rw - nfs4 server:/root rw,vers=4.2\n",
        "20 1 0:44 / / rw - 9p none rw,trans=fd\n",
        "",
    ] {
        assert_eq!(at_once(&(root.to_owned() + data)).as_deref(), Some("/"), "{root}");
    }
}

#[test]
fn beside_a_read_only_image_the_largest_writable_file_system_is_the_disk() {
    // Folders that every Linux has stand for the places of data.
    let data = "21 20 8:1 / /usr rw,noatime - ext4 /dev/sda1 rw\n\
                22 20 8:2 / /etc rw - xfs /dev/sda2 rw\n\
                23 20 8:3 / /lib ro - ext4 /dev/sda3 ro\n\
                24 20 0:40 / /var rw - nfs4 server:/x rw\n\
                25 24 8:4 / /var/lib rw - ext4 /dev/sdb rw\n\
                26 20 0:41 / /dev/shm rw - tmpfs tmpfs rw\n";
    let sizes = [("/", 50, 50), ("/usr", 3, 400), ("/etc", 1, 20), ("/lib", 9, 900), ("/var/lib", 9, 8_000)];
    for root in [
        SQUASHFS,
        "20 1 0:29 / / ro,relatime - overlay composefs ro,lowerdir+=/run/ostree/x,datadir+=/y,metacopy=on\n",
        "20 1 0:29 / / ro,relatime - overlay overlay rw,lowerdir=/a:/b\n",
        "20 1 254:1 / / ro - erofs /dev/dm-1 ro\n",
        "20 1 0:2 / / rw - rootfs rootfs rw\n",
        "20 1 0:2 / / rw - tmpfs none rw,size=1024k\n",
        "20 1 0:29 / / rw - overlay overlay rw,lowerdir=/a,upperdir=/tmp/rw/up\n30 20 0:9 / /tmp/rw rw - tmpfs t rw\n",
    ] {
        assert_eq!(chosen(&(root.to_owned() + data), &sizes).as_deref(), Some("/usr"), "{root}");
    }
}

#[test]
fn the_most_complete_mount_of_a_file_system_names_it() {
    let sysroot = "21 20 8:1 /ostree/deploy/os/etc /etc rw - xfs /dev/sda1 rw\n\
                   22 20 8:1 /ostree/deploy/os/var /var rw - xfs /dev/sda1 rw\n\
                   23 20 8:1 / /usr/lib ro - xfs /dev/sda1 rw\n\
                   24 20 8:1 / /usr/share ro - xfs /dev/sda1 rw\n";
    let sizes = ["/etc", "/var", "/usr/lib", "/usr/share"].map(|path| (path, 10, 100));
    assert_eq!(chosen(&(SQUASHFS.to_owned() + sysroot), &sizes).as_deref(), Some("/usr/lib"));
    // A file of the host's disk is no place for data, and what is covered is out of sight.
    let container = "21 20 8:1 /docker/1/hosts /etc/hosts rw - ext4 /dev/sda1 rw\n\
                     22 20 8:2 /volumes/2/_data /var rw - ext4 /dev/sdb rw\n\
                     23 20 8:3 / /usr rw - ext4 /dev/sdc rw\n\
                     24 20 0:71 / /usr ro - proc proc rw\n";
    let sizes = [("/etc/hosts", 5, 500), ("/var", 1, 100), ("/usr", 9, 900)];
    assert_eq!(chosen(&(SQUASHFS.to_owned() + container), &sizes).as_deref(), Some("/var"));
}

#[test]
fn without_a_writable_disk_memory_is_better_than_a_full_image() {
    let memory = "21 20 0:40 / /var rw - tmpfs tmpfs rw,size=65536k\n22 20 0:41 / /run rw - tmpfs run rw\n";
    let sizes = [("/", 50, 50), ("/var", 1, 64), ("/run", 1, 800)];
    assert_eq!(chosen(&(SQUASHFS.to_owned() + memory), &sizes).as_deref(), Some("/var"));
    assert_eq!(chosen(SQUASHFS, &sizes), None);
    // After an error, a disk is remounted read-only; it still has room.
    assert_eq!(chosen(&SQUASHFS.replace("squashfs", "ext4"), &[("/", 40, 50)]).as_deref(), Some("/"));
    let diskless = "20 1 0:2 / / rw - tmpfs none rw\n";
    assert_eq!(chosen(&(diskless.to_owned() + memory), &sizes).as_deref(), Some("/"));
}

#[test]
fn a_line_of_mountinfo_has_optional_fields_and_escaped_names() {
    let line = r"36 25 98:0 /mnt1 /mnt/a\040b\134\011ü rw,noatime master:1 shared:7 - ext3 /dev/root rw,errors=continue";
    let (point, mount) = parse(line).unwrap();
    assert_eq!(point, Path::new("/mnt/a b\\\tü"));
    assert!(mount.is_writable && mount.has_block_device && mount.kind == "ext3");
    assert_eq!(mount.folder, b"/mnt1");
    assert_eq!(unescaped(r"\zü\0"), r"\zü\0".as_bytes());
    for line in ["", "36 25 98:0 / / rw", "36 25 98:0 / / rw - ext3"] {
        assert!(parse(line).is_none(), "{line}");
    }
}
