use std::fs;

use super::*;

fn node(name: &str) -> NodeId {
    NodeId::from_name(name).unwrap()
}

/// Every file below a folder with its content.
pub(crate) fn snapshot(dir: &Path) -> Vec<(PathBuf, String)> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(snapshot(&path));
        } else {
            files.push((path.clone(), fs::read_to_string(&path).unwrap()));
        }
    }
    files.sort();
    files
}

#[test]
fn opening_twice_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    Keys::open_or_create(dir.path()).unwrap();
    let first = snapshot(dir.path());
    assert_eq!(first.len(), 9, "four seeds, four fragments, one lock: {first:?}");
    Keys::open_or_create(dir.path()).unwrap();
    assert_eq!(snapshot(dir.path()), first);
}

#[cfg(unix)]
#[test]
fn only_the_owner_can_read_keys() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let keys = Keys::open_or_create(dir.path()).unwrap();
    let enrolled = enroll(dir.path(), &node("web-01")).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&keys.service_seed_path()), 0o600);
    assert_eq!(mode(&enrolled.seed_path), 0o600);
    assert_eq!(mode(&dir.path().join("keys")), 0o700);
    assert_eq!(mode(&dir.path().join("keys/agents")), 0o700);
}

#[test]
fn an_agent_is_enrolled_once_and_may_publish_as_itself_only() {
    let dir = tempfile::tempdir().unwrap();
    Keys::open_or_create(dir.path()).unwrap();
    let first = enroll(dir.path(), &node("web-01.example.com")).unwrap();
    let again = enroll(dir.path(), &node("web-01.example.com")).unwrap();
    assert!(first.created && !again.created);
    assert_eq!(first.seed_path, again.seed_path);

    let fragment = fs::read_to_string(users_path(dir.path(), "agents")).unwrap();
    let user = seed::open_or_create(&first.seed_path).unwrap();
    let line = format!(
        "  {{ nkey: {user}, permissions: {{ publish: \"tidemap.v1.sample.92.web-01=2Eexample=2Ecom\", \
         subscribe: \"_INBOX.web-01=2Eexample=2Ecom.>\" }} }}"
    );
    assert_eq!(fragment.lines().filter(|found| *found == line).count(), 1, "{fragment}");
}

#[test]
fn revoking_leaves_the_others() {
    let dir = tempfile::tempdir().unwrap();
    Keys::open_or_create(dir.path()).unwrap();
    let without = fs::read_to_string(users_path(dir.path(), "agents")).unwrap();
    let enrolled = enroll(dir.path(), &node("a")).unwrap();
    assert!(revoke(dir.path(), &node("a")).unwrap());
    assert!(!revoke(dir.path(), &node("a")).unwrap());
    assert_eq!(fs::read_to_string(users_path(dir.path(), "agents")).unwrap(), without);
    assert!(!enrolled.seed_path.exists());
    assert!(enroll(dir.path(), &node("a")).unwrap().created);
}

#[test]
fn a_lost_seed_is_replaced_in_its_users_line() {
    let dir = tempfile::tempdir().unwrap();
    let first = enroll(dir.path(), &node("a")).unwrap();
    fs::remove_file(&first.seed_path).unwrap();
    assert!(enroll(dir.path(), &node("a")).unwrap().created);
    let fragment = fs::read_to_string(users_path(dir.path(), "agents")).unwrap();
    assert_eq!(fragment.matches("tidemap.v1.sample.44.a\"").count(), 1, "{fragment}");
}

#[test]
fn files_of_another_kind_are_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let keys = Keys::open_or_create(dir.path()).unwrap();
    let account = nkeys::KeyPair::new_account().seed().unwrap();
    fs::write(keys.app_seed_path(), &account).unwrap();
    assert!(matches!(Keys::open_or_create(dir.path()), Err(KeysError::NotASeed { .. })));
    assert_eq!(fs::read_to_string(keys.app_seed_path()).unwrap(), account);

    fs::write(users_path(dir.path(), "agents"), "# mine\n").unwrap();
    assert!(matches!(enroll(dir.path(), &node("a")), Err(KeysError::NotAFragment { .. })));
}

#[cfg(unix)]
#[test]
fn what_root_writes_belongs_to_the_owner_of_the_folder() {
    use std::os::unix::fs::{MetadataExt, chown};
    const BROKER: u32 = 65_534;
    let dir = tempfile::tempdir().unwrap();
    if chown(dir.path(), Some(BROKER), Some(BROKER)).is_err() {
        println!("only root can be tested for what root does");
        return;
    }
    Keys::open_or_create(dir.path()).unwrap();
    enroll(dir.path(), &node("a")).unwrap();
    enroll(dir.path(), &node("b")).unwrap();
    revoke(dir.path(), &node("b")).unwrap();
    let folders = ["keys", "keys/agents", "users"].map(|folder| dir.path().join(folder));
    let files = snapshot(dir.path());
    assert!(files.len() >= 10, "{files:?}");
    for path in files.into_iter().map(|(path, _)| path).chain(folders) {
        let meta = path.metadata().unwrap();
        assert_eq!((meta.uid(), meta.gid()), (BROKER, BROKER), "{}", path.display());
    }
}

fn user() -> String {
    nkeys::KeyPair::new_user().public_key()
}

#[test]
fn a_node_is_admitted_by_a_key_that_is_not_here() {
    let dir = tempfile::tempdir().unwrap();
    Keys::open_or_create(dir.path()).unwrap();
    let (key, other) = (user(), user());
    let a = node("a");
    let admit =
        |name: &str, key: &str, replaces| admit(dir.path(), &node(name), key, "abcd2345", replaces).unwrap();
    let line = || fs::read_to_string(users_path(dir.path(), "agents")).unwrap();
    assert_eq!(admit("a", &key, false), Admission::New);
    let text = line();
    assert!(
        text.contains(&format!("nkey: {key}, permissions: {{ publish: \"tidemap.v1.sample.44.a\"")),
        "{text}"
    );
    assert!(text.contains("# joined by abcd2345\n"), "{text}");
    assert!(!agent_seed_path(dir.path(), &a).exists());
    assert_eq!(admit("a", &key, false), Admission::Known);
    assert_eq!(line(), text);
    assert_eq!(admit("a", &other, false), Admission::NodeTaken);
    assert!(is_admitted(dir.path(), &a, &key).unwrap() && !is_admitted(dir.path(), &a, &other).unwrap());
    // A broker refuses two users with one key: of another node, of a service, of the simulator.
    let keys = Keys::open_or_create(dir.path()).unwrap();
    for taken in [&key, &seed::open_or_create(&keys.service_seed_path()).unwrap()] {
        assert_eq!(admit("b", taken, true), Admission::KeyTaken);
    }
    assert_eq!(line(), text);
    // A key that was made here is replaced, and is not handed out again.
    let enrolled = enroll(dir.path(), &node("c")).unwrap();
    assert_eq!(admit("c", &other, false), Admission::NodeTaken);
    assert_eq!(admit("c", &other, true), Admission::Replaced);
    assert!(!enrolled.seed_path.exists());
    for name in ["a", "c"] {
        let refused = enroll(dir.path(), &node(name)).unwrap_err();
        assert!(matches!(&refused, KeysError::Joined { node: joined } if *joined == node(name)), "{refused}");
    }
    assert!(revoke(dir.path(), &a).unwrap() && !revoke(dir.path(), &a).unwrap());
    assert!(!is_admitted(dir.path(), &a, &key).unwrap());
    assert!(enroll(dir.path(), &a).unwrap().created);
}
