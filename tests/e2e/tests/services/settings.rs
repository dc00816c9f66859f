//! What the surroundings set, or lack: empty variables, addresses of other protocols, few open files, no
//! `/sys`.

use std::{path::Path, time::Duration};

use anyhow::{Context, ensure};
use serde_json::json;
use tidemap_testkit::{
    client::{Connection, address, request},
    eventually,
    http::get_json,
    observe,
    process::{Tidemap, run_to_end, tidemap},
    within,
};
use tidemap_wire::{
    Status,
    http::{NodeJson, StatsJson},
};
use tokio::{io::AsyncWriteExt, net::TcpStream, process::Command};

const EVENT_TIMEOUT: Duration = Duration::from_secs(30);

/// The environment variables in a command's help, and those that it hides.
async fn variables(command: &str) -> Vec<String> {
    let help = Command::new(tidemap().unwrap()).args([command, "--help"]).output().await.unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let named = help.split("[env: ").skip(1).filter_map(|rest| rest.split(['=', ']']).next());
    named.chain(["TIDEMAP_SYSFS", "TIDEMAP_PROCFS"]).map(str::to_owned).collect()
}

async fn with_empty_variables(command: &str) -> Command {
    let names = variables(command).await;
    assert!(names.len() > 12, "{names:?}");
    // `Tidemap::start_by` clears the environment that it passes on, so `env` sets them.
    let mut env = Command::new("env");
    env.args(names.iter().map(|name| format!("{name}="))).arg(tidemap().unwrap());
    env
}

async fn up_by(command: Command, data_dir: &Path, more: &[&str]) -> (Tidemap, String) {
    let args = [&["up", "--http", "127.0.0.1:0", "--data-dir", data_dir.to_str().unwrap()], more].concat();
    let mut up = Tidemap::start_by(command, &args).unwrap();
    let url = up.url().await.unwrap();
    (up, url)
}

#[tokio::test]
async fn an_empty_variable_is_none() {
    let dir = tempfile::tempdir().unwrap();
    let (_up, url) = up_by(with_empty_variables("up").await, dir.path(), &[]).await;
    eventually(EVENT_TIMEOUT, || async {
        let stats: StatsJson = get_json(format!("{url}/api/stats")).await?;
        ensure!(stats.online_nodes == 1, "{} nodes", stats.online_nodes);
        Ok(())
    })
    .await
    .unwrap();
    let mut agent = Tidemap::start_by(with_empty_variables("agent").await, &["agent", "--dry-run"]).unwrap();
    assert!(agent.line().await.unwrap().starts_with('{'));
}

#[tokio::test]
async fn addresses_of_other_protocols_are_refused_by_every_program() {
    let there = "wss://user:secret@127.0.0.1:1";
    for args in [
        &["agent", "--nats-url", there][..],
        &["ingest", "--nats-url", there],
        &["api", "--http", "127.0.0.1:0", "--nats-url", there],
        &["simulate", "--nodes", "1", "--nats-url", there],
        &["relay", "--name", "r", "--local-url", there],
        &["relay", "--name", "r", "--local-url", "nats://127.0.0.1:1", "--nats-url", there],
        &["repartition", "--partitions", "8", "--nats-url", there],
        &["enroll", "web-01", "--nats-url", there],
        &["up", "--nats-url", there],
    ] {
        let (code, said) = run_to_end(args).await.unwrap();
        let errors: Vec<&str> = said.lines().filter(|line| line.starts_with("error: ")).collect();
        assert_eq!((code, errors.len()), (Some(64), 1), "{args:?}: {said}");
        assert!(errors[0].contains("tls://") || errors[0].contains("nats://"), "{said}");
    }
    let (_, said) = run_to_end(&["agent", "--nats-url", there]).await.unwrap();
    assert!(said.contains("--nats-url wss://127.0.0.1:1: ") && !said.contains("secret"), "{said}");
}

