//! A worker's own status.

use std::net::SocketAddr;

use anyhow::ensure;
use async_nats::Client;
use serde_json::Value;
use tidemap_testkit::port::free_port;

use crate::harness::{Harness, eventually};

#[tokio::test]
async fn a_worker_reports_its_partitions_to_the_service_protocol_and_prometheus() {
    let mut harness = Harness::start().await;
    let address = SocketAddr::from(([127, 0, 0, 1], free_port().unwrap()));
    let worker = harness.worker_with_metrics(8, Some(address));
    harness.known(8).await;
    harness.report(10, 0..3).await;
    harness.client.publish("tidemap.v1.sample.131.node-1", "garbage".into()).await.unwrap();
    harness.known(8).await;

    let info = ask(&harness.client, "$SRV.INFO.tidemap-ingest").await;
    assert_eq!((&info["name"], &info["endpoints"][0]["name"]), (&"tidemap-ingest".into(), &"status".into()));
    let refused = |stats: &Value| stats["partitions"]["3"]["refused"]["garbage"].as_u64();
    let stats = eventually(async || {
        let stats = ask(&harness.client, "$SRV.STATS.tidemap-ingest").await;
        let status = stats["endpoints"][0]["data"].clone();
        ensure!(refused(&status) == Some(1), "{status}");
        Ok(status)
    })
    .await;
    let partitions: Vec<&Value> = stats["partitions"].as_object().unwrap().values().collect();
    let sum = |field: &str| partitions.iter().map(|status| status[field].as_u64().unwrap()).sum::<u64>();
    assert_eq!((partitions.len(), sum("nodes"), sum("total_samples"), sum("lag")), (8, 10, 30, 0));
    assert!(partitions.iter().all(|status| status["epoch"].as_u64() > Some(0)));

    let scrape = move || ureq::get(format!("http://{address}/metrics")).call()?.body_mut().read_to_string();
    let body = tokio::task::spawn_blocking(scrape).await.unwrap().unwrap();
    assert!(body.contains("tidemap_ingest_partitions 8\n"), "{body}");
    assert!(
        body.contains("tidemap_partition_refused_total{partition=\"3\",reason=\"garbage\"} 1\n"),
        "{body}"
    );
    worker.stop().await;
}

async fn ask(client: &Client, subject: &'static str) -> Value {
    let answer = client.request(subject, "".into()).await.unwrap();
    serde_json::from_slice(&answer.payload).unwrap()
}
