//! What `nats.conf` lets each user do, asked of a real nats-server.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]

use std::{path::Path, time::Duration};

use async_nats::{
    Client, ConnectOptions, Event, HeaderMap, ServerError,
    jetstream::{self, consumer},
};
use futures_util::StreamExt;
use tempfile::TempDir;
use tidemap_service::{
    broker::{self, Broker, BrokerConfig},
    keys::{self, Keys},
    streams,
};
use tidemap_wire::{NodeId, PartitionCount, Slot, subject};
use tokio::{sync::mpsc, time::timeout};

/// Far more than a healthy broker takes.
const PATIENCE: Duration = Duration::from_secs(10);

/// A broker with the streams of an empty fleet.
struct Fleet {
    broker: Broker,
    keys: Keys,
    service: Client,
    dir: TempDir,
}

/// A connection whose events can be awaited.
struct User {
    client: Client,
    events: mpsc::Receiver<Event>,
}

impl Fleet {
    async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let binary = broker::locate(&broker::default_tools_dir()).unwrap();
        let keys = Keys::open_or_create(dir.path()).unwrap();
        let config = BrokerConfig { dir: dir.path().to_owned(), listen: None, tls: None };
        let broker = Broker::start(&binary, config).await.unwrap();
        let service = User::connect(&broker, &keys.service_seed_path(), "_INBOX").await.client;
        streams::ensure(&jetstream::new(service.clone()), PartitionCount::default(), 1).await.unwrap();
        Self { broker, keys, service, dir }
    }

    async fn agent(&self, name: &str) -> User {
        let enrolled = keys::enroll(self.dir.path(), &node(name)).unwrap();
        self.broker.reload().unwrap();
        User::connect(&self.broker, &enrolled.seed_path, &format!("_INBOX.{}", node(name))).await
    }

    async fn app(&self) -> User {
        User::connect(&self.broker, &self.keys.app_seed_path(), "_INBOX").await
    }

    /// How many reports the log of a node's partition holds.
    async fn logged(&self, node: &NodeId) -> u64 {
        let stream = streams::name(PartitionCount::default().of(Slot::of(node)));
        let js = jetstream::new(self.service.clone());
        js.get_stream(stream).await.unwrap().cached_info().state.messages
    }
}

