//! A real nats-server with the streams of an empty fleet, and its users.

use std::{collections::BTreeMap, path::Path};

use async_nats::{
    Client, ConnectOptions,
    jetstream::{self, stream},
};
use futures_util::TryStreamExt;
use tempfile::TempDir;
use tidemap_broker::{
    Broker, BrokerConfig,
    keys::{self, Keys, RelaySide},
};
use tidemap_service::streams;
use tidemap_wire::{PartitionCount, subject};

pub(crate) use crate::{
    user::{User, node},
    wait::{TEST_TIMEOUT, eventually},
};

/// A broker with the streams of an empty fleet.
pub(crate) struct Fleet {
    pub(crate) broker: Broker,
    pub(crate) keys: Keys,
    pub(crate) service: Client,
    pub(crate) dir: TempDir,
}

/// All that JetStream holds: for each stream its messages, its newest number and its consumers.
pub(crate) type Held = BTreeMap<String, (u64, u64, usize)>;

impl Fleet {
    pub(crate) async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let binary = tidemap_broker::locate(&tidemap_broker::default_tools_dir()).unwrap();
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

    pub(crate) async fn relay(&self, name: &str, side: RelaySide) -> User {
        let enrolled = keys::enroll_relay(self.dir.path(), &node(name), side).unwrap();
        self.broker.reload().unwrap();
        User::connect(&self.broker, &enrolled.seed_path, &subject::relay_inbox(&node(name))).await
    }

    pub(crate) async fn app(&self) -> User {
        User::connect(&self.broker, &self.keys.app_seed_path(), "_INBOX").await
    }

    /// A JetStream context with the services' permissions.
    pub(crate) fn js(&self) -> jetstream::Context {
        jetstream::new(self.service.clone())
    }

    /// All that JetStream holds, leases and checkpoints included.
    pub(crate) async fn held(&self) -> Held {
        // While a broker reloads its configuration it answers nothing for a moment, and the error has several
        // forms ("no responders", "no stream found", "requested JetStream resource does not exist").
        let infos: Vec<stream::Info> = eventually(async || self.js().streams().try_collect().await).await;
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

    /// The broker's log.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("nats-server.log")).unwrap()
    }

    /// Waits until the broker has handled everything that was sent before: asks each stream twice, which is
    /// answered later.
    pub(crate) async fn settle(&self) {
        for _ in 0..2 {
            self.held().await;
        }
    }
}

impl User {
    pub(crate) async fn connect(broker: &Broker, seed: &Path, inbox: &str) -> Self {
        let seed = std::fs::read_to_string(seed).unwrap().trim().to_owned();
        Self::connect_by(ConnectOptions::with_nkey(seed), broker.url(), inbox).await
    }

    /// Returns once the broker has handled everything that this user has sent: it answers in order.
    pub(crate) async fn round_trip(&mut self) {
        self.publish("nobody.may").await;
        self.refused("publish to \"nobody.may\"").await;
    }

    /// Sends a report of a node and waits until the log has it, also while the broker reloads.
    pub(crate) async fn report(&self, name: &str) {
        let js = jetstream::new(self.client.clone());
        eventually(async || js.publish(subject::sample(&node(name)), "report".into()).await?.await).await;
    }
}
