//! A fleet that is enrolled by signatures needs no more than the commands `tidemap operator`, `enroll` and
//! `revoke`.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Output, Stdio},
    time::Duration,
};

use anyhow::{Context, ensure};
use tidemap_testkit::{
    eventually,
    http::get_json,
    process::{Tidemap, run_to_end, tidemap},
};
use tidemap_wire::{Status, http::NodeJson};
use tokio::process::{Child, Command};

const EVENT_TIMEOUT: Duration = Duration::from_secs(30);

#[tokio::test]
async fn a_fleet_of_signatures_is_started_watched_and_cut_off_by_commands_alone() {
    let folder = tempfile::tempdir().unwrap();
    let operator = folder.path().join("operator").to_str().unwrap().to_owned();
    run(&["operator", "init", &operator]).await;
    let data = folder.path().join("broker");
    let (_broker, nats) = start_broker(Path::new(&operator), &data).await;
    let service = format!("{operator}/creds/service.creds");
    let _ingest = Tidemap::start(&["ingest", "--nats-url", &nats, "--creds", &service]).unwrap();
    let api_args = ["api", "--http", "127.0.0.1:0", "--nats-url", &nats, "--creds", &service];
    let api = Tidemap::start(&api_args).unwrap();
    let url = eventually(EVENT_TIMEOUT, async || {
        let log = api.log();
        let url = log.split_whitespace().find(|word| word.starts_with("http://")).map(str::to_owned);
        url.with_context(|| format!("no address: {log}"))
    });
    let url = url.await.unwrap();

    let mut agents = Vec::new();
    for name in ["stays", "goes.example.com"] {
        let enroll = ["enroll", name, "--operator", &operator, "--nats-url", &nats, "--labels", "role=web"];
        let line = run(&enroll).await;
        assert_eq!(run(&enroll).await, line, "the same node gets the same line");
        let same = ["enroll", name, "--operator", &operator, "--nats-url", &nats];
        assert_eq!(run(&same).await, line, "its labels are remembered");
        agents.push(start_agent(&line, &folder.path().join(name)));
    }
    let node = async |name: &str, status: Status| {
        let node: NodeJson = get_json(format!("{url}/api/nodes/{name}")).await?;
        ensure!(node.status == status, "{name}: {:?}", node.status);
        ensure!(node.labels.get("role").is_some_and(|role| role == "web"), "{:?}", node.labels);
        Ok(())
    };
    eventually(EVENT_TIMEOUT, || node("stays", Status::Online)).await.unwrap();
    eventually(EVENT_TIMEOUT, || node("goes.example.com", Status::Online)).await.unwrap();

    let revoke = ["revoke", "goes.example.com", "--operator", &operator, "--nats-url", &nats];
    run(&revoke).await;
    let log = folder.path().join("goes.example.com/log");
    eventually(EVENT_TIMEOUT, async || {
        let log = fs::read_to_string(&log)?;
        ensure!(log.contains("refuses this key"), "{log}");
        Ok(())
    })
    .await
    .unwrap();
    run(&revoke).await;
    // Without the node's credentials, `revoke` must not claim success: the node stays connected.
    let stranger = ["revoke", "elsewhere", "--operator", &operator, "--nats-url", &nats];
    let (code, refused) = run_to_end(&stranger).await.unwrap();
    assert!(
        code == Some(1) && refused.contains("was not enrolled here") && refused.contains("--key"),
        "{refused}"
    );
    println!("{}", refused.trim());
    let key = nkeys::KeyPair::new_user().public_key();
    let (code, done) = run_to_end(&[&stranger[..], &["--key", &key]].concat()).await.unwrap();
    assert!(code == Some(0) && done.contains("elsewhere is revoked; 1 broker updated"), "{done}");
    let other = fs::read_to_string(folder.path().join("stays/log")).unwrap();
    assert!(!other.contains("lost the broker"), "{other}");
    eventually(EVENT_TIMEOUT, || node("stays", Status::Online)).await.unwrap();
}

/// Runs `tidemap`, which must succeed, and returns its output.
async fn run(args: &[&str]) -> String {
    let output: Output = Command::new(tidemap().unwrap()).args(args).output().await.unwrap();
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

/// Runs the line in a shell, in a folder of its own.
fn start_agent(line: &str, folder: &PathBuf) -> Child {
    fs::create_dir(folder).unwrap();
    let program = tidemap().unwrap();
    // The agent replaces the shell, so that killing the child ends the agent.
    let line = line.replace("&& $(command", "&& exec $(command");
    Command::new("bash")
        .args(["-c", &format!("PATH={}:$PATH && {line}", program.parent().unwrap().display())])
        .current_dir(folder)
        .stdin(Stdio::null())
        .stderr(fs::File::create(folder.join("log")).unwrap())
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

/// A broker as the operator's manual starts it, and its address.
pub(crate) async fn start_broker(operator: &Path, data: &Path) -> (Child, String) {
    let ports = data.join("ports");
    fs::create_dir_all(&ports).unwrap();
    fs::copy(operator.join("broker/nats.conf"), data.join("nats.conf")).unwrap();
    let binary = tokio::task::spawn_blocking(|| tidemap_broker::locate(&tidemap_broker::default_tools_dir()));
    let child = Command::new(binary.await.unwrap().unwrap())
        .args(["-c", "nats.conf", "-a", "127.0.0.1", "-p", "-1", "-sd", ".", "--ports_file_dir", "ports"])
        .current_dir(data)
        .stdout(Stdio::null())
        .stderr(fs::File::create(data.join("log")).unwrap())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let address = eventually(EVENT_TIMEOUT, async || {
        let log = fs::read_to_string(data.join("log"))?;
        let file = fs::read_dir(&ports)?.next().with_context(|| log.clone())??.path();
        let ports: serde_json::Value = serde_json::from_slice(&fs::read(file)?)?;
        ports["nats"][0].as_str().map(str::to_owned).context(log)
    });
    (child, address.await.unwrap())
}
