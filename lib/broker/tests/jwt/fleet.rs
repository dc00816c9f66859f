//! Brokers that trust an operator, and their users.

use std::{
    fs::{self, File},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Stdio,
};

use async_nats::{Client, ConnectOptions, Event, jetstream};
use tempfile::TempDir;
use tidemap_broker::jwt::{self, EnrollKey, Operator};
use tidemap_service::streams;
use tidemap_wire::PartitionCount;
use tokio::{
    process::{Child, Command},
    sync::mpsc,
    time::timeout,
};

pub(crate) use crate::{
    user::{User, node},
    wait::{TEST_TIMEOUT, eventually},
};

/// A nats-server with the operator's configuration, killed on drop.
pub(crate) struct Broker {
    child: Child,
    dir: TempDir,
    configuration: PathBuf,
    more: Vec<String>,
    pub(crate) address: SocketAddr,
}

/// A broker, its operator, and the streams of an empty fleet.
pub(crate) struct Fleet {
    pub(crate) broker: Broker,
    pub(crate) operator: Operator,
    pub(crate) service: Client,
    pub(crate) dir: TempDir,
}

impl Broker {
    pub(crate) async fn start(configuration: &Path, more: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let more = more.iter().map(ToString::to_string).collect();
        // It starts with a copy of the files, as on another host.
        let copy = dir.path().join("nats.conf");
        fs::copy(configuration, &copy).unwrap();
        let (child, address) = spawn(dir.path(), &copy, &more, -1).await;
        Self { child, dir, configuration: copy, more, address }
    }

    pub(crate) async fn stop(&mut self) {
        self.child.kill().await.unwrap();
    }

    /// Starts it again with its data and its first configuration.
    pub(crate) async fn start_again(&mut self) {
        let port = i32::from(self.address.port());
        (self.child, self.address) = spawn(self.dir.path(), &self.configuration, &self.more, port).await;
    }

    /// From its next start on, its streams may take this many MiB.
    pub(crate) fn set_storage(&self, storage_mib: u32) {
        let mut text = fs::read_to_string(&self.configuration).unwrap();
        text += &format!("jetstream {{ max_file_store: {storage_mib}MB }}\n");
        fs::write(&self.configuration, text).unwrap();
    }

    pub(crate) fn url(&self) -> String {
        format!("nats://{}", self.address)
    }
}

async fn spawn(dir: &Path, configuration: &Path, more: &Vec<String>, port: i32) -> (Child, SocketAddr) {
    let ports = dir.join("ports");
    fs::remove_dir_all(&ports).ok();
    fs::create_dir(&ports).unwrap();
    let mut child = Command::new(tidemap_broker::locate(&tidemap_broker::default_tools_dir()).unwrap())
        .arg("-c")
        .arg(configuration)
        .args(["-a", "127.0.0.1", "-p", &port.to_string(), "-sd", ".", "--ports_file_dir", "ports"])
        .args(more)
        .current_dir(dir)
        .stdout(Stdio::null())
        .stderr(File::create(dir.join("log")).unwrap())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let log = || fs::read_to_string(dir.join("log")).unwrap();
    let address = eventually(async || {
        // One that has ended will never listen.
        assert!(child.try_wait().unwrap().is_none(), "{}", log());
        listening(&ports).ok_or_else(log)
    })
    .await;
    (child, address)
}

fn listening(ports: &Path) -> Option<SocketAddr> {
    let file = fs::read_dir(ports).ok()?.next()?.ok()?.path();
    let ports: serde_json::Value = serde_json::from_slice(&fs::read(file).ok()?).ok()?;
    ports["nats"][0].as_str()?.strip_prefix("nats://")?.parse().ok()
}

impl Fleet {
    pub(crate) async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let operator = Operator::open_or_create(dir.path(), EnrollKey::Keep, now_s()).unwrap();
        let broker = Broker::start(&operator.configuration_path(), &[]).await;
        let service = User::connect(&broker, &operator.service_creds_path(), "_INBOX").await.client;
        streams::ensure(&jetstream::new(service.clone()), PartitionCount::default(), 1).await.unwrap();
        Self { broker, operator, service, dir }
    }

    /// The same with streams that may take so many MiB in all.
    pub(crate) async fn start_with_storage(storage_mib: u32) -> Self {
        let mut fleet = Self::start().await;
        fleet.broker.stop().await;
        fleet.broker.set_storage(storage_mib);
        fleet.broker.start_again().await;
        fleet.service =
            User::connect(&fleet.broker, &fleet.operator.service_creds_path(), "_INBOX").await.client;
        fleet
    }

    /// Enrolls a node and connects as its agent. The broker is not informed before the agent connects.
    pub(crate) async fn agent(&self, name: &str) -> User {
        let enrolled = self.operator.enroll(&node(name), now_s()).unwrap();
        User::connect(&self.broker, &enrolled.creds_path, &format!("_INBOX.{}", node(name))).await
    }

    /// Pushes the signed tokens to all brokers; returns how many there are.
    pub(crate) async fn push(&self) -> usize {
        let sys = User::connect(&self.broker, &self.operator.sys_creds_path(), "_INBOX").await.client;
        jwt::push(&sys, &self.operator.accounts_tokens().unwrap()).await.unwrap()
    }

    /// How many reports the log holds.
    pub(crate) async fn logged(&self) -> u64 {
        let js = jetstream::new(self.service.clone());
        let mut logged = 0;
        for partition in 0..PartitionCount::default().get() {
            let mut stream = js.get_stream(format!("TIDEMAP_{partition}")).await.unwrap();
            logged += stream.info().await.unwrap().state.messages;
        }
        logged
    }
}

impl User {
    pub(crate) async fn connect(broker: &Broker, creds: &Path, inbox: &str) -> Self {
        Self::connect_with(broker, &fs::read_to_string(creds).unwrap(), inbox).await
    }

    pub(crate) async fn connect_with(broker: &Broker, creds: &str, inbox: &str) -> Self {
        // Otherwise the client would reconnect to other brokers of the cluster, too.
        let options = ConnectOptions::with_credentials(creds).unwrap().ignore_discovered_servers();
        Self::connect_by(options, broker.url(), inbox).await
    }

    /// Waits until the connection has ended and another attempt has been refused.
    pub(crate) async fn shut_out(&mut self) {
        self.until(|event| matches!(event, Event::Disconnected)).await;
        // The client reports a refused reconnect in these words only.
        self.until(|event| event.to_string().contains("authorization violation")).await;
    }

    /// Whether anything has happened to the connection since it was made.
    pub(crate) fn disturbed(&mut self) -> Option<Event> {
        self.events.try_recv().ok()
    }
}

/// Asserts that the broker refuses these credentials.
pub(crate) async fn nobody(broker: &Broker, creds: &str) {
    let (sender, mut events) = mpsc::channel(64);
    let options = ConnectOptions::with_credentials(creds).unwrap().event_callback(move |event| {
        let sender = sender.clone();
        async move { drop(sender.send(event).await) }
    });
    match options.connect(broker.url()).await {
        Err(refused) => {
            assert_eq!(refused.kind(), async_nats::ConnectErrorKind::AuthorizationViolation, "{refused}");
        }
        // The client may take a busy broker's first message, such as a ping, for a success; the refusal
        // follows.
        Ok(_client) => {
            let refused = async {
                while !events.recv().await.unwrap().to_string().contains("authorization violation") {}
            };
            timeout(TEST_TIMEOUT, refused).await.expect("nobody is let in");
        }
    }
}

pub(crate) fn now_s() -> i64 {
    tidemap_service::clock::unix_ms() / 1000
}
