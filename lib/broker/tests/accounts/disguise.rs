//! Attempts with what an agent may publish: by the reply subject, by headers, and by the protocol itself.

use async_nats::{HeaderMap, Subscriber, jetstream};
use futures_util::{FutureExt, StreamExt};
use tidemap_broker::keys;
use tidemap_service::streams;
use tidemap_wire::subject;
use tokio::time::timeout;

use crate::{
    fleet::{Fleet, TEST_TIMEOUT, User, node},
    raw::RawClient,
};

/// All messages up to the last one, as `subject payload`.
async fn heard(subscriber: &mut Subscriber, last: &str) -> Vec<String> {
    let mut heard = Vec::new();
    loop {
        let message = timeout(TEST_TIMEOUT, subscriber.next()).await.unwrap().unwrap();
        let payload = String::from_utf8_lossy(&message.payload).into_owned();
        if payload == last {
            return heard;
        }
        heard.push(format!("{} {payload}", message.subject));
    }
}

#[tokio::test]
async fn acks_reach_no_subject_outside_the_agents_account() {
    let fleet = Fleet::start().await;
    let agent = fleet.agent("a").await;
    let mut victim = fleet.agent("web-01").await;
    // The victim's agent waits for its own acks, under a prefix that cannot be guessed.
    let mut acks = victim.client.subscribe(format!("{}.*", victim.client.new_inbox())).await.unwrap();
    victim.round_trip().await;
    let mut app = fleet.app().await;
    let mut programs = app.client.subscribe("tidemap.v1.>").await.unwrap();
    app.round_trip().await;
    let mut services = fleet.service.subscribe("tidemap.v1.>").await.unwrap();
    let leases = fleet.js().get_key_value(streams::LEASES).await.unwrap();
    let lease = leases.put("p.0", "owner".into()).await.unwrap();
    let (mine, theirs) = (subject::sample(&node("a")), subject::sample(&node("web-01")));
    for reply in [
        &*theirs,
        // Of its own partition, and its own subject again.
        &*subject::sample(&node("web-01.example.com")),
        &*mine,
        "tidemap.v1.delta.0",
        "tidemap.v1.rpc.forget.0",
        "tidemap.v1.rpc.enroll",
        "$KV.TIDEMAP_LEASES.p.0",
        "$JS.API.STREAM.PURGE.TIDEMAP_0",
        "$JS.API.STREAM.PURGE.TIDEMAP_4",
        "$JS.API.STREAM.DELETE.TIDEMAP_4",
        "$JS.API.STREAM.MSG.DELETE.TIDEMAP_4",
        "$JS.API.CONSUMER.CREATE.TIDEMAP_4",
        "$SYS.REQ.SERVER.PING",
        "$SRV.PING",
        "_INBOX.web-01.>",
        "_INBOX.web-01.*.*",
    ] {
        let before = fleet.held().await;
        agent.client.publish_with_reply(mine.clone(), reply.to_owned(), "disguised".into()).await.unwrap();
        // Its own next report is stored after it.
        agent.report("a").await;
        fleet.settle().await;
        let mut after = fleet.held().await;
        let own = after.get_mut("TIDEMAP_4").unwrap();
        (own.0, own.1) = (own.0 - 2, own.1 - 2);
        assert_eq!(after, before, "{reply}");
        println!("report with the reply subject {reply} → stored → its own log, by one");
    }
    assert_eq!(leases.entry("p.0").await.unwrap().unwrap().revision, lease);

    // Subscribers got nothing but reports of the agent itself: no ack came out on their subjects.
    for (name, subscriber) in [("services", &mut services), ("programs", &mut programs)] {
        victim.client.publish(theirs.clone(), "the end".into()).await.unwrap();
        let strange: Vec<_> = heard(subscriber, "the end").await;
        let strange: Vec<_> = strange.iter().filter(|line| !line.starts_with(&mine)).collect();
        assert!(strange.is_empty(), "{name}: {strange:?}");
    }
    victim.round_trip().await;
    assert!(acks.next().now_or_never().is_none(), "an ack that the victim has not asked for");
}

/// Publishes a report with headers and returns the stream's answer.
async fn with_headers(agent: &User, headers: &[(&str, &str)]) -> String {
    let mut map = HeaderMap::new();
    headers.iter().for_each(|(name, value)| map.insert(*name, *value));
    let js = jetstream::new(agent.client.clone());
    let publish = js.publish_with_headers(subject::sample(&node("a")), map, "x".into()).await.unwrap();
    match publish.await {
        Ok(ack) if ack.duplicate => "duplicate".to_owned(),
        Ok(_) => "stored".to_owned(),
        Err(error) => format!("{error:?}").split('"').nth(1).unwrap_or_default().to_owned(),
    }
}

