//! The nats-server child: how it comes up, goes down, and comes back.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::{
    fs,
    net::TcpListener,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use async_nats::{ConnectOptions, jetstream};
use tempfile::TempDir;
use tidemap_broker::{
    Broker, BrokerConfig, BrokerError, Reload,
    data_dir::DataDirError,
    keys::Keys,
    tls::{self, Certificates},
};
use tidemap_service::streams;
use tidemap_wire::PartitionCount;
use tokio::time::timeout;

async fn start(dir: &Path) -> Result<Broker, BrokerError> {
    let binary = tidemap_broker::locate(&tidemap_broker::default_tools_dir()).unwrap();
    Broker::start(&binary, BrokerConfig { dir: dir.to_owned(), listen: None, tls: None }).await
}

async fn connect(broker: &Broker, dir: &TempDir) -> jetstream::Context {
    let keys = Keys::open_or_create(dir.path()).unwrap();
    let seed = fs::read_to_string(keys.service_seed_path()).unwrap();
    let options = ConnectOptions::with_nkey(seed.trim().to_owned());
    jetstream::new(options.connect(broker.url()).await.unwrap())
}

#[tokio::test]
async fn acknowledged_messages_survive_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    let mut broker = start(dir.path()).await.unwrap();
    let js = connect(&broker, &dir).await;
    streams::ensure(&js, PartitionCount::new(1).unwrap(), 1).await.unwrap();
    js.publish("tidemap.v1.sample.44.a", "report".into()).await.unwrap().await.unwrap();

    let (pid, url) = (broker.pid(), broker.url());
    broker.kill().await.unwrap();
    assert_eq!(broker.pid(), None);
    assert!(!broker.wait_exit().await.unwrap().success());
    broker.restart().await.unwrap();
    assert_eq!(broker.url(), url);
    assert_ne!(broker.pid(), pid);

    let stream = connect(&broker, &dir).await.get_stream("TIDEMAP_0").await.unwrap();
    assert_eq!(stream.cached_info().state.messages, 1);
}

#[tokio::test]
async fn opening_a_bucket_waits_for_it_but_not_for_what_cannot_be() {
    let dir = tempfile::tempdir().unwrap();
    let broker = start(dir.path()).await.unwrap();
    let js = connect(&broker, &dir).await;
    let refused = timeout(Duration::from_secs(60), streams::open_bucket(&js, "no name")).await.unwrap();
    assert!(refused.unwrap_err().to_string().contains("no name"));
    let (opened, ()) = tokio::join!(streams::open_bucket(&js, streams::LEASES), async {
        // Each answers in order, so the bucket was asked for at least once by now.
        js.get_stream("nothing").await.unwrap_err();
        streams::ensure(&js, PartitionCount::new(1).unwrap(), 1).await.unwrap();
    });
    opened.unwrap().put("key", "value".into()).await.unwrap();
}

#[tokio::test]
async fn a_restarted_broker_has_the_same_address() {
    let dir = tempfile::tempdir().unwrap();
    let binary = tidemap_broker::locate(&tidemap_broker::default_tools_dir()).unwrap();
    let listen = Some((std::net::Ipv4Addr::UNSPECIFIED, 0).into());
    let mut broker =
        Broker::start(&binary, BrokerConfig { dir: dir.path().to_owned(), listen, tls: None }).await.unwrap();
    // An address that only a listener on all addresses answers, and that is no other host's.
    let elsewhere = ("127.0.0.2", broker.address().port());
    tokio::net::TcpStream::connect(elsewhere).await.unwrap();
    broker.restart().await.unwrap();
    tokio::net::TcpStream::connect(elsewhere).await.unwrap();
}

#[tokio::test]
async fn a_stopped_broker_no_longer_listens() {
    let dir = tempfile::tempdir().unwrap();
    let mut broker = start(dir.path()).await.unwrap();
    let address = broker.address();
    broker.stop().await.unwrap();
    assert_eq!(broker.pid(), None);
    TcpListener::bind(address).unwrap();
    assert_eq!(tidemap_broker::reload_running(dir.path()).await.unwrap(), Reload::NotRunning);
}

#[tokio::test]
async fn a_folder_has_one_broker() {
    let dir = tempfile::tempdir().unwrap();
    let first = start(dir.path()).await.unwrap();
    let second = start(dir.path()).await.unwrap_err();
    assert!(matches!(second, BrokerError::DataDir(DataDirError::Held { .. })), "{second}");
    assert!(first.pid().is_some());
}

