//! One enrolled agent reports what no agent does: it harms its own node only, and leaves no trace.

use std::{sync::Mutex, time::Duration};

use anyhow::ensure;
use bytes::Bytes;
use serde_json::{Value, json};
use tidemap_service::clock::unix_ms;
use tidemap_testkit::{
    eventually,
    http::{get, get_json, is_ready},
    machine::scaled,
    process::run_to_end,
};
use tidemap_wire::{
    Bps, Status, bounds, encode,
    http::{NodeJson, StatsJson},
};
use tokio::time::{Instant, interval};

use crate::{
    EVENT_TIMEOUT,
    whole::{Whole, report, send},
};

/// In the same partition as the node `a`.
const VICTIM: &str = "web-01.example.com";
/// Reports of a flood: 40 MB, which the slowest machine writes in the time that a node stays online.
const FLOOD: usize = 1_200;
/// Those of a flood that take the longest to read: as many as an unoptimised worker reads in two seconds.
const COSTLY: usize = 100;
/// The broker stores messages up to this size.
const MESSAGE_BYTES: usize = 64 * 1024;

/// Reports of the node `a`, each of which one of the readers could not take.
pub(crate) fn excesses() -> Vec<(&'static str, Vec<u8>)> {
    let sample = |seq: u64| {
        json!({ "seq": seq, "at_ms": unix_ms(), "elapsed_ms": 1_000, "rx_bytes": 1, "tx_bytes": 1,
                "rx_bps": 1.0, "tx_bps": 1.0 })
    };
    let with = |seq: u64, field: &str, value: Value| {
        let mut sample = sample(seq);
        sample[field] = value;
        json!({ "node": "a", "boot": 7, "samples": [sample] })
    };
    let hello =
        |seq: u64, hello: Value| json!({ "node": "a", "boot": 7, "hello": hello, "samples": [sample(seq)] });
    let labels: serde_json::Map<String, Value> = (0..7_000).map(|key| (key.to_string(), json!(""))).collect();
    let excesses = [
        ("empty interfaces", hello(1, json!({ "interfaces": vec![json!({}); 30_000] }))),
        ("many interfaces", hello(2, json!({ "interfaces": vec![json!({}); 17_000] }))),
        ("many interface rates", with(3, "interfaces", json!(vec![json!(["", 0, 0]); 12_500]))),
        ("a long text of control characters", hello(4, json!({ "provider": "\u{1}".repeat(60_000) }))),
        ("many labels", hello(5, Value::Object(labels))),
        ("many addresses", hello(6, json!({ "addresses": vec![""; 60_000] }))),
        ("many samples", json!({ "node": "a", "boot": 7, "samples": vec![[1, 1, 1, 1, 1]; 10_000] })),
        ("an absurd load", with(8, "host", json!({ "cpu_percent": 1.9e306, "memory_used_bytes": 1 }))),
        ("a load below nothing", with(9, "host", json!({ "cpu_percent": -76.0 }))),
        ("an unknown list within a list within a list", hello(10, json!({ "later": [[[[[[]]]]]] }))),
    ];
    // A list of one entry takes one byte.
    let nested = ("lists within lists without end", vec![0x91; 30_000]);
    excesses.into_iter().map(|(what, value)| (what, encode(&value))).chain([nested]).collect()
}

/// Waits until the API shows the victim's report with this number.
async fn shows(url: &str, seq: u64) -> anyhow::Result<()> {
    eventually(EVENT_TIMEOUT, || async {
        let node: NodeJson = get_json(format!("{url}/api/nodes/{VICTIM}")).await?;
        let rate = node.network_rx_bytes_per_sec.map(Bps::get);
        ensure!(rate == Some(1_000.0 * seq as f64), "{rate:?}");
        Ok(())
    })
    .await
}

