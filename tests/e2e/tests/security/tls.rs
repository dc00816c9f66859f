//! Connections from other hosts need TLS, and each fault of it is reported in one line.

use std::{path::Path, time::Duration};

use tidemap_broker::{keys, tls::Certificates};
use tidemap_service::clock::unix_ms;
use tidemap_testkit::{
    broker::TestBroker,
    eventually,
    process::{Tidemap, run_to_end},
    within,
};
use tidemap_wire::NodeId;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::EVENT_TIMEOUT;

pub(crate) fn made(folder: &Path, name: &str, years_ago: u64) -> Certificates {
    let now = Duration::from_millis(u64::try_from(unix_ms()).unwrap());
    let then = now - Duration::from_secs(years_ago * 365 * 24 * 60 * 60);
    Certificates::open_or_create(folder, &[name.to_owned()], then).unwrap()
}

#[tokio::test]
async fn a_certificate_that_nobody_would_believe_is_one_line_and_nothing_starts() {
    let folders = [(); 3].map(|()| tempfile::tempdir().unwrap());
    let good = made(folders[0].path(), "broker.example", 0);
    let expired = made(folders[1].path(), "broker.example", 15);
    let stranger = made(folders[2].path(), "broker.example", 0);
    let missing = Certificates { certificate: "/no/such/cert.pem".into(), ..good.clone() };
    let mismatched = Certificates { key: stranger.key.clone(), ..good.clone() };
    for (name, given, message) in [
        ("broker.example", &missing, "cannot use /no/such/cert.pem"),
        ("broker.example", &mismatched, "is not the key of"),
        ("broker.example", &expired, "has expired"),
        ("other.example", &good, "is not valid for other.example"),
    ] {
        let data = tempfile::tempdir().unwrap();
        let path = |path: &Path| path.to_str().unwrap().to_owned();
        let args = [
            "up",
            "--listen",
            "127.0.0.1:0",
            "--http",
            "127.0.0.1:0",
            "--advertise",
            name,
            "--data-dir",
            &path(data.path()),
            "--tls-cert",
            &path(&given.certificate),
            "--tls-key",
            &path(&given.key),
            "--tls-ca",
            &path(given.authority.as_ref().unwrap()),
        ];
        let (code, stderr) = run_to_end(&args).await.unwrap();
        println!("{}", stderr.trim());
        assert_eq!(code, Some(64), "{stderr}");
        assert!(stderr.contains(message) && stderr.trim().lines().count() == 1, "{message}: {stderr}");
        assert!(!data.path().join("jetstream").exists(), "no broker may have started");
    }
}

/// Starts an agent and returns the line that says why it does not trust its broker.
async fn doubt(url: &str, key: &Path, ca: Option<&Path>) -> String {
    let mut args = vec!["agent", "--node", "a", "--nats-url", url, "--creds", key.to_str().unwrap()];
    args.extend(ca.iter().flat_map(|ca| ["--nats-ca", ca.to_str().unwrap()]));
    let agent = Tidemap::start(&args).unwrap();
    eventually(EVENT_TIMEOUT, || async {
        let log = agent.log();
        anyhow::ensure!(!log.contains("connected to the broker"), "{log}");
        let line = log.lines().find(|line| line.contains("the broker at")).map(str::to_owned);
        line.ok_or_else(|| anyhow::anyhow!("nothing logged: {log}"))
    })
    .await
    .unwrap()
}

#[tokio::test]
async fn an_agent_that_cannot_verify_the_broker_does_not_connect_and_logs_why() {
    let folder = tempfile::tempdir().unwrap();
    let (_up, _) =
        Tidemap::up(folder.path(), &["--node", "here", "--listen", "0.0.0.0:0", "--advertise", "127.0.0.1"])
            .await
            .unwrap();
    let url = std::fs::read_to_string(folder.path().join("endpoint")).unwrap();
    assert!(url.starts_with("tls://"), "{url}");
    let key = keys::enroll(folder.path(), &NodeId::from_name("a").unwrap()).unwrap().seed_path;
    let elsewhere = tempfile::tempdir().unwrap();
    let wrong = made(elsewhere.path(), "127.0.0.1", 0).authority.unwrap();
    let right = folder.path().join("tls/ca.pem");
    let plain = url.replace("tls://", "nats://");
    for (url, ca) in [(&url, None), (&plain, None), (&url, Some(&*wrong)), (&plain, Some(&*wrong))] {
        let line = doubt(url, &key, ca).await;
        println!("{url} {ca:?} → {line}");
        assert!(line.contains("does not prove who it is") && line.contains("--nats-ca"), "{line}");
    }
    // A broker under another address than the certificate's.
    let line = doubt(&url.replace("127.0.0.1", "127.0.0.2"), &key, Some(&right)).await;
    println!("another address → {line}");
    assert!(line.contains("does not prove who it is") && line.contains("127.0.0.2"), "{line}");

    // The broker closes a connection without encryption.
    let mut socket = TcpStream::connect(url.strip_prefix("tls://").unwrap()).await.unwrap();
    socket.write_all(b"CONNECT {}\r\nPING\r\n").await.unwrap();
    let mut said = Vec::new();
    let read = within(EVENT_TIMEOUT, socket.read_to_end(&mut said)).await.expect("the broker hangs up");
    let said = String::from_utf8_lossy(&said).into_owned();
    println!("plain text → {read:?} {}", said.lines().last().unwrap_or_default());
    assert!(!said.contains("PONG"), "{said}");
}

#[tokio::test]
async fn an_agent_that_wants_tls_does_not_speak_to_a_broker_without() {
    let broker = TestBroker::start().await.unwrap();
    let folder = broker.keys.service_seed_path().ancestors().nth(2).unwrap().to_owned();
    let key = keys::enroll(&folder, &NodeId::from_name("a").unwrap()).unwrap().seed_path;
    broker.server.reload().unwrap();
    let line = doubt(&broker.url.replace("nats://", "tls://"), &key, None).await;
    println!("{line}");
    assert!(line.contains("does not speak TLS"), "{line}");
}

#[tokio::test]
async fn the_line_of_enroll_carries_the_authority_in_use() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    let theirs = tempfile::tempdir().unwrap();
    let given = made(theirs.path(), "127.0.0.1", 0);
    let path = |path: &Path| path.to_str().unwrap().to_owned();
    let authority = given.authority.as_deref().unwrap();
    let (cert, key, ca) = (path(&given.certificate), path(&given.key), path(authority));
    let listen = ["--node", "here", "--listen", "127.0.0.1:0", "--advertise", "127.0.0.1"];
    // First with a certificate of ours, whose authority stays in the folder.
    for (more, authority) in [
        (&[][..], folder.path().join("tls/ca.pem")),
        (&["--tls-cert", &cert, "--tls-key", &key, "--tls-ca", &ca, "--new-authority"], authority.to_owned()),
    ] {
        let (mut up, _) = Tidemap::up(folder.path(), &[&listen[..], more].concat()).await.unwrap();
        let line = Tidemap::start(&["enroll", "a", "--data-dir", data]).unwrap().line().await.unwrap();
        let carried = std::fs::read_to_string(authority).unwrap().trim_end().replace('\n', "\\n");
        assert!(line.contains(&carried) && line.contains("--nats-ca tidemap-ca.pem"), "{carried} {line}");
        assert_eq!(line.matches("BEGIN CERTIFICATE").count(), 1, "{line}");
        up.terminate().await.unwrap();
    }
}
