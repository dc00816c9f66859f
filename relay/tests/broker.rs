//! A relay between two real nats-servers.
#![expect(clippy::unwrap_used, reason = "a failing test panics, its helpers too")]

use std::{collections::HashSet, path::Path, time::Duration};

use anyhow::ensure;
use async_nats::{
    Client, Message, Subscriber,
    jetstream::{self, publish::PublishAck, response::Response},
};
use bytes::Bytes;
use futures_util::StreamExt;
use tidemap_broker::keys::{self, RelaySide};
use tidemap_relay::RelayConfig;
use tidemap_service::{nats::NatsArgs, streams};
use tidemap_testkit::{broker::TestBroker, eventually, undisturbed, within};
use tidemap_wire::{NodeId, Pack, PartitionCount, Report, Sample, decode, encode, subject};
use tokio::{task::JoinHandle, time::interval};
use tokio_util::sync::CancellationToken;

/// Much more than any step here takes.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A server on either side of the relay.
struct Server(TestBroker);

/// A relay in this process, its two servers, and a client that may publish as every node.
struct Scene {
    local: Server,
    central: Server,
    agents: Client,
    answers: Subscriber,
    relay: JoinHandle<anyhow::Result<()>>,
    stop: CancellationToken,
}

impl Server {
    async fn start() -> Self {
        Self(TestBroker::start().await.unwrap())
    }

    fn access(&self, key: &Path) -> NatsArgs {
        NatsArgs::new(&self.0.url, Some(key))
    }

    /// The relay's configuration.
    fn enroll(&self, side: RelaySide) -> NatsArgs {
        let enrolled = keys::enroll_relay(self.0.folder(), &id("edge"), side).unwrap();
        self.0.server.reload().unwrap();
        self.access(&enrolled.seed_path)
    }

    async fn js(&self) -> jetstream::Context {
        tidemap_testkit::broker::jetstream(self.0.connect().await.unwrap())
    }

    /// Makes the streams, as an ingest worker would.
    async fn make_streams(&self) {
        streams::ensure(&self.js().await, PartitionCount::new(1).unwrap(), 1).await.unwrap();
    }

    /// How many reports the log holds.
    async fn packed(&self) -> usize {
        let reports = |payload: &Bytes| decode::<Pack<'_>>(payload).unwrap().reports().count();
        self.logged().await.iter().map(|(_, payload)| reports(payload)).sum()
    }

    /// All messages that the log holds.
    async fn logged(&self) -> Vec<(String, Bytes)> {
        let stream = self.js().await.get_stream("TIDEMAP_0").await.unwrap();
        let last = stream.cached_info().state.last_sequence;
        let mut messages = Vec::new();
        for sequence in 1..=last {
            let message = stream.get_raw_message(sequence).await.unwrap();
            messages.push((message.subject.to_string(), message.payload));
        }
        messages
    }
}

impl Scene {
    async fn start() -> Self {
        let (local, central) = (Server::start().await, Server::start().await);
        let config = RelayConfig { relay: id("edge"), local: local.enroll(RelaySide::Reports) };
        let far = central.enroll(RelaySide::Packs);
        let stop = CancellationToken::new();
        let shutdown = stop.clone();
        let relay = tokio::spawn(async move { tidemap_relay::run(config, &far, shutdown).await });
        let agents = local.access(&local.0.keys.simulator_seed_path());
        let agents = agents.connect("agents", Some("_INBOX.simulator")).await.unwrap();
        let answers = agents.subscribe("_INBOX.simulator.>").await.unwrap();
        Self { local, central, agents, answers, relay, stop }
    }

    async fn publish(&self, subject: String, payload: Vec<u8>, number: usize) {
        let reply = format!("_INBOX.simulator.{number}");
        self.agents.publish_with_reply(subject, reply, payload.into()).await.unwrap();
    }

