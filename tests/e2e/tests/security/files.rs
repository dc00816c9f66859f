//! Secrets lie in files that only their owner can read, whatever the shell's umask is.

use std::{
    fs::{self, Permissions},
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::Path,
};

use tidemap_testkit::{
    http,
    process::{Tidemap, tidemap},
};
use tokio::process::Command;

/// `tidemap` from a shell that lets everybody read and write what it makes.
fn careless(args: &[&str]) -> Tidemap {
    let mut shell = Command::new("sh");
    shell.args(["-c", "umask 0; exec \"$0\" \"$@\""]).arg(tidemap().unwrap());
    shell.env("TIDEMAP_OF_THIS_TEST", "a variable of ours");
    Tidemap::start_by(shell, args).unwrap()
}

fn secrets(folder: &Path, found: &mut Vec<(String, u32)>) {
    // The broker renames and removes files of its own meanwhile; ours stay.
    let Ok(entries) = fs::read_dir(folder) else { return };
    for path in entries.flatten().map(|entry| entry.path()) {
        if path.is_dir() {
            secrets(&path, found);
            continue;
        }
        let Ok(content) = fs::read(&path) else { continue };
        let is_secret = |text: &[u8]| content.windows(text.len()).any(|window| window == text);
        if content.starts_with(b"SU") || is_secret(b"PRIVATE KEY") {
            let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o777;
            found.push((path.display().to_string(), mode));
        }
    }
}

#[tokio::test]
async fn every_secret_is_its_owners_alone() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let data_dir = data.to_str().unwrap();
    let mut up = careless(&[
        "up",
        "--http",
        "127.0.0.1:0",
        "--node",
        "here",
        "--data-dir",
        data_dir,
        "--listen",
        "127.0.0.1:0",
        "--advertise",
        "127.0.0.1",
    ]);
    let url = up.url().await.unwrap();
    let line = careless(&["enroll", "web-01", "--data-dir", data_dir]).line().await.unwrap();
    assert!(line.starts_with("umask 077 && "), "{line}");
    let mut found = Vec::new();
    secrets(&data, &mut found);
    // Four of ours, two agents, two of TLS.
    assert_eq!(found.len(), 8, "{found:?}");
    assert!(found.iter().all(|(_, mode)| *mode == 0o600), "{found:?}");
    for folder in [&data, &data.join("keys"), &data.join("keys/agents"), &data.join("tls")] {
        let mode = fs::metadata(folder).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o700, "{}", folder.display());
    }

    // The admin's token, which `up` has made.
    let token = data.join("keys/api.token");
    assert_eq!(fs::metadata(&token).unwrap().permissions().mode() & 0o777, 0o600);
    let token: &'static str = fs::read_to_string(token).unwrap().leak();
    let url = url.trim_end_matches('/');
    let forgotten = http::delete(format!("{url}/api/nodes/nobody"), Some(token.trim())).await.unwrap();
    // 503 until a worker owns that node's partition.
    assert!([404, 503].contains(&forgotten.status), "{} {}", forgotten.status, forgotten.body);

    // What `up` has in its environment, perhaps a token, it does not hand on.
    let pid = fs::read_to_string(data.join("nats-server.pid")).unwrap();
    let variables = fs::read(format!("/proc/{}/environ", pid.trim())).unwrap();
    let variables = String::from_utf8_lossy(&variables);
    assert!(variables.contains("PATH=") && !variables.contains("TIDEMAP_"), "{variables}");
}

#[tokio::test]
async fn whoever_may_not_enter_a_data_folder_reads_why() {
    let (programs, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let program = programs.path().join("tidemap");
    fs::copy(tidemap().unwrap(), &program).unwrap();
    fs::set_permissions(programs.path(), Permissions::from_mode(0o755)).unwrap();
    fs::create_dir(data.path().join("keys")).unwrap();
    fs::set_permissions(data.path(), Permissions::from_mode(0o000)).unwrap();
    let me = fs::metadata(data.path()).unwrap().uid();
    // Root may enter everything.
    let user = if me == 0 { 65_534 } else { me };
    for command in ["enroll", "revoke"] {
        let mut refused = Command::new(&program);
        refused.args([command, "web-01", "--data-dir"]).arg(data.path()).uid(user);
        let refused = refused.output().await.unwrap();
        let line = String::from_utf8(refused.stderr).unwrap();
        assert_eq!(refused.status.code(), Some(64), "{line}");
        assert!(line.contains("belongs to another user; run this as that user, or as root"), "{line}");
    }
}