/// Waits until the API lists exactly these nodes.
async fn lists(url: &str, expected: &[&str]) {
    eventually(EVENT_TIMEOUT, || async {
        let nodes: Vec<NodeJson> = get_json(format!("{url}/api/nodes")).await?;
        let names: Vec<&str> = nodes.iter().map(|node| node.name.as_str()).collect();
        ensure!(names == expected, "{names:?}");
        Ok(())
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn whatever_one_agent_reports_others_are_read_and_a_new_reader_is_ready() {
    let mut whole = Whole::start().await;
    let (victim, theirs) = whole.agent(VICTIM).await;
    let (agent, mine) = whole.agent("a").await;
    send(&victim, &theirs, &report(VICTIM, 1, 1)).await;
    shows(&whole.url, 1).await.unwrap();
    let before = get(format!("{}/api/stats", whole.url)).await.unwrap().body.len();

    for ((what, payload), seq) in excesses().into_iter().zip(2..) {
        assert!(payload.len() < MESSAGE_BYTES, "{what}: {}", payload.len());
        // The broker may refuse it; if it does not, it is stored before what follows.
        if let Ok(ack) = agent.publish(mine.clone(), payload.into()).await {
            ack.await.ok();
        }
        send(&victim, &theirs, &report(VICTIM, 1, seq)).await;
        shows(&whole.url, seq).await.unwrap_or_else(|error| panic!("after {what}: {error:#}"));
        let ready = eventually(EVENT_TIMEOUT, || is_ready(&whole.url)).await;
        ready.unwrap_or_else(|error| panic!("after {what}: {error:#}"));
    }
    let stats: StatsJson = get_json(format!("{}/api/stats", whole.url)).await.unwrap();
    assert!((0.0..=100.0).contains(&stats.avg_cpu_percent), "{stats:?}");
    let after = get(format!("{}/api/stats", whole.url)).await.unwrap().body.len();
    println!("/api/stats before and after: {before} and {after} bytes");
    assert!(after < before + 1_024, "{before} → {after}");

    // Its node says so, and so does the log.
    let node: NodeJson = get_json(format!("{}/api/nodes/a", whole.url)).await.unwrap();
    assert!(node.refused_reports > Some(3), "{node:?}");
    assert!(whole.ingest.log().contains("node=a"), "{}", whole.ingest.log());

    // Who begins to read now reads everything, and whoever owns the partition next keeps it.
    let (_late, late) = whole.broker.api().await.unwrap();
    eventually(EVENT_TIMEOUT, || is_ready(&late)).await.unwrap();
    let status = whole.ingest.terminate().await.unwrap();
    assert!(status.success(), "{}", whole.ingest.log());
    whole.ingest = whole.broker.ingest(&[]).unwrap();
    eventually(EVENT_TIMEOUT, || is_ready(&late)).await.unwrap();
    let nodes: Vec<NodeJson> = get_json(format!("{late}/api/nodes")).await.unwrap();
    assert_eq!(nodes.len(), 2, "{nodes:?}");
}

#[tokio::test]
async fn others_are_read_while_one_agent_sends_what_takes_longest_to_read() {
    let whole = Whole::start().await;
    let (victim, theirs) = whole.agent(VICTIM).await;
    send(&victim, &theirs, &report(VICTIM, 1, 1)).await;
    shows(&whole.url, 1).await.unwrap();
    let (agent, mine) = whole.agent("a").await;
    let message = |samples: Vec<Value>| encode(&json!({ "node": "a", "boot": 7, "samples": samples }));
    // Each is the newest, shows a host and an interface, and is as far from the one before as a window
    // reaches.
    let new = |seq: u64| {
        json!({
            "seq": seq, "at_ms": seq * 885_000, "elapsed_ms": 1, "rx_bytes": 1, "tx_bytes": 1,
            "host": [], "interfaces": [["", 0, 0]],
        })
    };
    let again = |count: usize| Bytes::from(message(vec![json!([1, 1, 1, 1, 1]); count]));
    let samples = bounds::SAMPLES as u64;
    let costly = (0..COSTLY as u64)
        .map(|number| Bytes::from(message((1..=samples).map(|seq| new(number * samples + seq)).collect())));
    // The last kind fills the broker's disk only.
    let others = [again(bounds::SAMPLES), again(10_000)];
    let payloads: Vec<Bytes> = costly.chain(others.into_iter().cycle()).take(FLOOD).collect();
    let (flood, began) = (agent.client(), Instant::now());
    let flooding = tokio::spawn(async move {
        for payload in payloads {
            flood.publish(mine.clone(), payload).await.unwrap();
        }
        flood.flush().await.unwrap();
    });
    // The victim reports each second, as agents do, until all that was sent during the flood is shown.
    let sent = Mutex::new(Vec::new());
    let reports = async {
        let mut seconds = interval(Duration::from_secs(1));
        for seq in 2.. {
            seconds.tick().await;
            sent.lock().unwrap().push(Instant::now());
            send(&victim, &theirs, &report(VICTIM, 1, seq)).await;
        }
    };
    let (mut longest, mut flooded) = (Duration::ZERO, None);
    let reads = async {
        loop {
            let node: NodeJson = get_json(format!("{}/api/nodes/{VICTIM}", whole.url)).await.unwrap();
            // Whoever sends what is not new falls silent itself, so the totals prove nothing here.
            assert!(!matches!(node.status, Status::Warning | Status::Offline), "{node:?}");
            let shown = node.network_rx_bytes_per_sec.map_or(0, |rate| (rate.get() / 1_000.0) as usize);
            let sent = sent.lock().unwrap();
            // Of the report after the one that is shown; the first was sent before.
            if let Some(waits) = sent.get(shown.saturating_sub(1)) {
                longest = longest.max(waits.elapsed());
            }
            if flooded.is_none() && flooding.is_finished() {
                flooded = Some((sent.len() + 1, began.elapsed()));
            }
            if let Some((last, took)) = flooded.filter(|(last, _)| shown >= *last) {
                println!(
                    "a flood of {:.1} s: all {last} reports of another were shown, after {:.1} s at most",
                    took.as_secs_f64(),
                    longest.as_secs_f64()
                );
                return;
            }
            assert!(longest < scaled(EVENT_TIMEOUT), "the report after {shown} waits");
        }
    };
    tokio::select! {
        () = reports => unreachable!("it never ends"),
        () = reads => {}
    }
    flooding.await.unwrap();
}

#[tokio::test]
async fn a_node_that_is_revoked_leaves_no_trace() {
    let mut whole = Whole::start().await;
    let (victim, theirs) = whole.agent(VICTIM).await;
    send(&victim, &theirs, &report(VICTIM, 1, 1)).await;
    let (agent, mine) = whole.agent("a").await;
    for seq in 1..=100 {
        send(&agent, &mine, &report("a", 1, seq)).await;
    }
    lists(&whole.url, &["a", VICTIM]).await;
    let folder = whole.broker.folder().to_str().unwrap();
    let revoke = ["revoke", "a", "--data-dir", folder, "--nats-url", &whole.broker.url];
    let (code, output) = run_to_end(&revoke).await.unwrap();
    println!("{}", output.trim());
    assert!(code == Some(0) && output.contains("a is no longer listed"), "{output}");
    lists(&whole.url, &[VICTIM]).await;

    whole.ingest.kill().await.unwrap();
    whole.ingest = whole.broker.ingest(&[]).unwrap();
    let (_late, late) = whole.broker.api().await.unwrap();
    eventually(EVENT_TIMEOUT, || is_ready(&late)).await.unwrap();
    lists(&late, &[VICTIM]).await;
    // No worker knows it, so there is nothing more to say.
    let (code, output) = run_to_end(&revoke).await.unwrap();
    assert!(code == Some(0) && !output.contains("listed"), "{output}");
}
