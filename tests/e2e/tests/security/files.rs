//! Secrets lie in files that only their owner can read, whatever the shell's umask is.

use std::{os::unix::fs::PermissionsExt, path::Path};

use tidemap_testkit::process::{Tidemap, tidemap};
use tokio::process::Command;

/// `tidemap` from a shell that lets everybody read and write what it makes.
fn careless(args: &[&str]) -> Tidemap {
    let mut shell = Command::new("sh");
    shell.args(["-c", "umask 0; exec \"$0\" \"$@\""]).arg(tidemap().unwrap());
    Tidemap::start_by(shell, args).unwrap()
}

fn secrets(folder: &Path, found: &mut Vec<(String, u32)>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            secrets(&path, found);
            continue;
        }
        let content = std::fs::read(&path).unwrap();
        let is_secret = |text: &[u8]| content.windows(text.len()).any(|window| window == text);
        if content.starts_with(b"SU") || is_secret(b"PRIVATE KEY") {
            let mode = std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
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
    up.url().await.unwrap();
    let line = careless(&["enroll", "web-01", "--data-dir", data_dir]).line().await.unwrap();
    assert!(line.starts_with("umask 077 && "), "{line}");
    let mut found = Vec::new();
    secrets(&data, &mut found);
    // Four of ours, two agents, two of TLS.
    assert_eq!(found.len(), 8, "{found:?}");
    assert!(found.iter().all(|(_, mode)| *mode == 0o600), "{found:?}");
    for folder in [&data, &data.join("keys"), &data.join("keys/agents"), &data.join("tls")] {
        let mode = std::fs::metadata(folder).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o700, "{}", folder.display());
    }
}