    /// The next answer to the publish of that number; others are passed over.
    async fn answer(&mut self, number: usize) -> Message {
        let found = async {
            loop {
                let answer = self.answers.next().await.unwrap();
                if answer.subject.ends_with(&format!(".{number}")) {
                    return answer;
                }
            }
        };
        within(TIMEOUT, found).await.unwrap()
    }

    /// Publishes again and again, as agents do, until the relay answers as wanted.
    async fn until(&mut self, node: &str, is_it: impl Fn(&str) -> bool) {
        let insisting = async {
            let mut pace = interval(Duration::from_millis(20));
            for number in 1_000.. {
                pace.tick().await;
                self.publish(subject::sample(&id(node)), encode(&report(node, 1)), number).await;
                // A relay that is not connected yet does not answer; the server then reports that there is no
                // subscriber.
                if is_it(&outcome(&self.answer(number).await)) {
                    return;
                }
            }
        };
        within(TIMEOUT, insisting).await.unwrap();
    }

    async fn end(self) {
        self.stop.cancel();
        within(TIMEOUT, self.relay).await.unwrap().unwrap().unwrap();
    }
}

fn id(name: &str) -> NodeId {
    NodeId::from_name(name).unwrap()
}

fn report(node: &str, seq: u64) -> Report {
    let sample = Sample { seq, at_ms: 1, elapsed_ms: 1_000, ..Sample::default() };
    Report { node: id(node), boot: 1, hello: None, samples: vec![sample] }
}

/// `stored`, or the reason why the report was not stored.
fn outcome(answer: &Message) -> String {
    match serde_json::from_slice::<Response<PublishAck>>(&answer.payload) {
        Ok(Response::Ok(ack)) => {
            assert!(ack.stream == "TIDEMAP_0" && ack.sequence > 0);
            "stored".to_owned()
        }
        Ok(Response::Err { error }) => error.to_string(),
        Err(_) => format!("{:?}", answer.status),
    }
}

#[tokio::test]
async fn each_report_is_acknowledged_once_and_is_in_one_pack_byte_for_byte() {
    // A broker that stands still for seconds gets packs again that it has stored.
    undisturbed(acknowledges_each_once).await.unwrap();
}

async fn acknowledges_each_once() -> anyhow::Result<()> {
    let mut scene = Scene::start().await;
    scene.until("web-01", |outcome| outcome.contains("no stream takes it")).await;
    scene.central.make_streams().await;
    scene.until("web-01", |outcome| outcome == "stored").await;
    let before = scene.central.logged().await.len();
    let names: Vec<String> = (0..500).map(|number| format!("node-{}", number % 5)).collect();
    let reports: Vec<Vec<u8>> = names.iter().zip(1..).map(|(name, seq)| encode(&report(name, seq))).collect();
    for (number, (name, payload)) in names.iter().zip(&reports).enumerate() {
        scene.publish(subject::sample(&id(name)), payload.clone(), number).await;
    }
    let mut answered = vec![0; names.len()];
    while answered.contains(&0) {
        let answer = within(TIMEOUT, scene.answers.next()).await.unwrap().unwrap();
        ensure!(outcome(&answer) == "stored", "{}", outcome(&answer));
        if let Some(number) =
            answer.subject.rsplit('.').next().unwrap().parse::<usize>().ok().filter(|n| *n < 500)
        {
            answered[number] += 1;
        }
    }
    ensure!(answered.iter().all(|times| *times == 1), "{answered:?}");
    let logged = scene.central.logged().await.split_off(before);
    assert!(logged.len() < names.len(), "{} messages", logged.len());
    let mut packed: Vec<Vec<u8>> = Vec::new();
    for (subject, payload) in &logged {
        let pack: Pack<'_> = decode(payload).unwrap();
        for report in pack.reports() {
            let read: Report = decode(report).unwrap();
            assert_eq!(*subject, subject::pack(tidemap_wire::Slot::of(&read.node), &id("edge")));
            packed.push(report.to_vec());
        }
    }
    packed.sort();
    let mut wanted = reports;
    wanted.sort();
    ensure!(packed == wanted, "{} reports are in packs, not {}", packed.len(), wanted.len());
    scene.end().await;
    Ok(())
}

