//! A host joins with an invite: the key is made there and stays there, and one word admits as many as it
//! says.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use anyhow::ensure;
use tidemap_testkit::{
    eventually,
    http::get_json,
    process::{Tidemap, clean, tidemap},
};
use tidemap_wire::{Status, http::NodeJson};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    process::Command,
    task::JoinSet,
};

const EVENT_TIMEOUT: Duration = Duration::from_secs(30);

/// What a command has printed.
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// Runs `tidemap` to its end.
pub(crate) async fn run(args: &[&str]) -> Said {
    let mut command = Command::new(tidemap().unwrap());
    clean(&mut command);
    let ended = command.args(args).output().await.unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let said = Said { code: ended.status.code(), out: text(ended.stdout), err: text(ended.stderr) };
    println!("tidemap {} → {:?} {}{}", args.join(" "), said.code, said.out, said.err);
    said
}

/// The word in what `tidemap invite` prints.
pub(crate) async fn invite(data: &str, more: &[&str]) -> String {
    let said = run(&[&["invite", "--data-dir", data][..], more].concat()).await;
    assert_eq!(said.code, Some(0), "{}", said.err);
    let line = said.out.trim();
    assert!(line.starts_with("curl -fsS http") && !line.contains('\n') && line.len() < 120, "{line}");
    line.split(' ').next_back().unwrap().to_owned()
}

/// The agent of a host that has joined, with the settings and the key in its folder.
pub(crate) fn agent(folder: &Path) -> Tidemap {
    let settings = fs::read_to_string(folder.join("agent.env")).unwrap();
    let mut command = Command::new("env");
    // The process's own environment is cleaned, so the settings are words of `env`.
    command.args(settings.lines()).arg(tidemap().unwrap());
    let key = folder.join("agent.nk");
    Tidemap::start_by(command, &["agent", "--creds", key.to_str().unwrap()]).unwrap()
}

/// Waits until a node is online and has these labels.
pub(crate) async fn is_online(url: &str, name: &str, labels: &[(&str, &str)]) {
    let wanted: BTreeMap<String, String> =
        labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    eventually(EVENT_TIMEOUT, async || {
        let node: NodeJson = get_json(format!("{url}/api/nodes/{name}")).await?;
        ensure!(
            node.status == Status::Online && node.labels == wanted,
            "{:?} {:?}",
            node.status,
            node.labels
        );
        Ok(())
    })
    .await
    .unwrap();
}

/// Carries connections to an address, and keeps every byte of both directions.
async fn recorder(target: String) -> (String, Arc<Mutex<Vec<u8>>>, JoinSet<()>) {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let mut accepting = JoinSet::new();
    let record = Arc::clone(&heard);
    accepting.spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((client, _)) = listener.accept().await {
            let (target, record) = (target.clone(), Arc::clone(&record));
            connections.spawn(async move {
                let Ok(server) = TcpStream::connect(target).await else { return };
                let (from_client, to_client) = client.into_split();
                let (from_server, to_server) = server.into_split();
                let (there, back) = (Arc::clone(&record), record);
                tokio::join!(copy(from_client, to_server, there), copy(from_server, to_client, back));
            });
        }
    });
    (url, heard, accepting)
}

async fn copy(
    mut from: impl AsyncReadExt + Unpin,
    mut to: impl AsyncWriteExt + Unpin,
    record: Arc<Mutex<Vec<u8>>>,
) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        record.lock().unwrap().extend_from_slice(&buffer[..length]);
        if to.write_all(&buffer[..length]).await.is_err() {
            return;
        }
    }
    to.shutdown().await.ok();
}

