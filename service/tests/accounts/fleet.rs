//! A real nats-server with the streams of an empty fleet, and users whose every word from the broker can be awaited.

use std::{collections::BTreeMap, path::Path, time::Duration};

use async_nats::{
    Client, ConnectOptions, Event, ServerError,
    jetstream::{self, stream},
};
use futures_util::TryStreamExt;
use tempfile::TempDir;
use tidemap_service::{
    broker::{self, Broker, BrokerConfig},
    keys::{self, Keys},
    streams,
};
use tidemap_wire::{NodeId, PartitionCount, subject};
use tokio::{sync::mpsc, time::timeout};

/// Far more than a healthy broker takes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// A broker with the streams of an empty fleet.
pub(crate) struct Fleet {
    pub(crate) broker: Broker,
    pub(crate) keys: Keys,
    pub(crate) service: Client,
    pub(crate) dir: TempDir,
}

/// A connection whose events can be awaited.
pub(crate) struct User {
    pub(crate) client: Client,
    events: mpsc::Receiver<Event>,
}

/// All that JetStream holds: for each stream its messages, its newest number and its consumers.
pub(crate) type Held = BTreeMap<String, (u64, u64, usize)>;

impl Fleet {
    pub(crate) async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let binary = broker::locate(&broker::default_tools_dir()).unwrap();
        let keys = Keys::open_or_create(dir.path()).unwrap();
        let config = BrokerConfig { dir: dir.path().to_owned(), listen: None, tls: None };
        let broker = Broker::start(&binary, config).await.unwrap();
        let service = User::connect(&broker, &keys.service_seed_path(), "_INBOX").await.client;
        streams::ensure(&jetstream::new(service.clone()), PartitionCount::default(), 1).await.unwrap();
        Self { broker, keys, service, dir }
    }

    pub(crate) async fn agent(&self, name: &str) -> User {
        let enrolled = keys::enroll(self.dir.path(), &node(name)).unwrap();
        self.broker.reload().unwrap();
        User::connect(&self.broker, &enrolled.seed_path, &format!("_INBOX.{}", node(name))).await
    }

    pub(crate) async fn app(&self) -> User {
        User::connect(&self.broker, &self.keys.app_seed_path(), "_INBOX").await
    }

    /// JetStream as the services may ask it.
    pub(crate) fn js(&self) -> jetstream::Context {
        jetstream::new(self.service.clone())
    }

    /// All that JetStream holds, leases and checkpoints included.
    pub(crate) async fn held(&self) -> Held {
        let infos: Vec<stream::Info> = self.js().streams().try_collect().await.unwrap();
        let held = |info: stream::Info| {
            let state = info.state;
            (info.config.name, (state.messages, state.last_sequence, state.consumer_count))
        };
        infos.into_iter().map(held).collect()
    }

    /// How many reports the logs hold.
    pub(crate) async fn logged(&self) -> u64 {
        self.held().await.iter().filter(|(name, _)| !name.starts_with("KV_")).map(|(_, held)| held.0).sum()
    }

    /// What the broker has written into its log.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("nats-server.log")).unwrap()
    }

    /// Waits until everything that was sent before has been dealt with: an answer of each stream, twice, comes after it.
    pub(crate) async fn settle(&self) {
        for _ in 0..2 {
            self.held().await;
        }
    }
}

impl User {
    /// Connects, trying again while the broker still reads its users.
    pub(crate) async fn connect(broker: &Broker, seed: &Path, inbox: &str) -> Self {
        let seed = std::fs::read_to_string(seed).unwrap().trim().to_owned();
        let (sender, events) = mpsc::channel(64);
        let options = ConnectOptions::with_nkey(seed)
            .custom_inbox_prefix(inbox)
            .retry_on_initial_connect()
            .reconnect_delay_callback(|_| Duration::from_millis(20))
            .event_callback(move |event| {
                let sender = sender.clone();
                async move { drop(sender.send(event).await) }
            });
        let client = options.connect(broker.url()).await.unwrap();
        let mut user = Self { client, events };
        user.until(|event| matches!(event, Event::Connected)).await;
        user
    }

    pub(crate) async fn until(&mut self, is_it: impl Fn(&Event) -> bool) -> Event {
        let found = async {
            loop {
                let event = self.events.recv().await.expect("the client lives");
                if is_it(&event) {
                    return event;
                }
            }
        };
        timeout(PATIENCE, found).await.expect("the broker says so")
    }

    /// Waits for the broker's word that this user may not do what it tried, and returns it.
    pub(crate) async fn refused(&mut self, what: &str) -> String {
        let words = what.to_lowercase();
        let event = self
            .until(|event| match event {
                Event::ServerError(ServerError::Other(error)) => {
                    let error = error.to_lowercase();
                    error.contains("permissions violation") && error.contains(&words)
                }
                _ => false,
            })
            .await;
        event.to_string()
    }

    pub(crate) async fn publish(&self, subject: &str) {
        self.client.publish(subject.to_owned(), "x".into()).await.unwrap();
    }

    /// Returns once the broker has dealt with everything that this user has sent: it refuses in order.
    pub(crate) async fn round_trip(&mut self) {
        self.publish("nobody.may").await;
        self.refused("publish to \"nobody.may\"").await;
    }

    /// Sends a report of a node and waits until the log has it.
    pub(crate) async fn report(&self, name: &str) {
        let js = jetstream::new(self.client.clone());
        js.publish(subject::sample(&node(name)), "report".into()).await.unwrap().await.unwrap();
    }
}

pub(crate) fn node(name: &str) -> NodeId {
    NodeId::from_name(name).unwrap()
}