#[tokio::test]
async fn words_that_mean_nothing_are_refused_in_one_line_that_names_the_flag() {
    for (args, flag) in [
        (&["up", "--listen", "0.0.0.0", "--advertise", "tls://a.example"][..], "--advertise"),
        (&["up", "--listen", "0.0.0.0", "--advertise", "a b"], "--advertise"),
        (&["up", "--replicas", "3"], "--replicas"),
        (&["up", "--max-nodes", "0"], "--max-nodes"),
        (&["api", "--host", "*.example"], "--host"),
        (&["agent", "--dry-run", "--location", "47,37, 8,54"], "--location"),
        (&["agent", "--log", "eror"], "--log"),
        (&["ingest", "--log", "tidemap"], "--log"),
        (&["--log", "info,tidemap_ingest=eror", "api"], "--log"),
    ] {
        let (code, said) = run_to_end(args).await.unwrap();
        let errors: Vec<&str> = said.lines().filter(|line| line.starts_with("error: ")).collect();
        assert_eq!((code, errors.len()), (Some(64), 1), "{args:?}: {said}");
        assert!(errors[0].contains(flag), "{args:?}: {said}");
    }
}

#[tokio::test]
async fn switches_and_choices_are_understood_however_they_are_written() {
    for (variable, value, code) in [
        ("TIDEMAP_PUBLIC", "1", 1),
        ("TIDEMAP_PUBLIC", "yes", 1),
        ("TIDEMAP_PUBLIC", "TRUE", 1),
        ("TIDEMAP_PUBLIC", "perhaps", 64),
        ("TIDEMAP_LOG_FORMAT", "JSON", 1),
        ("TIDEMAP_COUNT", "All", 1),
        ("TIDEMAP_COUNT", "some", 64),
    ] {
        // All variables of `up` are read before its data folder, which cannot be one, is looked at.
        let mut up = Command::new(tidemap().unwrap());
        up.args(["up", "--data-dir", "/dev/null/x", "--http", "0.0.0.0:0"]).env("TIDEMAP_PUBLIC", "true");
        let ended = up.env(variable, value).output().await.unwrap();
        assert_eq!(ended.status.code(), Some(code), "{variable}={value}: {ended:?}");
    }
}

#[tokio::test]
async fn quotes_blanks_and_empty_items_in_a_variable_are_not_meant() {
    let say = |variables: &[(&str, &str)], args: &[&str]| {
        let mut command = Command::new(tidemap().unwrap());
        command.args(args).envs(variables.iter().copied());
        async move { command.output().await.unwrap() }
    };
    // All variables of `up` are read before its data folder, which cannot be one, is looked at.
    for (variable, value) in [
        ("TIDEMAP_HTTP", "\"127.0.0.1:0\""),
        ("TIDEMAP_HTTP", "'127.0.0.1:0'\r"),
        ("TIDEMAP_PUBLIC", "\"true\""),
        ("TIDEMAP_COUNT", "'wan'"),
        ("TIDEMAP_MAX_NODES", "\"1000\""),
        ("TIDEMAP_NATS_URL", "\"nats://127.0.0.1:4222\""),
        ("TIDEMAP_HOSTS", "a.example, b.example,"),
        ("TIDEMAP_EXCLUDE", "\"eth0, eth1,\""),
    ] {
        let ended = say(&[(variable, value)], &["up", "--data-dir", "/dev/null/x"]).await;
        let said = String::from_utf8(ended.stderr).unwrap();
        assert_eq!(ended.status.code(), Some(1), "{variable}={value}: {said}");
        assert!(said.contains("/dev/null/x"), "{variable}={value}: {said}");
    }
    let ended = say(&[("TIDEMAP_DATA_DIR", "\"/dev/null/there\"")], &["up", "--http", "127.0.0.1:0"]).await;
    assert!(String::from_utf8_lossy(&ended.stderr).contains("data folder /dev/null/there:"), "{ended:?}");
    let ended = say(&[("TIDEMAP_HTTP", "\"nowhere\"")], &["up"]).await;
    let said = String::from_utf8(ended.stderr).unwrap();
    assert_eq!((ended.status.code(), said.lines().count()), (Some(64), 1), "{said}");

    let mut env = Command::new("env");
    env.args(["NODE_NAME=\"Web-01\"\r", "TIDEMAP_LABELS='a=1,,b=2,'", "TIDEMAP_PROVIDER=\"Acme\""]);
    env.arg(tidemap().unwrap());
    let mut agent = Tidemap::start_by(env, &["agent", "--dry-run"]).unwrap();
    let report: serde_json::Value = serde_json::from_str(&agent.line().await.unwrap()).unwrap();
    let hello = &report["hello"];
    assert_eq!((&report["node"], &hello["display_name"]), (&"web-01".into(), &"Web-01".into()));
    assert_eq!((&hello["labels"], &hello["provider"]), (&json!({"a": "1", "b": "2"}), &"Acme".into()));
}

