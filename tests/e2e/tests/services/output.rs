//! What cannot be written: a log is dropped and nothing else changes, a result is a failure of one line.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
    process::{Output, Stdio},
    time::Duration,
};

use tidemap_testkit::{
    eventually,
    http::get_json,
    process::{Tidemap, tidemap},
    within,
};
use tidemap_wire::http::StatsJson;
use tokio::process::Command;

const EVENT_TIMEOUT: Duration = Duration::from_secs(30);

/// Starts `tidemap up` with its standard error redirected by a shell.
async fn up_with_log(data_dir: &Path, redirection: &str) -> (Tidemap, String) {
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("exec \"$0\" \"$@\" {redirection}")]).arg(tidemap().unwrap());
    let data_dir = data_dir.to_str().unwrap();
    let mut up = Tidemap::start_by(shell, &["up", "--http", "127.0.0.1:0", "--data-dir", data_dir]).unwrap();
    let url = up.url().await.unwrap();
    (up, url)
}

/// Expects that the host's own agent is online, and that the process ends in order.
async fn works_and_ends(mut up: Tidemap, url: &str) {
    eventually(EVENT_TIMEOUT, || async {
        let stats: StatsJson = get_json(format!("{url}/api/stats")).await?;
        anyhow::ensure!(stats.online_nodes == 1, "{} nodes", stats.online_nodes);
        Ok(())
    })
    .await
    .unwrap();
    assert_eq!(up.terminate().await.unwrap().code(), Some(0));
}

#[tokio::test]
async fn a_log_on_a_full_disk_stops_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (up, url) = up_with_log(dir.path(), "2>/dev/full").await;
    works_and_ends(up, &url).await;
}

#[tokio::test]
async fn a_log_that_nobody_reads_stops_nothing() {
    let dir = tempfile::tempdir().unwrap();
    // A pipe that is full from the beginning, and that is not closed.
    let path = dir.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&path).status().await.unwrap().success());
    let nonblocking = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let mut pipe = OpenOptions::new().read(true).write(true).custom_flags(nonblocking).open(&path).unwrap();
    let full = (0..).find_map(|_| pipe.write(&[b'.'; 512]).err()).unwrap();
    assert_eq!(full.kind(), io::ErrorKind::WouldBlock);
    let (up, url) = up_with_log(&dir.path().join("data"), &format!("2>{}", path.display())).await;
    works_and_ends(up, &url).await;
}

#[tokio::test]
async fn a_log_whose_reader_has_gone_stops_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (reader, writer) = io::pipe().unwrap();
    drop(reader);
    let mut child = Command::new(tidemap().unwrap())
        .args(["agent", "--nats-url", "nats://127.0.0.1:1", "--spool"])
        .arg(dir.path().join("spool"))
        .stderr(writer)
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    // It samples: the spool grows after the first lines of the log.
    eventually(EVENT_TIMEOUT, || async {
        let bytes = dir.path().join("spool").metadata()?.len();
        anyhow::ensure!(bytes > 100, "{bytes} bytes");
        Ok(())
    })
    .await
    .unwrap();
    assert!(child.try_wait().unwrap().is_none());
}

#[tokio::test]
async fn up_goes_on_when_its_address_cannot_be_printed() {
    let dir = tempfile::tempdir().unwrap();
    let mut shell = Command::new("sh");
    shell.args(["-c", "exec \"$0\" \"$@\" >/dev/full"]).arg(tidemap().unwrap());
    let data_dir = dir.path().to_str().unwrap();
    let up = Tidemap::start_by(shell, &["up", "--http", "127.0.0.1:0", "--data-dir", data_dir]).unwrap();
    let url = eventually(EVENT_TIMEOUT, || async {
        let log = up.log();
        let url = log.split_whitespace().find(|word| word.starts_with("http://")).map(str::to_owned);
        url.ok_or_else(|| anyhow::anyhow!("no address: {log}"))
    });
    let url = url.await.unwrap();
    works_and_ends(up, &url).await;
}

/// Runs a command to its end with this standard output.
async fn run(args: &[&str], stdout: impl Into<Stdio>) -> Output {
    let mut command = Command::new(tidemap().unwrap());
    command.args(args).env_remove("RUST_LOG").stdin(Stdio::null()).stdout(stdout).stderr(Stdio::piped());
    within(EVENT_TIMEOUT, command.kill_on_drop(true).spawn().unwrap().wait_with_output())
        .await
        .unwrap()
        .unwrap()
}

/// The lines on standard error that tell of a failure.
fn failures(output: &Output) -> Vec<String> {
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!text.contains("panicked"), "{text}");
    text.lines().filter(|line| line.starts_with("error: ")).map(str::to_owned).collect()
}

#[tokio::test]
async fn a_result_that_cannot_be_written_is_a_failure_of_one_line() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().to_str().unwrap();
    let enroll = ["enroll", "web-01", "--relay", "--local", "--data-dir", data];
    for args in [&enroll[..], &["--help"], &["--version"], &["agent", "--explain"], &["agent", "--dry-run"]] {
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let output = run(args, full).await;
        let said = failures(&output);
        assert_eq!((output.status.code(), said.len()), (Some(1), 1), "{args:?}: {said:?}");
        assert!(said[0].starts_with("error: cannot write to standard output: No space left"), "{said:?}");
    }
    // A secret that nobody got is a failure, too; what is only looked at may be left early.
    for (args, code) in
        [(&enroll[..], 1), (&["--help"], 0), (&["agent", "--explain"], 0), (&["agent", "--dry-run"], 0)]
    {
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        let output = run(args, writer).await;
        let said = failures(&output);
        assert_eq!(
            (output.status.code(), said.len()),
            (Some(code), usize::try_from(code).unwrap()),
            "{args:?}"
        );
    }
}

#[tokio::test]
async fn words_that_cannot_be_written_change_no_outcome() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("operator");
    let full = || File::options().write(true).open("/dev/full").unwrap();
    for (args, code) in [(&["operator", "init", folder.to_str().unwrap()][..], 0), (&["--nubmer"], 64)] {
        let status = Command::new(tidemap().unwrap()).args(args).stdout(full()).stderr(full()).status();
        assert_eq!(status.await.unwrap().code(), Some(code), "{args:?}");
    }
}
