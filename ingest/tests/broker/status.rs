//! What a worker says about itself.

use std::time::Duration;

use async_nats::Client;
use serde_json::Value;

use tokio::time::timeout;

use crate::fleet::{Fleet, PATIENCE};

#[tokio::test]
async fn a_worker_tells_its_partitions_to_the_service_protocol_and_to_prometheus() {
    let mut fleet = Fleet::start().await;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let worker = fleet.worker_with_metrics(8, Some(address));
    fleet.known(8).await;
    fleet.report(10, 0..3).await;
    fleet.client.publish("tidemap.v1.sample.131.node-1", "garbage".into()).await.unwrap();
    fleet.known(8).await;

    let info = ask(&fleet.client, "$SRV.INFO.tidemap-ingest").await;
    assert_eq!((&info["name"], &info["endpoints"][0]["name"]), (&"tidemap-ingest".into(), &"status".into()));
    let refused = |stats: &Value| stats["partitions"]["3"]["refused"]["garbage"].as_u64();
    let told = async {
        loop {
            let stats = ask(&fleet.client, "$SRV.STATS.tidemap-ingest").await;
            let status = stats["endpoints"][0]["data"].clone();
            if refused(&status) == Some(1) {
                return status;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let stats = timeout(PATIENCE, told).await.unwrap();
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
