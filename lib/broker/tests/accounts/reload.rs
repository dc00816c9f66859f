//! Enrolling and revoking while a fleet is connected.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tidemap_broker::keys;
use tokio::time::Instant;

use crate::fleet::{Fleet, TEST_TIMEOUT, User, eventually, node};

/// The agents' connections as the broker knows them: key → (number, start).
async fn connections(operator: &User) -> BTreeMap<String, (u64, String)> {
    let ask = json!({ "auth": true, "limit": 10_000, "acc": "AGENTS" }).to_string();
    let answer = operator.client.request("$SYS.REQ.SERVER.PING.CONNZ", ask.into()).await.unwrap();
    let answer: Value = serde_json::from_slice(&answer.payload).unwrap();
    let connections = answer["data"]["connections"].as_array().unwrap();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    connections
        .iter()
        .map(|one| (text(&one["authorized_user"]), (one["cid"].as_u64().unwrap(), text(&one["start"]))))
        .collect()
}

/// Waits until the broker accepts a key.
async fn wait_for_access(fleet: &Fleet, seed: &str) {
    let attempt =
        async || async_nats::ConnectOptions::with_nkey(seed.to_owned()).connect(fleet.broker.url()).await;
    drop(eventually(attempt).await);
}

#[tokio::test]
async fn enrolling_and_revoking_disturbs_no_other_connection() {
    let fleet = Fleet::start().await;
    let operator = User::connect(&fleet.broker, &fleet.keys.sys_seed_path(), "_INBOX").await;
    let mut agents = Vec::new();
    for number in 0..20 {
        agents.push(fleet.agent(&format!("node-{number}")).await);
    }
    let before = connections(&operator).await;
    assert_eq!(before.len(), 20, "{before:?}");
    for round in 0..10 {
        let name = node(&format!("guest-{round}"));
        let seed = keys::enroll(fleet.dir.path(), &name).unwrap().seed_path;
        assert_eq!(
            tidemap_broker::reload_running(fleet.dir.path()).await.unwrap(),
            tidemap_broker::Reload::Confirmed
        );
        wait_for_access(&fleet, std::fs::read_to_string(seed).unwrap().trim()).await;
        assert!(keys::revoke(fleet.dir.path(), &name).unwrap());
        assert_eq!(
            tidemap_broker::reload_running(fleet.dir.path()).await.unwrap(),
            tidemap_broker::Reload::Confirmed
        );
    }
    // A connection that stays: its answer comes after all these reloads.
    let guest = fleet.agent("guest").await;
    guest.report("guest").await;
    let mut after = connections(&operator).await;
    after.retain(|key, _| before.contains_key(key));
    assert_eq!(after, before, "the same connections since the same time");
    for (number, agent) in agents.iter().enumerate() {
        agent.report(&format!("node-{number}")).await;
    }
}

/// Enrolls a fleet and prints how long one more node takes.
#[tokio::test]
async fn a_fleet_of_nkeys_is_enrolled_within_limits() {
    let long = std::env::var_os("TIDEMAP_LONG").is_some_and(|long| long == "1");
    let fleet = Fleet::start().await;
    let mut enrolled = 0;
    for goal in if long { vec![500, 2_000, 5_000] } else { vec![100, 300] } {
        while enrolled < goal {
            keys::enroll(fleet.dir.path(), &node(&format!("node-{enrolled}"))).unwrap();
            enrolled += 1;
        }
        let agent = fleet.agent("node-0").await;
        let started = Instant::now();
        let seed = keys::enroll(fleet.dir.path(), &node(&format!("last-{goal}"))).unwrap().seed_path;
        let written = started.elapsed();
        assert_eq!(
            tidemap_broker::reload_running(fleet.dir.path()).await.unwrap(),
            tidemap_broker::Reload::Confirmed
        );
        wait_for_access(&fleet, std::fs::read_to_string(seed).unwrap().trim()).await;
        println!(
            "{goal} nodes: one more is written after {} ms and let in after {} ms",
            written.as_millis(),
            started.elapsed().as_millis()
        );
        assert!(started.elapsed() < TEST_TIMEOUT);
        agent.report("node-0").await;
    }
}
