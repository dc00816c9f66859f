//! Which clients are let in, which no longer are, and what a connected client can take from the others.

use std::time::Duration;

use async_nats::{ConnectErrorKind, ConnectOptions, Event, jetstream};
use tidemap_broker::keys;
use tidemap_service::streams;
use tidemap_wire::{PartitionCount, subject};
use tokio::time::{Instant, timeout};

use crate::{
    fleet::{Fleet, TEST_TIMEOUT, node},
    raw::RawClient,
};

#[tokio::test]
async fn clients_without_a_known_key_are_refused() {
    let fleet = Fleet::start().await;
    let stranger = nkeys::KeyPair::new_user().seed().unwrap();
    for (who, options) in [
        ("no key", ConnectOptions::new()),
        ("an unknown key", ConnectOptions::with_nkey(stranger)),
        ("a password", ConnectOptions::with_user_and_password("admin".to_owned(), "admin".to_owned())),
        ("a token", ConnectOptions::with_token("token".to_owned())),
    ] {
        let refused = options.connect(fleet.broker.url()).await.unwrap_err();
        println!("{who} → {refused} → nothing");
        assert_eq!(refused.kind(), ConnectErrorKind::AuthorizationViolation, "{who}");
    }
    assert!(fleet.log().matches("authentication error").count() >= 4, "{}", fleet.log());
}

#[tokio::test]
async fn a_revoked_agent_is_disconnected_and_cannot_reconnect() {
    let fleet = Fleet::start().await;
    let mut agent = fleet.agent("a").await;
    let mut other = fleet.agent("web-01").await;
    let started = Instant::now();
    assert!(keys::revoke(fleet.dir.path(), &node("a")).unwrap());
    assert_eq!(
        tidemap_broker::reload_running(fleet.dir.path()).await.unwrap(),
        tidemap_broker::Reload::Confirmed
    );
    agent.until(|event| matches!(event, Event::Disconnected)).await;
    println!("revoked key → connection closed → after {} ms", started.elapsed().as_millis());
    // Three attempts of the client's, each refused.
    for _ in 0..3 {
        // The client reports a refused reconnect in these words only.
        let said = agent.until(|event| event.to_string().contains("authorization violation")).await;
        println!("revoked key reconnects → {said} → nothing");
    }
    // Revoking and enrolling are idempotent, and a node that is let in again has a new key.
    assert!(!keys::revoke(fleet.dir.path(), &node("a")).unwrap());
    let mut again = fleet.agent("a").await;
    again.report("a").await;
    for user in [&mut again, &mut other] {
        let lost = timeout(Duration::ZERO, user.until(|event| matches!(event, Event::Disconnected))).await;
        assert!(lost.is_err(), "others are not disturbed");
    }
}

#[tokio::test]
async fn a_report_that_is_too_large_is_refused() {
    let fleet = Fleet::start().await;
    let agent = fleet.agent("a").await;
    let js = jetstream::new(agent.client.clone());
    for bytes in [80 << 10, 200 << 10, 2 << 20] {
        let held = fleet.held().await;
        let said = match js.publish(subject::sample(&node("a")), vec![0; bytes].into()).await {
            Ok(ack) => ack.await.map(drop).map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        println!("report of {bytes} bytes → {said:?} → nothing");
        assert!(said.is_err());
        assert_eq!(fleet.held().await, held);
    }
    agent.report("a").await;
}

#[tokio::test]
async fn a_flood_of_one_agent_does_not_fill_the_log_or_delay_others() {
    let fleet = Fleet::start().await;
    let flooder = fleet.agent("a").await;
    // In the same partition, so behind the same stream.
    let other = fleet.agent("web-01.example.com").await;
    other.report("web-01.example.com").await;
    let flooding = tokio::spawn({
        let client = flooder.client.clone();
        async move {
            for _ in 0..30_000 {
                client.publish(subject::sample(&node("a")), "flood".into()).await.unwrap();
            }
            client.flush().await.unwrap();
        }
    });
    let mut slowest = Duration::ZERO;
    let mut acked = 0;
    while !flooding.is_finished() {
        let asked = Instant::now();
        timeout(TEST_TIMEOUT, other.report("web-01.example.com")).await.expect("an ack during the flood");
        slowest = slowest.max(asked.elapsed());
        acked += 1;
    }
    flooding.await.unwrap();
    let js = jetstream::new(flooder.client.clone());
    let refused =
        js.publish(subject::sample(&node("a")), "one more".into()).await.unwrap().await.unwrap_err();
    println!(
        "30,000 reports at once → {refused:?} → others: {acked} acks meanwhile, slowest {} ms",
        slowest.as_millis()
    );
    let held = fleet.logged().await - acked - 1;
    println!("the log holds {held} of them");
    assert_eq!(held, u64::try_from(streams::MAX_REPORTS_OF_A_NODE).unwrap());
    other.report("web-01.example.com").await;
}

/// Megabytes of the broker's memory.
fn memory_mb(fleet: &Fleet) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", fleet.broker.pid().unwrap())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1_000
}

#[tokio::test]
async fn subscriptions_of_one_connection_are_limited() {
    let fleet = Fleet::start().await;
    let agent = keys::enroll(fleet.dir.path(), &node("a")).unwrap().seed_path;
    let other = fleet.agent("web-01").await;
    let mut agent = RawClient::connect(&fleet.broker, &agent).await;
    let before_mb = memory_mb(&fleet);
    let mut refused = 0;
    for thousand in 0..300 {
        let range = thousand * 1_000..(thousand + 1) * 1_000;
        let lines: String = range.map(|number| format!("SUB _INBOX.a.{number} {number}\r\n")).collect();
        let said = agent.send(&lines).await;
        refused += said.iter().filter(|line| line.contains("maximum subscriptions exceeded")).count();
    }
    let after_mb = memory_mb(&fleet);
    println!("300,000 subscriptions → {refused} refused → memory {before_mb} MB, then {after_mb} MB");
    assert_eq!(refused, 300_000 - 256);
    // Without a limit it grew from 20 MB to 236 MB.
    assert!(after_mb < before_mb + 100, "{before_mb} MB, {after_mb} MB");
    other.report("web-01").await;
}

#[tokio::test]
async fn streams_of_an_older_tidemap_are_bounded_too() {
    let fleet = Fleet::start().await;
    let js = fleet.js();
    let mut config = js.get_stream("TIDEMAP_4").await.unwrap().cached_info().config.clone();
    config.discard = jetstream::stream::DiscardPolicy::Old;
    config.discard_new_per_subject = false;
    config.max_messages_per_subject = -1;
    js.update_stream(config).await.unwrap();
    streams::ensure(&js, PartitionCount::default(), 1).await.unwrap();
    let held = js.get_stream("TIDEMAP_4").await.unwrap().cached_info().config.clone();
    assert_eq!(held.max_messages_per_subject, streams::MAX_REPORTS_OF_A_NODE);
    assert!(held.discard_new_per_subject);
}