#[tokio::test]
async fn a_taken_port_is_reported_in_one_line() {
    let dir = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = Some(taken.local_addr().unwrap());
    let binary = tidemap_broker::locate(&tidemap_broker::default_tools_dir()).unwrap();
    let refused = Broker::start(&binary, BrokerConfig { dir: dir.path().to_owned(), listen, tls: None })
        .await
        .unwrap_err();
    let error = refused.to_string();
    assert!(error.contains("address already in use") && error.lines().count() == 1, "{error}");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_broker_that_a_killed_tidemap_left_behind_is_replaced() {
    let dir = tempfile::tempdir().unwrap();
    start(dir.path()).await.unwrap().stop().await.unwrap();
    // A `tidemap up` that was killed leaves this: its child runs, and the folder is not locked.
    let folder = dir.path().canonicalize().unwrap();
    let mut command = Command::new(tidemap_broker::locate(&tidemap_broker::default_tools_dir()).unwrap());
    command.arg("-c").arg(folder.join("broker.conf")).arg("-P").arg(folder.join("nats-server.pid"));
    command.args(["-a", "127.0.0.1", "-p", "-1"]).stderr(Stdio::null());
    let mut orphan = command.spawn().unwrap();
    let pid = orphan.id().to_string();
    let written = async {
        while fs::read_to_string(folder.join("nats-server.pid")).ok().as_ref() != Some(&pid) {
            tokio::task::yield_now().await;
        }
    };
    timeout(Duration::from_secs(60), written).await.expect("it writes its number down");

    // The orphan is this test's child, so its process disappears only once this test has waited for it.
    let reaped = tokio::task::spawn_blocking(move || orphan.wait().unwrap());
    let broker = start(dir.path()).await.unwrap();
    assert!(broker.pid().is_some());
    timeout(Duration::from_secs(60), reaped).await.unwrap().unwrap();
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_broker_of_a_service_manager_is_reloaded_but_never_stopped() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().canonicalize().unwrap();
    Keys::open_or_create(&folder).unwrap();
    fs::write(folder.join("nats.conf"), include_str!("../../../nats.conf")).unwrap();
    let log = folder.join("stderr");
    let mut command = Command::new(tidemap_broker::locate(&tidemap_broker::default_tools_dir()).unwrap());
    // As deploy/systemd/tidemap-nats.service starts it.
    command.arg("-c").arg(folder.join("nats.conf")).arg("-sd").arg(&folder);
    command.arg("-P").arg(folder.join("nats-server.pid")).args(["-a", "127.0.0.1", "-p", "-1"]);
    let mut theirs = command.stderr(fs::File::create(&log).unwrap()).spawn().unwrap();
    let logged = async |words: &str| {
        let said = async {
            while !fs::read_to_string(&log).unwrap().contains(words) {
                tokio::task::yield_now().await;
            }
        };
        timeout(Duration::from_secs(60), said).await.expect(words);
    };
    logged("Server is ready").await;
    let reload = tidemap_broker::reload_running(&folder).await.unwrap();
    logged("Reloaded server configuration").await;
    let ours = start(&folder).await;
    let ended = theirs.try_wait().unwrap();
    theirs.kill().unwrap();
    theirs.wait().unwrap();
    assert_eq!(reload, Reload::Unconfirmed, "its log is the service manager's");
    assert!(ended.is_none(), "it is not ours to stop: {ended:?}, {ours:?}");
}

#[tokio::test]
async fn a_certificate_that_is_replaced_is_shown_after_a_reload() {
    let dir = tempfile::tempdir().unwrap();
    let names = ["127.0.0.1".to_owned()];
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let make = || Certificates::open_or_create(dir.path(), &names, now).unwrap();
    let made = make();
    let binary = tidemap_broker::locate(&tidemap_broker::default_tools_dir()).unwrap();
    let config = BrokerConfig { dir: dir.path().to_owned(), listen: None, tls: Some(made.clone()) };
    let broker = Broker::start(&binary, config).await.unwrap();
    let shows = async || {
        let (port, made) = (broker.address().port(), made.clone());
        let look = move || tls::shows("127.0.0.1", port, made.authority.as_deref(), &made.certificate);
        tokio::task::spawn_blocking(look).await.unwrap()
    };
    assert_eq!(shows().await, Ok(true));
    let before = broker.certificate_changed();
    fs::remove_file(&made.certificate).unwrap();
    make();
    assert_eq!(shows().await, Ok(false));
    assert_ne!(broker.certificate_changed(), before);
    broker.reload().unwrap();
    let loaded = async {
        while shows().await != Ok(true) {
            tokio::task::yield_now().await;
        }
    };
    timeout(Duration::from_secs(60), loaded).await.unwrap();
}
