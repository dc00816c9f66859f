//! The rights of other programs, the simulator and the services.

use async_nats::jetstream::{self, consumer};
use futures_util::StreamExt;
use tidemap_service::streams;
use tidemap_wire::subject;
use tokio::time::timeout;

use crate::fleet::{Fleet, TEST_TIMEOUT, User, node};

#[tokio::test]
async fn a_program_with_an_app_key_reads_everything_and_publishes_nothing() {
    let fleet = Fleet::start().await;
    let mut app = fleet.app().await;
    let mut samples = app.client.subscribe(subject::ALL_SAMPLES).await.unwrap();
    let mut deltas = app.client.subscribe(subject::ALL_DELTAS).await.unwrap();
    let mut stats = app.client.subscribe(subject::ALL_STATS).await.unwrap();
    let mut events = app.client.subscribe(subject::ALL_EVENTS).await.unwrap();
    let mut minutes = app.client.subscribe(subject::ALL_MINUTES).await.unwrap();
    let mut alerts = app.client.subscribe(subject::ALL_ALERTS).await.unwrap();
    let held = fleet.held().await;
    // The broker handles commands in order: once it has refused these, it has accepted the subscriptions.
    for forbidden in [
        "tidemap.v1.delta.3",
        "tidemap.v1.stats.3",
        "tidemap.v1.event.offline.a",
        "tidemap.v1.history.minutes.44.1.0",
        "tidemap.v1.alert.fired.offline",
        "tidemap.v1.rpc.snapshot.3",
        "tidemap.v1.rpc.forget.3",
        "tidemap.v1.rpc.history.forget",
        "tidemap.v1.rpc.enroll",
        "tidemap.v1.sample.44.a",
        "tidemap.v1.pack.44.edge",
        "$JS.API.INFO",
        "$JS.API.STREAM.INFO.TIDEMAP_4",
        "$JS.API.STREAM.PURGE.TIDEMAP_4",
        "$JS.API.CONSUMER.CREATE.TIDEMAP_4",
        "$JS.API.DIRECT.GET.TIDEMAP_4",
        "$KV.TIDEMAP_LEASES.p.0",
        "$SYS.REQ.USER.INFO",
        "$SRV.PING",
        "_INBOX.x",
    ] {
        app.publish(forbidden).await;
        let said = app.refused(&format!("publish to \"{forbidden}\"")).await;
        println!("app publishes {forbidden} → {said} → nothing");
    }
    for forbidden in [">", "_INBOX.>", "$JS.>", "$KV.>", "$SYS.>", "$SRV.>", "tidemap.>"] {
        let _subscription = app.client.subscribe(forbidden).await.unwrap();
        let said = app.refused(&format!("subscription to \"{forbidden}\"")).await;
        println!("app subscribes {forbidden} → {said} → nothing");
    }
    assert_eq!(fleet.held().await, held);
    // Enrolling reloads the broker; subscriptions of others go on.
    let agent = fleet.agent("a").await;
    agent.client.publish(subject::sample(&node("a")), "sample".into()).await.unwrap();
    for (subject, payload) in [
        ("tidemap.v1.delta.3", "delta"),
        ("tidemap.v1.stats.3", "stats"),
        ("tidemap.v1.event.joined.a", "event"),
        ("tidemap.v1.history.minutes.44.1.0", "minutes"),
        ("tidemap.v1.alert.fired.offline", "notice"),
    ] {
        fleet.service.publish(subject, payload.into()).await.unwrap();
    }
    for (subscription, payload) in [
        (&mut samples, "sample"),
        (&mut deltas, "delta"),
        (&mut stats, "stats"),
        (&mut events, "event"),
        (&mut minutes, "minutes"),
        (&mut alerts, "notice"),
    ] {
        let message = timeout(TEST_TIMEOUT, subscription.next()).await.unwrap().unwrap();
        assert_eq!(message.payload, payload.as_bytes());
    }
}

#[tokio::test]
async fn programs_do_not_receive_the_services_requests() {
    let fleet = Fleet::start().await;
    let mut app = fleet.app().await;
    let mut everything = app.client.subscribe("tidemap.v1.>").await.unwrap();
    app.round_trip().await;
    for subject in
        ["tidemap.v1.rpc.forget.3", "tidemap.v1.rpc.enroll", "tidemap.v1.other.3", "tidemap.v1.delta.3"]
    {
        fleet.service.publish(subject, "x".into()).await.unwrap();
    }
    let message = timeout(TEST_TIMEOUT, everything.next()).await.unwrap().unwrap();
    assert_eq!(message.subject.as_str(), "tidemap.v1.delta.3");
}

#[tokio::test]
async fn the_simulator_publishes_as_every_node() {
    let fleet = Fleet::start().await;
    let seed = fleet.keys.simulator_seed_path();
    let mut simulator = User::connect(&fleet.broker, &seed, "_INBOX.simulator").await;
    for name in ["a", "web-01", "node-1"] {
        simulator.report(name).await;
    }
    simulator.publish("tidemap.v1.delta.0").await;
    simulator.refused("publish to \"tidemap.v1.delta.0\"").await;
}

#[tokio::test]
async fn the_services_may_do_what_they_need() {
    let fleet = Fleet::start().await;
    let js = fleet.js();
    let leases = js.get_key_value(streams::LEASES).await.unwrap();
    let mut watch = leases.watch("p.0").await.unwrap();
    let revision = leases.create("p.0", "owner".into()).await.unwrap();
    leases.update("p.0", "owner".into(), revision).await.unwrap();
    let seen = timeout(TEST_TIMEOUT, watch.next()).await.unwrap().unwrap().unwrap();
    assert_eq!(&*seen.value, b"owner");

    js.publish(subject::sample(&node("a")), "x".into()).await.unwrap().await.unwrap();
    let stream = js.get_stream("TIDEMAP_4").await.unwrap();
    let config = consumer::pull::Config { ack_policy: consumer::AckPolicy::None, ..Default::default() };
    let mut messages = stream.create_consumer(config).await.unwrap().messages().await.unwrap();
    let message = timeout(TEST_TIMEOUT, messages.next()).await.unwrap().unwrap().unwrap();
    assert_eq!(&*message.payload, b"x");
}

#[tokio::test]
async fn not_even_the_services_can_delete_from_the_log() {
    let fleet = Fleet::start().await;
    let js = fleet.js();
    js.publish(subject::sample(&node("a")), "x".into()).await.unwrap().await.unwrap();
    let stream: jetstream::stream::Stream = js.get_stream("TIDEMAP_4").await.unwrap();
    assert!(stream.purge().await.is_err());
    assert!(stream.delete_message(1).await.is_err());
    assert_eq!(fleet.logged().await, 1);
}