#[tokio::test]
async fn a_report_of_another_node_is_refused_and_only_inboxes_are_answered() {
    undisturbed(refuses_reports_of_others).await.unwrap();
}

async fn refuses_reports_of_others() -> anyhow::Result<()> {
    let mut scene = Scene::start().await;
    scene.central.make_streams().await;
    scene.until("web-01", |outcome| outcome == "stored").await;
    let before = scene.central.packed().await;
    let subject = subject::sample(&id("a"));
    scene.publish(subject.clone(), encode(&report("victim", 1)), 1).await;
    assert!(outcome(&scene.answer(1).await).contains("names another node"));
    scene.publish(subject.clone(), b"\xc1".to_vec(), 2).await;
    assert!(outcome(&scene.answer(2).await).contains("no report"));
    scene.publish(subject.clone(), encode(&("node", "a", vec![0_u8; Pack::MAX_BYTES])), 3).await;
    assert!(outcome(&scene.answer(3).await).contains("no report"));
    // The relay has no permission to publish there, and does not try; its next messages still arrive.
    let victim = subject::sample(&id("victim"));
    scene.agents.publish_with_reply(subject.clone(), victim, encode(&report("a", 1)).into()).await.unwrap();
    scene.publish(subject, encode(&report("a", 2)), 4).await;
    let last = outcome(&scene.answer(4).await);
    ensure!(last == "stored", "{last}");
    let log = std::fs::read_to_string(scene.local.0.folder().join("nats-server.log")).unwrap();
    assert!(!log.contains("Publish Violation"), "{log}");
    let more = scene.central.packed().await - before;
    ensure!(more == 2, "{more} are stored");
    scene.end().await;
    Ok(())
}

#[tokio::test]
async fn packs_that_a_broker_lost_are_replayed() {
    let mut scene = Scene::start().await;
    scene.central.make_streams().await;
    scene.until("web-01", |outcome| outcome == "stored").await;
    scene.until("a", |outcome| outcome == "stored").await;
    scene.central.0.lose_disk().await.unwrap();
    scene.central.make_streams().await;
    let of_a = subject::pack(tidemap_wire::Slot::of(&id("a")), &id("edge"));
    eventually(TIMEOUT, || async {
        let logged = scene.central.logged().await;
        ensure!(logged.iter().any(|(subject, _)| *subject == of_a), "{} messages without it", logged.len());
        Ok(())
    })
    .await
    .unwrap();
    scene.end().await;
}

#[tokio::test]
async fn a_stopping_relay_acknowledges_everything_stored() {
    let mut scene = Scene::start().await;
    scene.central.make_streams().await;
    scene.until("web-01", |outcome| outcome == "stored").await;
    let before = scene.central.packed().await;
    for number in 0..200 {
        let node = format!("n{number}");
        scene.publish(subject::sample(&id(&node)), encode(&report(&node, 1)), number).await;
    }
    // A stored report proves that the relay has received at least some of them.
    scene.answer(0).await;
    scene.stop.cancel();
    let Scene { relay, mut answers, central, local: _local, .. } = scene;
    within(TIMEOUT, relay).await.unwrap().unwrap().unwrap();
    let stored = central.packed().await - before;
    let mut acknowledged = HashSet::from([0]);
    while acknowledged.len() < stored {
        let answer = within(TIMEOUT, answers.next()).await.unwrap().unwrap();
        let number: usize = answer.subject.rsplit('.').next().unwrap().parse().unwrap();
        if outcome(&answer) == "stored" && number < 200 {
            acknowledged.insert(number);
        }
    }
    println!("{stored} of 200 were stored before it left");
}
