//! The rights of a relay's two keys, and their limits.

use async_nats::jetstream;
use futures_util::StreamExt;
use tidemap_broker::keys::{self, RelaySide};
use tidemap_service::streams;
use tidemap_wire::subject;
use tokio::time::timeout;

use crate::fleet::{Fleet, TEST_TIMEOUT, node};

#[tokio::test]
async fn a_pack_reaches_the_log_of_its_slot_the_ack_reaches_the_relay_and_programs_read_it() {
    let fleet = Fleet::start().await;
    let relay = fleet.relay("edge", RelaySide::Packs).await;
    let mut app = fleet.app().await;
    let mut packs = app.client.subscribe(subject::ALL_PACKS).await.unwrap();
    app.round_trip().await;
    let js = jetstream::new(relay.client.clone());
    let pack = subject::pack("44".parse().unwrap(), &node("edge"));
    let ack = js.publish(pack.clone(), "pack".into()).await.unwrap().await.unwrap();
    assert_eq!((ack.stream.as_str(), ack.sequence), ("TIDEMAP_4", 1));
    assert_eq!(timeout(TEST_TIMEOUT, packs.next()).await.unwrap().unwrap().subject.as_str(), pack);
}

#[tokio::test]
async fn a_relay_packs_under_its_own_name_and_does_nothing_else() {
    let fleet = Fleet::start().await;
    let mut relay = fleet.relay("edge", RelaySide::Packs).await;
    let leases = fleet.js().get_key_value(streams::LEASES).await.unwrap();
    leases.put("p.4", "owner".into()).await.unwrap();
    let held = fleet.held().await;
    for subject in [
        "tidemap.v1.sample.44.a",
        "tidemap.v1.sample.44.edge",
        "tidemap.v1.pack.44.other",
        "tidemap.v1.pack.44.edge.x",
        "tidemap.v1.pack.44",
        "tidemap.v1.delta.0",
        "tidemap.v1.stats.0",
        "tidemap.v1.event.offline.a",
        "tidemap.v1.history.minutes.44.1.0",
        "tidemap.v1.alert.fired.offline",
        "tidemap.v1.rpc.snapshot.0",
        "tidemap.v1.rpc.forget.0",
        "tidemap.v1.rpc.history.forget",
        "tidemap.v1.rpc.enroll",
        "$JS.API.INFO",
        "$JS.API.STREAM.PURGE.TIDEMAP_4",
        "$JS.API.STREAM.UPDATE.TIDEMAP_4",
        "$JS.API.DIRECT.GET.TIDEMAP_4",
        "$JS.ACK.TIDEMAP_4.x.1.1.1.1.1",
        "$KV.TIDEMAP_LEASES.p.4",
        "$SYS.REQ.USER.INFO",
        "$SRV.PING",
        "_INBOX.a.x",
        "_RELAY.edge.x",
    ] {
        relay.publish(subject).await;
        let said = relay.refused(&format!("publish to \"{subject}\"")).await;
        println!("relay publishes {subject} → {said} → nothing");
    }
    for subject in [
        ">",
        "tidemap.v1.sample.>",
        "tidemap.v1.pack.>",
        "tidemap.v1.delta.*",
        "_INBOX.>",
        "_RELAY.other.>",
        "$JS.>",
    ] {
        let _subscription = relay.client.subscribe(subject).await.unwrap();
        let said = relay.refused(&format!("subscription to \"{subject}\"")).await;
        println!("relay subscribes {subject} → {said} → nothing");
    }
    assert_eq!(fleet.held().await, held);
}

#[tokio::test]
async fn a_relays_local_key_shares_reports_and_publishes_only_to_inboxes() {
    let fleet = Fleet::start().await;
    let mut relay = fleet.relay("edge", RelaySide::Reports).await;
    for subject in ["tidemap.v1.sample.44.a", "tidemap.v1.pack.44.edge", "tidemap.v1.delta.0", "$JS.API.INFO"]
    {
        relay.publish(subject).await;
        relay.refused(&format!("publish to \"{subject}\"")).await;
    }
    for subject in [">", "tidemap.v1.delta.*", "_INBOX.>", "tidemap.v1.pack.>"] {
        let _subscription = relay.client.subscribe(subject).await.unwrap();
        relay.refused(&format!("subscription to \"{subject}\"")).await;
    }
    let group = || relay.client.queue_subscribe(subject::ALL_SAMPLES, subject::RELAYS.to_owned());
    let mut reports = group().await.unwrap();
    let agent = fleet.agent("a").await;
    relay.client.flush().await.unwrap();
    let mut answers = agent.client.subscribe("_INBOX.a.>").await.unwrap();
    agent
        .client
        .publish_with_reply(subject::sample(&node("a")), "_INBOX.a.1", "report".into())
        .await
        .unwrap();
    let report = timeout(TEST_TIMEOUT, reports.next()).await.unwrap().unwrap();
    assert_eq!(
        (report.subject, report.reply.clone()),
        (subject::sample(&node("a")).into(), Some("_INBOX.a.1".into()))
    );
    relay.client.publish(report.reply.unwrap(), "relay".into()).await.unwrap();
    let mut heard = Vec::new();
    // This server holds streams, which acknowledge reports, too; a relay's own server has none.
    while !heard.contains(&"relay".into()) {
        heard.push(timeout(TEST_TIMEOUT, answers.next()).await.unwrap().unwrap().payload);
    }
}

#[tokio::test]
async fn revoking_a_relay_keeps_the_node_of_the_same_name() {
    let fleet = Fleet::start().await;
    let agent = fleet.agent("edge").await;
    let mut relay = fleet.relay("edge", RelaySide::Packs).await;
    fleet.relay("edge", RelaySide::Reports).await;
    assert!(keys::revoke_relay(fleet.dir.path(), &node("edge")).unwrap());
    assert!(!keys::revoke_relay(fleet.dir.path(), &node("edge")).unwrap());
    fleet.broker.reload().unwrap();
    relay.until(|event| matches!(event, async_nats::Event::Disconnected)).await;
    agent.report("edge").await;
    assert_eq!(fleet.logged().await, 1);
}