#[tokio::test]
async fn a_host_joins_by_one_word_and_its_key_never_leaves_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let data = path("data");
    let (_up, url) = Tidemap::up(Path::new(&data), &["--node", "first"]).await.unwrap();
    let word = invite(&data, &["--label", "site=fra", "--uses", "1"]).await;

    let (recorded, heard, _accepting) = recorder(url.trim_start_matches("http://").to_owned()).await;
    let there = path("there");
    let join =
        ["agent", "join", &recorded, &word, "--node", "edge 7", "--config-dir", &there, "--label", "rack=7"];
    let joined = run(&join).await;
    assert!(joined.code == Some(0) && joined.err.contains("edge 7 has joined"), "{}", joined.err);
    let seed = fs::read_to_string(Path::new(&there).join("agent.nk")).unwrap();
    let heard = String::from_utf8_lossy(&heard.lock().unwrap()).into_owned();
    assert!(heard.contains("POST /api/enroll") && heard.contains("grant"), "{heard}");
    assert!(seed.starts_with("SU") && !heard.contains(seed.trim()) && !heard.contains(&word[8..]), "{heard}");
    assert!(!fs::read_to_string(Path::new(&data).join("keys/invites.json")).unwrap().contains(&word[8..]));
    let _agent = agent(Path::new(&there));
    is_online(&url, "edge%207", &[("rack", "7"), ("site", "fra")]).await;

    // Again: nothing changes, and nobody is asked.
    let before = fs::read_to_string(Path::new(&there).join("agent.env")).unwrap();
    let again = run(&["agent", "join", "http://127.0.0.1:1", &word, "--config-dir", &there]).await;
    assert!(again.code == Some(0) && again.err.contains("has joined before"), "{}", again.err);
    assert_eq!(fs::read_to_string(Path::new(&there).join("agent.nk")).unwrap(), seed);
    assert_eq!(fs::read_to_string(Path::new(&there).join("agent.env")).unwrap(), before);

    // Another host: the one use is taken.
    let other = path("other");
    let late = run(&["agent", "join", &url, &word, "--node", "late", "--config-dir", &other]).await;
    assert!(late.code == Some(1) && late.err.contains("is used up"), "{}", late.err);
    assert_eq!(late.err.lines().count(), 1, "{}", late.err);
    let listed = run(&["invites", "--data-dir", &data]).await.out;
    assert!(listed.contains("0 of 1 left  is used up  site=fra  joined: edge 7"), "{listed}");
}

#[tokio::test]
async fn a_host_whose_answer_was_lost_goes_on_also_after_it_was_revoked() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (data, there) = (path("data"), path("there"));
    let (_up, url) = Tidemap::up(Path::new(&data), &["--node", "first"]).await.unwrap();
    let word = invite(&data, &["--uses", "2"]).await;
    let join = ["agent", "join", &url, &word, "--node", "edge", "--config-dir", &there];
    let left = async |text: &str| {
        let listed = run(&["invites", "--data-dir", &data]).await.out;
        assert!(listed.contains(text), "{listed}");
    };
    // Settings that hold a secret are their owner's, and cannot be written at first.
    let (settings, obstacle) = (Path::new(&there).join("agent.env"), Path::new(&there).join("agent.env.new"));
    fs::create_dir_all(&obstacle).unwrap();
    fs::write(&settings, "HTTPS_PROXY=http://me:secret@proxy:3128\n").unwrap();
    fs::set_permissions(&settings, fs::Permissions::from_mode(0o600)).unwrap();
    for _ in 0..2 {
        let stopped = run(&join).await;
        assert!(stopped.code == Some(1) && stopped.err.contains("cannot write"), "{}", stopped.err);
        left("1 of 2 left").await;
    }
    assert_eq!(run(&["revoke", "edge", "--data-dir", &data]).await.code, Some(0));
    fs::remove_dir(&obstacle).unwrap();
    let joined = run(&join).await;
    assert_eq!(joined.code, Some(0), "{}", joined.err);
    left("0 of 2 left").await;
    let text = fs::read_to_string(&settings).unwrap();
    assert!(text.starts_with("HTTPS_PROXY=http://me:secret@proxy:3128\n"), "{text}");
    assert_eq!(fs::metadata(&settings).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(!Path::new(&there).join("agent.nk.joining").exists());
    let _agent = agent(Path::new(&there));
    is_online(&url, "edge", &[]).await;
}

#[tokio::test]
async fn an_invite_with_another_address_of_the_broker_names_ups_authority() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    fs::create_dir(folder.path().join("keys")).unwrap();
    fs::write(folder.path().join("endpoint-ca.pem"), "the authority").unwrap();
    for (url, is_named) in [("tls://broker.example:4222", true), ("nats://broker.example:4222", false)] {
        let api = ["--api-url", "http://api.example:8080", "--nats-url", url];
        let said = run(&[&["invite", "--data-dir", data][..], &api].concat()).await;
        assert!(said.out.contains("sh -s -- http://api.example:8080 "), "{}", said.out);
        let kept = fs::read_to_string(folder.path().join("keys/invites.json")).unwrap();
        assert_eq!(kept.contains("the authority"), is_named, "{kept}");
        fs::remove_file(folder.path().join("keys/invites.json")).unwrap();
    }
}
