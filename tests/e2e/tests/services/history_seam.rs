//! A node's newest minutes, of which the history has nothing yet, are part of its history.

use std::time::Duration;

use anyhow::ensure;
use async_nats::jetstream;
use tidemap_service::clock::unix_ms;
use tidemap_testkit::{
    broker::TestBroker,
    eventually,
    http::{get_json, is_ready},
};
use tidemap_wire::{Bps, NodeId, Report, Sample, encode, http::HistoryJson, subject};

const EVENT_TIMEOUT: Duration = Duration::from_secs(60);
const SAMPLES: u64 = 150;

/// The last minutes of a node that receives 1,000 bytes more with each second, and sends 7.
fn report(node: &NodeId, now_ms: i64) -> Report {
    let sample = |seq: u64| Sample {
        seq,
        at_ms: now_ms - i64::try_from(SAMPLES - seq).unwrap() * 1_000,
        elapsed_ms: 1_000,
        rx_bytes: (1..=seq).map(|second| 1_000 * second).sum(),
        tx_bytes: 7 * seq,
        rx_bps: Bps::over(1_000 * seq, 1_000),
        tx_bps: Bps::over(7, 1_000),
        ..Sample::default()
    };
    Report { node: node.clone(), boot: 3, hello: None, samples: (1..=SAMPLES).map(sample).collect() }
}

#[tokio::test]
async fn the_newest_minutes_are_in_a_nodes_history_before_they_are_stored() {
    let broker = TestBroker::start().await.unwrap();
    let _worker = broker.ingest(&[]).unwrap();
    let (_api, url) = broker.api().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let _station = broker.history(folder.path(), &[]).unwrap();
    eventually(EVENT_TIMEOUT, || is_ready(&url)).await.unwrap();
    let node = NodeId::from_name("now").unwrap();
    let now_ms = unix_ms();
    let js = jetstream::new(broker.connect().await.unwrap());
    let body = encode(&report(&node, now_ms));
    js.publish(subject::sample(&node), body.into()).await.unwrap().await.unwrap();

    let (rx_bytes, tx_bytes) = ((1..=SAMPLES).map(|seq| 1_000 * seq).sum::<u64>(), 7 * SAMPLES);
    for step in ["1m", "5m", "1h", "1d"] {
        let range = format!("from={}&to={}&step={step}", now_ms - 600_000, now_ms + 60_000);
        eventually(EVENT_TIMEOUT, async || {
            let history: HistoryJson = get_json(format!("{url}/api/nodes/now/history?{range}")).await?;
            let sum = |column: &[Option<u64>]| column.iter().flatten().sum::<u64>();
            let found = (sum(&history.rx_bytes), sum(&history.tx_bytes));
            ensure!(found == (rx_bytes, tx_bytes), "{step}: {found:?}");
            ensure!(history.rx_max_bps.iter().flatten().max() >= Some(&(1_000 * SAMPLES)), "{step}: no peak");
            Ok(())
        })
        .await
        .unwrap();
    }
}