#[tokio::test]
async fn headers_that_jetstream_obeys_affect_only_the_sender() {
    let fleet = Fleet::start().await;
    let agent = fleet.agent("a").await;
    let neighbour = fleet.agent("web-01.example.com").await;
    let theirs = subject::sample(&node("web-01.example.com"));
    neighbour.report("web-01.example.com").await;
    agent.report("a").await;
    for (headers, expected) in [
        // Would replace all that the log, or the subject, holds.
        (&[("Nats-Rollup", "all")][..], "rollup"),
        (&[("Nats-Rollup", "sub")], "rollup"),
        // Conditions concern this one message, which is refused.
        (&[("Nats-Expected-Stream", "TIDEMAP_0")], "expected stream"),
        (&[("Nats-Expected-Last-Sequence", "77")], "wrong last sequence"),
        (&[("Nats-Expected-Last-Msg-Id", "x")], "wrong last msg"),
        (&[("Nats-Expected-Last-Subject-Sequence", "77")], "wrong last sequence"),
        // Would vanish early, come later, come elsewhere, count, or come in a batch.
        (&[("Nats-TTL", "1s")], "TTL"),
        (&[("Nats-Schedule", "@every 1s"), ("Nats-Schedule-Target", &theirs)], "schedule"),
        (&[("Nats-Incr", "+1")], "counter"),
        (
            &[("Nats-Batch-Id", "b"), ("Nats-Batch-Sequence", "1"), ("Nats-Batch-Commit", "1")],
            "atomic publish",
        ),
        // The node's own report is the only one with an id, so the id can only match itself.
        (&[("Nats-Msg-Id", "1")], "stored"),
        (&[("Nats-Msg-Id", "1")], "duplicate"),
        // Headers of a key-value bucket, in a stream that is not one.
        (&[("KV-Operation", "PURGE")], "stored"),
    ] {
        let before = fleet.held().await;
        let said = with_headers(&agent, headers).await;
        let mut after = fleet.held().await;
        let own = after.get_mut("TIDEMAP_4").unwrap();
        let stored = u64::from(said == "stored");
        (own.0, own.1) = (own.0 - stored, own.1 - stored);
        println!("report with {headers:?} → {said} → its own log, by {stored}");
        assert!(said.contains(expected), "{headers:?}: {said}");
        assert_eq!(after, before, "{headers:?}");
    }
    // Reports of another node in the same stream are still stored.
    neighbour.report("web-01.example.com").await;
}

#[tokio::test]
async fn a_trace_of_a_report_is_sent_to_nobody_else() {
    let fleet = Fleet::start().await;
    let mut agent = fleet.agent("a").await;
    let mut services = fleet.service.subscribe("tidemap.v1.>").await.unwrap();
    fleet.settle().await;
    let held = fleet.held().await;
    for target in [&*subject::sample(&node("web-01")), "tidemap.v1.delta.0", "$KV.TIDEMAP_LEASES.p.0"] {
        let mut headers = HeaderMap::new();
        headers.insert("Nats-Trace-Dest", target);
        let report = subject::sample(&node("a"));
        agent.client.publish_with_headers(report, headers, "x".into()).await.unwrap();
        let said = agent.refused(target).await;
        println!("report to be traced to {target} → {said} → nothing");
    }
    fleet.settle().await;
    assert_eq!(fleet.held().await, held);
    fleet.service.publish("tidemap.v1.mark", "the end".into()).await.unwrap();
    let heard = heard(&mut services, "the end").await;
    assert!(heard.is_empty(), "{heard:?}");
}

#[tokio::test]
async fn malformed_protocol_lines_have_no_effect() {
    let fleet = Fleet::start().await;
    let seed = keys::enroll(fleet.dir.path(), &node("a")).unwrap().seed_path;
    drop(fleet.agent("a").await);
    let mut raw = RawClient::connect(&fleet.broker, &seed).await;
    let held = fleet.held().await;
    for line in [
        "PUB tidemap.v1.sample.44.* 1\r\nx",
        "PUB tidemap.v1.sample.*.> 1\r\nx",
        "PUB tidemap.v1.sample.44.a $JS.ACK.TIDEMAP_4.x.1.1.1.1.1 1\r\nx",
        "PUB tidemap.v1.sample.44.a _R_.abc.def 1\r\nx",
        "PUB tidemap.v1.sample.44.a _GR_.abc.def.x 1\r\nx",
    ] {
        let said = raw.send(&format!("{line}\r\n")).await.join(" ");
        println!("{line:?} → {said}");
        assert!(said.contains("Permissions Violation"), "{line}: {said}");
    }
    assert_eq!(fleet.held().await, held);

    // The broker itself sends status lines to the readers of a log: stored as it is, this one would stop them
    // all.
    let header = "NATS/1.0 409 Consumer Deleted\r\nX: y\r\n\r\n";
    let (head, all) = (header.len(), header.len() + 1);
    raw.send(&format!("HPUB tidemap.v1.sample.44.a {head} {all}\r\n{header}x\r\n")).await;
    fleet.settle().await;
    let stream = fleet.js().get_stream("TIDEMAP_4").await.unwrap();
    let last = stream.cached_info().state.last_sequence;
    let message = stream.get_raw_message(last).await.unwrap();
    println!("report with the status line 409 → stored as {:?}", message.headers);
    assert_eq!(message.headers.get("X").unwrap().as_str(), "y");
    let config = jetstream::consumer::pull::Config {
        ack_policy: jetstream::consumer::AckPolicy::None,
        ..Default::default()
    };
    let mut messages = stream.create_consumer(config).await.unwrap().messages().await.unwrap();
    let mut read = 0;
    while read < last {
        let message = timeout(TEST_TIMEOUT, messages.next()).await.unwrap().unwrap().unwrap();
        read = message.info().unwrap().stream_sequence;
    }
}
