//! What an agent's key can and cannot do: each attempt, the broker's answer, and what has changed.

use async_nats::jetstream;
use tidemap_service::streams;
use tidemap_wire::subject;

use crate::fleet::{Fleet, node};

#[tokio::test]
async fn an_agents_report_reaches_the_log_and_the_ack_reaches_the_agent() {
    let fleet = Fleet::start().await;
    let agent = fleet.agent("web-01.example.com").await;
    let js = jetstream::new(agent.client.clone());
    let report = subject::sample(&node("web-01.example.com"));
    let ack = js.publish(report, "report".into()).await.unwrap().await.unwrap();
    assert_eq!((ack.stream.as_str(), ack.sequence), ("TIDEMAP_4", 1));
    assert_eq!(fleet.logged().await, 1);
}

#[tokio::test]
async fn an_agent_publishes_on_no_other_subject() {
    let fleet = Fleet::start().await;
    let mut agent = fleet.agent("a").await;
    let leases = fleet.js().get_key_value(streams::LEASES).await.unwrap();
    leases.put("p.4", "owner".into()).await.unwrap();
    let held = fleet.held().await;
    for subject in [
        // Another node; its own name in another slot, written otherwise, or as a pattern.
        &*subject::sample(&node("web-01")),
        "tidemap.v1.sample.45.a",
        "tidemap.v1.sample.044.a",
        "tidemap.v1.sample.44.a.a",
        // Subjects that only relays may publish on.
        "tidemap.v1.pack.44.a",
        "tidemap.v1.pack.44.edge",
        // Subjects that only services may publish and send requests on.
        "tidemap.v1.delta.0",
        "tidemap.v1.stats.0",
        "tidemap.v1.event.offline.web-01",
        "tidemap.v1.history.minutes.44.1.0",
        "tidemap.v1.alert.fired.offline",
        "tidemap.v1.rpc.snapshot.0",
        "tidemap.v1.rpc.forget.0",
        "tidemap.v1.rpc.history",
        "tidemap.v1.rpc.history.forget",
        "tidemap.v1.rpc.enroll",
        // JetStream: reading, changing, removing.
        "$JS.API.INFO",
        "$JS.API.STREAM.NAMES",
        "$JS.API.STREAM.INFO.TIDEMAP_4",
        "$JS.API.STREAM.CREATE.MINE",
        "$JS.API.STREAM.UPDATE.TIDEMAP_4",
        "$JS.API.STREAM.PURGE.TIDEMAP_4",
        "$JS.API.STREAM.DELETE.TIDEMAP_4",
        "$JS.API.STREAM.MSG.GET.TIDEMAP_4",
        "$JS.API.STREAM.MSG.DELETE.TIDEMAP_4",
        "$JS.API.DIRECT.GET.TIDEMAP_4",
        "$JS.API.DIRECT.GET.KV_TIDEMAP_LEASES.$KV.TIDEMAP_LEASES.p.4",
        "$JS.API.CONSUMER.CREATE.TIDEMAP_4",
        "$JS.API.CONSUMER.MSG.NEXT.TIDEMAP_4.x",
        "$JS.ACK.TIDEMAP_4.x.1.1.1.1.1",
        "$KV.TIDEMAP_LEASES.p.4",
        "$KV.TIDEMAP_CHECKPOINTS.4",
        // The server itself, and the services' status.
        "$SYS.REQ.USER.INFO",
        "$SYS.REQ.SERVER.PING",
        "$SRV.PING",
        // Other users.
        "_INBOX.web-01.x",
        "_INBOX.a.x",
        "_R_.x",
        "anything",
    ] {
        agent.publish(subject).await;
        let said = agent.refused(&format!("publish to \"{subject}\"")).await;
        println!("publish {subject} → {said} → nothing");
    }
    assert_eq!(fleet.held().await, held);
    let log = fleet.log();
    assert!(log.contains("Publish Violation") && log.contains("$KV.TIDEMAP_LEASES.p.4"), "{log}");
}

#[tokio::test]
async fn an_agent_receives_only_its_own_acks() {
    let fleet = Fleet::start().await;
    let mut agent = fleet.agent("a").await;
    for subject in [
        ">",
        "*",
        "tidemap.v1.sample.>",
        "tidemap.v1.sample.44.a",
        "tidemap.v1.delta.*",
        "_INBOX.>",
        "_INBOX.*.>",
        "_INBOX.web-01.>",
        "_INBOX.web-01.x.1",
        "$JS.>",
        "$JS.EVENT.ADVISORY.>",
        "$KV.>",
        "$SYS.>",
        "$SRV.>",
        "_R_.>",
    ] {
        let _subscription = agent.client.subscribe(subject).await.unwrap();
        let said = agent.refused(&format!("subscription to \"{subject}\"")).await;
        println!("subscribe {subject} → {said} → nothing");
        let _grouped = agent.client.queue_subscribe(subject, "q".to_owned()).await.unwrap();
        agent.refused(&format!("subscription to \"{subject}\"")).await;
    }
}
