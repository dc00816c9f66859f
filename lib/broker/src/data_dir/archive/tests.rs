use std::thread;

use tidemap_wire::NodeId;

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
        (".tmpAbCdEf/history.sqlite", "a copy"),
        ("users/.tmpAbCdEf", "half"),
        ("elsewhere/history.sqlite-wal", "half"),
        ("history-folder", "/srv/history"),
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
                std::os::unix::fs::PermissionsExt::mode(&fs::metadata(path).unwrap().permissions()) & 0o777
            };
            assert_eq!(mode(to.join(name)), 0o600, "{name}");
            assert_eq!(mode(to.join("keys")), 0o700);
        }
    }
    for left_out in ["jetstream", "nats-server.log", ".tmpAbCdEf", "users", "elsewhere", "history-folder"] {
        assert!(!to.join(left_out).exists(), "{left_out}");
    }
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
    fs::create_dir_all(to.join("lost+found")).unwrap();
    for (bytes, why) in [
        (&b"not at all"[..], "no backup of Tidemap"),
        (&whole[..whole.len() / 2], "damaged"),
        (&flipped, "damaged"),
        (&later, "knows formats up to 1"),
    ] {
        let refused = restored(bytes, &to).unwrap_err();
        assert!(refused.contains(why), "{why}: {refused}");
        let mut left: Vec<_> = fs::read_dir(&to).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["lock", "lost+found"], "{why}");
    }
    restored(&whole, &to).unwrap();
}

#[test]
fn a_backup_is_whole_while_nodes_are_enrolled() {
    let (from, root) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let dir = from.path();
    crate::keys::Keys::open_or_create(dir).unwrap();
    thread::scope(|scope| {
        let enrolling = scope.spawn(|| {
            for number in 0..100 {
                let node = NodeId::from_name(&format!("web-{number}")).unwrap();
                crate::keys::enroll(dir, &node).unwrap();
            }
        });
        for number in 0.. {
            let is_last = enrolling.is_finished();
            let mut bytes = Vec::new();
            pack(dir, &About::now(7), &[], &mut bytes).unwrap();
            let to = root.path().join(number.to_string());
            restored(&bytes, &to).unwrap();
            let seeds = fs::read_dir(to.join("keys/agents")).map_or(0, Iterator::count);
            let users = fs::read_to_string(to.join("users/agents.conf")).unwrap();
            // The simulator is one of them.
            assert_eq!(users.matches("nkey:").count(), seeds + 1, "{users}");
            if is_last {
                assert_eq!(seeds, 100);
                break;
            }
        }
    });
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