#[tokio::test]
async fn a_name_without_an_address_is_reported_at_once() {
    let agent = Tidemap::start(&["agent", "--nats-url", "nats://no-such-name.invalid"]).unwrap();
    eventually(EVENT_TIMEOUT, || async {
        let log = agent.log();
        ensure!(log.contains("no address is known for the broker's name no-such-name.invalid"), "{log}");
        Ok(())
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn where_the_host_cannot_be_measured_everything_else_runs() {
    let dir = tempfile::tempdir().unwrap();
    let command = Command::new(tidemap().unwrap());
    let roots = ["--sysfs-root", "/no/sys", "--procfs-root", "/no/proc"];
    let (mut up, url) = up_by(command, dir.path(), &[&roots[..], &["--simulate", "5"]].concat()).await;
    eventually(EVENT_TIMEOUT, || async {
        let stats: StatsJson = get_json(format!("{url}/api/stats")).await?;
        ensure!(stats.total_nodes == 5, "{} nodes", stats.total_nodes);
        Ok(())
    })
    .await
    .unwrap();
    assert!(up.log().contains("this host is not measured: cannot read /no/sys"), "{}", up.log());
    assert_eq!(up.terminate().await.unwrap().code(), Some(0));
}

#[tokio::test]
async fn streams_leave_files_for_the_hosts_own_agent() {
    let dir = tempfile::tempdir().unwrap();
    let mut shell = Command::new("sh");
    shell.args(["-c", "ulimit -n 256; exec \"$0\" \"$@\""]).arg(tidemap().unwrap());
    let (up, url) = up_by(shell, dir.path(), &[]).await;
    let there = address(&url).unwrap();
    eventually(EVENT_TIMEOUT, || async {
        let stats: StatsJson = get_json(format!("{url}/api/stats")).await?;
        ensure!(stats.online_nodes == 1, "{} nodes", stats.online_nodes);
        Ok(())
    })
    .await
    .unwrap();
    let mut first = Connection::open(there).await.unwrap();
    let mut streams = Vec::new();
    for _ in 0..300 {
        let mut stream = TcpStream::connect(there).await.unwrap();
        stream.write_all(request("/api/stream", "identity").as_bytes()).await.unwrap();
        streams.push(stream);
    }
    // A connection that asks nothing for ten seconds would be closed.
    let refused = async {
        while !up.log().contains("no more connections") {
            first.body(request("/healthz", "identity").as_bytes()).await.unwrap();
            observe(Duration::from_millis(250)).await;
        }
    };
    within(EVENT_TIMEOUT, refused).await.with_context(|| up.log()).unwrap();
    // It stays online for half a minute without reports, so its reports must be new.
    let mut seen = Vec::new();
    while seen.len() < 3 {
        observe(Duration::from_millis(250)).await;
        let body = first.body(request("/api/nodes", "identity").as_bytes()).await.unwrap();
        let nodes: Vec<NodeJson> = serde_json::from_slice(&body).unwrap();
        assert_eq!(nodes[0].status, Status::Online);
        assert!(nodes[0].age_ms < 10_000, "no report for {} ms", nodes[0].age_ms);
        if seen.last() != Some(&nodes[0].last_seen_timestamp) {
            seen.push(nodes[0].last_seen_timestamp);
        }
    }
    let lines = up.log().lines().count();
    assert!(lines < 60, "{lines} lines: {}", up.log());
    drop(streams);
}
