//! What a bare client and the same broker reach with messages of a report's size, without any part of
//! Tidemap.

use std::time::Duration;

use anyhow::{Context, ensure};
use async_nats::{
    Client, Subject,
    jetstream::{
        self,
        consumer::{AckPolicy, pull},
        stream,
    },
};
use bytes::Bytes;
use futures_util::{StreamExt, future::join_all};
use tidemap_service::nats::NatsArgs;
use tidemap_testkit::broker::TestBroker;
use tidemap_wire::{NodeId, subject};
use tokio::time::{Instant, sleep};

/// As large as an ordinary report.
const PAYLOAD: Bytes = Bytes::from_static(&[b'x'; 200]);
/// Publishes whose acknowledgements are awaited together.
const IN_FLIGHT: u64 = 2_000;
/// The number of subjects, comparable to a number of nodes.
const SUBJECTS: u64 = 1_000;
/// For a client to read all messages.
const READ_TIMEOUT: Duration = Duration::from_secs(120);
/// A stream that has stored nothing for this long has finished.
const QUIET: Duration = Duration::from_secs(2);
const LOOK: Duration = Duration::from_millis(20);

/// Messages per second.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) publish: f64,
    pub(crate) publish_and_subscribe: f64,
    pub(crate) capture: f64,
    pub(crate) capture_by_import: f64,
    pub(crate) acknowledged: f64,
    pub(crate) acknowledged_by_import: f64,
    pub(crate) drain: f64,
}

/// Measures with an otherwise idle broker.
pub(crate) async fn measure(messages: u64) -> anyhow::Result<Limits> {
    let broker = TestBroker::start().await?;
    let client = broker.connect().await?;
    let js = jetstream::new(client.clone());
    for (name, subjects) in [("CAPTURE", "tidemap.v1.captured.*"), ("SAMPLES", subject::ALL_SAMPLES)] {
        let config = stream::Config {
            name: name.to_owned(),
            subjects: vec![subjects.to_owned()],
            ..stream::Config::default()
        };
        js.create_stream(config).await?;
    }
    let publish = publish(&client, &subjects("tidemap.v1.nobody"), messages).await?;
    let publish_and_subscribe = publish_and_subscribe(&broker, &client, messages).await?;
    let captured = subjects("tidemap.v1.captured");
    let capture = capture(&js, "CAPTURE", (&client, &captured), messages).await?;
    let drain = drain(&js, messages).await?;
    let acknowledged = acknowledged_by(&js, messages / 5, &captured).await?;
    let key = broker.keys.simulator_seed_path();
    let agent = NatsArgs::new(&broker.url, Some(&key)).connect("bench", Some("_INBOX.simulator")).await?;
    let nodes: Vec<String> = (0..SUBJECTS)
        .map(|number| Ok(subject::sample(&NodeId::from_name(&format!("node-{number}"))?)))
        .collect::<anyhow::Result<_>>()?;
    let capture_by_import = self::capture(&js, "SAMPLES", (&agent, &nodes), messages / 2).await?;
    let acknowledged_by_import = acknowledged_by(&jetstream::new(agent), messages / 10, &nodes).await?;
    Ok(Limits {
        publish,
        publish_and_subscribe,
        capture,
        capture_by_import,
        acknowledged,
        acknowledged_by_import,
        drain,
    })
}

fn subjects(prefix: &str) -> Vec<String> {
    (0..SUBJECTS).map(|number| format!("{prefix}.{number}")).collect()
}

async fn publish(client: &Client, subjects: &[String], messages: u64) -> anyhow::Result<f64> {
    let subjects: Vec<Subject> = subjects.iter().map(|subject| subject.as_str().into()).collect();
    let begun = Instant::now();
    for subject in subjects.iter().cycle().take(usize::try_from(messages)?) {
        client.publish(subject.clone(), PAYLOAD).await?;
    }
    client.flush().await?;
    Ok(messages as f64 / begun.elapsed().as_secs_f64())
}

async fn publish_and_subscribe(broker: &TestBroker, client: &Client, messages: u64) -> anyhow::Result<f64> {
    let reader = broker.connect().await?;
    let mut subscriber = reader.subscribe("tidemap.v1.somebody.*").await?;
    reader.flush().await?;
    let begun = Instant::now();
    let reading = tokio::spawn(async move {
        for _ in 0..messages {
            subscriber.next().await.context("the connection was closed")?;
        }
        anyhow::Ok(())
    });
    publish(client, &subjects("tidemap.v1.somebody"), messages).await?;
    // A client that is too slow loses messages, which also counts as a limit.
    tokio::time::timeout(READ_TIMEOUT, reading).await.context("messages were lost")???;
    Ok(messages as f64 / begun.elapsed().as_secs_f64())
}

/// Waits until the stream stores no more messages. A server that gets more than it can store drops the rest
/// without notice; the messages stored by then count.
async fn capture(
    js: &jetstream::Context,
    stream: &str,
    (client, subjects): (&Client, &[String]),
    messages: u64,
) -> anyhow::Result<f64> {
    let begun = Instant::now();
    publish(client, subjects, messages).await?;
    let (mut stored, mut since) = (0, Instant::now());
    while stored < messages && since.elapsed() < QUIET {
        let now = js.get_stream(stream).await?.cached_info().state.messages;
        if now > stored {
            (stored, since) = (now, Instant::now());
        }
        sleep(LOOK).await;
    }
    ensure!(stored > 0, "{stream} holds nothing");
    Ok(stored as f64 / (since - begun).as_secs_f64())
}

async fn drain(js: &jetstream::Context, messages: u64) -> anyhow::Result<f64> {
    let config =
        pull::Config { ack_policy: AckPolicy::None, memory_storage: true, ..pull::Config::default() };
    let begun = Instant::now();
    let consumer = js.get_stream("CAPTURE").await?.create_consumer(config).await?;
    let mut delivered = consumer.stream().max_messages_per_batch(16_384).messages().await?;
    for _ in 0..messages {
        delivered.next().await.context("the consumer has ended")??;
    }
    Ok(messages as f64 / begun.elapsed().as_secs_f64())
}

async fn acknowledged_by(js: &jetstream::Context, messages: u64, subjects: &[String]) -> anyhow::Result<f64> {
    let begun = Instant::now();
    for first in (0..messages).step_by(usize::try_from(IN_FLIGHT)?) {
        let mut answers = Vec::new();
        for number in first..(first + IN_FLIGHT).min(messages) {
            let subject = subjects[usize::try_from(number)? % subjects.len()].clone();
            answers.push(js.publish(subject, PAYLOAD).await?.into_future());
        }
        join_all(answers).await.into_iter().collect::<Result<Vec<_>, _>>()?;
    }
    Ok(messages as f64 / begun.elapsed().as_secs_f64())
}
