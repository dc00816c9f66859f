//! Hostile use of an agent's permissions: the services count it, and nothing else changes.

use anyhow::ensure;
use futures_util::StreamExt;
use tidemap_service::nats::NatsArgs;
use tidemap_testkit::{eventually, within};
use tidemap_wire::{NodeId, PartitionCount, Report, Slot, decode, subject};

use crate::{
    EVENT_TIMEOUT,
    whole::{Whole, changes, report, send},
};

#[tokio::test]
async fn an_old_report_that_is_sent_again_is_a_duplicate_and_changes_nothing() {
    let whole = Whole::start().await;
    let app = NatsArgs::new(&whole.broker.url, Some(&whole.broker.keys.app_seed_path()));
    let app = app.connect("app", None).await.unwrap();
    let mut samples = app.subscribe(subject::ALL_SAMPLES).await.unwrap();
    app.flush().await.unwrap();
    let (agent, subject) = whole.agent("a").await;
    // Reports of the agent that an attacker has captured.
    let mut captured = Vec::new();
    for seq in 1..=5 {
        send(&agent, &subject, &report("a", 7, seq)).await;
    }
    while captured.last().is_none_or(|last: &Vec<u8>| decode::<Report>(last).unwrap().samples[0].seq < 5) {
        captured.push(within(EVENT_TIMEOUT, samples.next()).await.unwrap().unwrap().payload.to_vec());
    }
    let five = || async {
        let node = whole.node("a").await?;
        ensure!(node["network_rx_bytes_per_sec"] == 5_000.0, "{node}");
        Ok(node)
    };
    let before = eventually(EVENT_TIMEOUT, five).await.unwrap();
    let duplicates = whole.duplicates().await;
    for payload in &captured {
        send(&agent, &subject, payload).await;
    }
    let sent = u64::try_from(captured.len()).unwrap();
    eventually(EVENT_TIMEOUT, || async {
        let counted = whole.duplicates().await - duplicates;
        ensure!(counted == sent, "{counted} of {sent}");
        Ok(())
    })
    .await
    .unwrap();
    assert_eq!(changes(&before, &whole.node("a").await.unwrap()), Vec::<String>::new());
    println!("{sent} old reports again → stored → duplicates +{sent}, the node as before");
}

#[tokio::test]
async fn forged_reports_are_counted_by_reason_and_move_neither_leases_nor_nodes() {
    let whole = Whole::start().await;
    let (victim, theirs) = whole.agent("web-01.example.com").await;
    let (attacker, mine) = whole.agent("a").await;
    // Both nodes are in partition 4.
    for name in ["a", "web-01.example.com"] {
        assert_eq!(
            PartitionCount::default().of(Slot::of(&NodeId::from_name(name).unwrap())).to_string(),
            "4"
        );
    }
    send(&victim, &theirs, &report("web-01.example.com", 1, 1)).await;
    let seen = || async { whole.node("web-01.example.com").await };
    let before = eventually(EVENT_TIMEOUT, seen).await.unwrap();
    let leases = || async {
        let leases = whole.leases().await;
        ensure!(leases.iter().all(|lease| lease.starts_with("Some")), "{leases:?}");
        Ok(leases)
    };
    let held = eventually(EVENT_TIMEOUT, leases).await.unwrap();

    // A report in another node's name on the agent's own subject, and a message that is no report.
    send(&attacker, &mine, &report("web-01.example.com", 9, 9)).await;
    send(&attacker, &mine, b"\xc1").await;
    send(&attacker, &mine, b"").await;
    for (reason, expected) in [("node-mismatch", 1), ("garbage", 2)] {
        eventually(EVENT_TIMEOUT, || async {
            let counted = whole.refused(reason).await;
            ensure!(counted == expected, "{reason}: {counted}");
            Ok(())
        })
        .await
        .unwrap();
        println!("forged → stored under its own name → {reason} +{expected}, the victim as before");
    }
    // It sets another component's subject as the reply subject of its own report.
    let client = attacker.client();
    for reply in [&*theirs, "$KV.TIDEMAP_LEASES.p.0", "$JS.API.STREAM.PURGE.TIDEMAP_4", "tidemap.v1.delta.4"]
    {
        client.publish_with_reply(mine.clone(), reply.to_owned(), report("a", 1, 1).into()).await.unwrap();
    }
    send(&attacker, &mine, &report("a", 1, 2)).await;
    eventually(EVENT_TIMEOUT, || async {
        let node = whole.node("a").await?;
        ensure!(node["network_rx_bytes_per_sec"] == 2_000.0, "{node}");
        Ok(())
    })
    .await
    .unwrap();
    assert_eq!(changes(&before, &whole.node("web-01.example.com").await.unwrap()), Vec::<String>::new());
    assert_eq!(whole.leases().await, held, "owners and epochs");
    assert_eq!(whole.refused("garbage").await, 2, "an ack came as a report");
}