impl User {
    /// Connects, trying again while the broker still reads its users.
    async fn connect(broker: &Broker, seed: &Path, inbox: &str) -> Self {
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

    async fn until(&mut self, is_it: impl Fn(&Event) -> bool) {
        let found = async { while !is_it(&self.events.recv().await.expect("the client lives")) {} };
        timeout(PATIENCE, found).await.expect("the broker says so");
    }

    /// Waits for the broker's word that this user may not do what it tried.
    async fn refused(&mut self, what: &str) {
        let words = what.to_lowercase();
        self.until(|event| match event {
            Event::ServerError(ServerError::Other(error)) => {
                let error = error.to_lowercase();
                error.contains("permissions violation") && error.contains(&words)
            }
            _ => false,
        })
        .await;
    }

    async fn publish(&self, subject: &str) {
        self.client.publish(subject.to_owned(), "x".into()).await.unwrap();
    }
}

fn node(name: &str) -> NodeId {
    NodeId::from_name(name).unwrap()
}

#[tokio::test]
async fn an_agents_report_reaches_the_log_and_the_ack_reaches_the_agent() {
    let fleet = Fleet::start().await;
    let agent = fleet.agent("web-01.example.com").await;
    let me = node("web-01.example.com");
    let js = jetstream::new(agent.client.clone());
    let ack = js.publish(subject::sample(&me), "report".into()).await.unwrap().await.unwrap();
    assert_eq!((ack.stream.as_str(), ack.sequence), ("TIDEMAP_4", 1));
    assert_eq!(fleet.logged(&me).await, 1);
}

#[tokio::test]
async fn an_agent_can_do_nothing_else() {
    let fleet = Fleet::start().await;
    let mut agent = fleet.agent("a").await;
    let (me, other) = (node("a"), node("web-01"));
    for subject in [
        subject::sample(&other),
        // Its own name in another slot.
        "tidemap.v1.sample.45.a".to_owned(),
        "tidemap.v1.delta.0".to_owned(),
        "tidemap.v1.rpc.forget.0".to_owned(),
        "$JS.API.STREAM.PURGE.TIDEMAP_4".to_owned(),
        "$JS.API.INFO".to_owned(),
        "_INBOX.web-01.x".to_owned(),
        "anything".to_owned(),
    ] {
        agent.publish(&subject).await;
        agent.refused(&format!("publish to \"{subject}\"")).await;
    }
    for subject in ["tidemap.v1.sample.>", "tidemap.v1.delta.*", "_INBOX.>", "_INBOX.web-01.>", ">"] {
        let _subscription = agent.client.subscribe(subject).await.unwrap();
        agent.refused(&format!("subscription to \"{subject}\"")).await;
    }
    assert_eq!((fleet.logged(&me).await, fleet.logged(&other).await), (0, 0));
}

#[tokio::test]
async fn an_agent_cannot_reach_the_log_through_reply_subjects_or_headers() {
    let fleet = Fleet::start().await;
    let agent = fleet.agent("a").await;
    let me = node("a");
    for reply in
        ["$JS.API.STREAM.PURGE.TIDEMAP_4", "$JS.API.STREAM.DELETE.TIDEMAP_4", "$KV.TIDEMAP_LEASES.p.4"]
    {
        agent.client.publish_with_reply(subject::sample(&me), reply, "x".into()).await.unwrap();
    }
    let mut rollup = HeaderMap::new();
    rollup.insert("Nats-Rollup", "all");
    agent.client.publish_with_headers(subject::sample(&me), rollup, "x".into()).await.unwrap();
    let js = jetstream::new(agent.client.clone());
    js.publish(subject::sample(&me), "x".into()).await.unwrap().await.unwrap();
    // The rollup is refused by the stream; all others are reports like any other.
    assert_eq!(fleet.logged(&me).await, 4);
    let leases = jetstream::new(fleet.service.clone()).get_key_value(streams::LEASES).await.unwrap();
    assert_eq!(leases.entry("p.4").await.unwrap(), None);
}

#[tokio::test]
async fn a_program_with_an_app_key_reads_everything_and_publishes_nothing() {
    let fleet = Fleet::start().await;
    let mut app = fleet.app().await;
    let mut samples = app.client.subscribe(subject::ALL_SAMPLES).await.unwrap();
    let mut deltas = app.client.subscribe(subject::ALL_DELTAS).await.unwrap();
    let mut stats = app.client.subscribe(subject::ALL_STATS).await.unwrap();
    let mut events = app.client.subscribe(subject::ALL_EVENTS).await.unwrap();
    // The broker answers in order: once it has refused these, it has taken the subscriptions.
    for forbidden in ["tidemap.v1.delta.3", "tidemap.v1.sample.44.a", "$JS.API.INFO", "_INBOX.x"] {
        app.publish(forbidden).await;
        app.refused(&format!("publish to \"{forbidden}\"")).await;
    }
    // Enrolling reloads the broker; subscriptions of others go on.
    let agent = fleet.agent("a").await;
    agent.client.publish(subject::sample(&node("a")), "sample".into()).await.unwrap();
    for (subject, payload) in [
        ("tidemap.v1.delta.3", "delta"),
        ("tidemap.v1.stats.3", "stats"),
        ("tidemap.v1.event.joined.a", "event"),
    ] {
        fleet.service.publish(subject, payload.into()).await.unwrap();
    }
    for (subscription, payload) in
        [(&mut samples, "sample"), (&mut deltas, "delta"), (&mut stats, "stats"), (&mut events, "event")]
    {
        let message = timeout(PATIENCE, subscription.next()).await.unwrap().unwrap();
        assert_eq!(message.payload, payload.as_bytes());
    }
}

#[tokio::test]
async fn the_simulator_publishes_as_every_node() {
    let fleet = Fleet::start().await;
    let seed = fleet.keys.simulator_seed_path();
    let mut simulator = User::connect(&fleet.broker, &seed, "_INBOX.simulator").await;
    let js = jetstream::new(simulator.client.clone());
    for name in ["a", "web-01", "node-1"] {
        js.publish(subject::sample(&node(name)), "x".into()).await.unwrap().await.unwrap();
    }
    simulator.publish("tidemap.v1.delta.0").await;
    simulator.refused("publish to \"tidemap.v1.delta.0\"").await;
}

#[tokio::test]
async fn the_services_may_do_what_they_need() {
    let fleet = Fleet::start().await;
    let js = jetstream::new(fleet.service.clone());
    let leases = js.get_key_value(streams::LEASES).await.unwrap();
    let mut watch = leases.watch("p.0").await.unwrap();
    let revision = leases.create("p.0", "owner".into()).await.unwrap();
    leases.update("p.0", "owner".into(), revision).await.unwrap();
    let seen = timeout(PATIENCE, watch.next()).await.unwrap().unwrap().unwrap();
    assert_eq!(&*seen.value, b"owner");

    js.publish(subject::sample(&node("a")), "x".into()).await.unwrap().await.unwrap();
    let stream = js.get_stream("TIDEMAP_4").await.unwrap();
    let config = consumer::pull::Config { ack_policy: consumer::AckPolicy::None, ..Default::default() };
    let mut messages = stream.create_consumer(config).await.unwrap().messages().await.unwrap();
    let message = timeout(PATIENCE, messages.next()).await.unwrap().unwrap().unwrap();
    assert_eq!(&*message.payload, b"x");
}

#[tokio::test]
async fn nobody_enters_without_a_key_that_is_known() {
    let fleet = Fleet::start().await;
    for options in [
        ConnectOptions::new(),
        ConnectOptions::with_nkey(nkeys::KeyPair::new_user().seed().unwrap()),
        ConnectOptions::with_user_and_password("admin".to_owned(), "admin".to_owned()),
    ] {
        let refused = options.connect(fleet.broker.url()).await.unwrap_err();
        assert_eq!(refused.kind(), async_nats::ConnectErrorKind::AuthorizationViolation);
    }
}

#[tokio::test]
async fn a_revoked_agent_is_cut_off() {
    let fleet = Fleet::start().await;
    let mut agent = fleet.agent("a").await;
    assert!(keys::revoke(fleet.dir.path(), &node("a")).unwrap());
    assert!(broker::reload_running(fleet.dir.path()).unwrap());
    agent.until(|event| matches!(event, Event::Disconnected)).await;
    // The client tells a refused reconnect with these words only.
    let refused = |event: &Event| event.to_string().contains("authorization violation");
    agent.until(refused).await;
}
