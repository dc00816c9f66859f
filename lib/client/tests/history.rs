//! Questions to the history through a real nats-server, with stations that follow a script.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::time::Duration;

use async_nats::Client;
use futures_util::StreamExt;
use tidemap_client::{HistoryClient, HistoryRequestError};
use tidemap_service::nats::reached;
use tidemap_testkit::{
    broker::{TestBroker, has_taken},
    within,
};
use tidemap_wire::{
    decode, encode,
    history_query::{
        HistoryAnswer, HistoryReply, HistoryRequest, HistorySeries, HistoryStatus, RangeAnswer, RangeRequest,
        TopBy, TopRequest,
    },
    subject,
};
use tokio::task::JoinHandle;

/// Much more than anything here takes.
const TIMEOUT: Duration = Duration::from_secs(20);

/// Answers each of so many requests with what `script` returns for it.
async fn station(
    client: &Client,
    requests: usize,
    script: impl Fn(HistoryRequest) -> Vec<HistoryReply> + Send + 'static,
) -> JoinHandle<()> {
    let queue = subject::HISTORY_STATIONS.to_owned();
    let subscribed = client.queue_subscribe(subject::HISTORY, queue).await.unwrap();
    has_taken(client).await.unwrap();
    let client = client.clone();
    tokio::spawn(async move {
        let mut requests = subscribed.take(requests);
        while let Some(request) = requests.next().await {
            let reply = request.reply.unwrap();
            for part in script(decode(&request.payload).unwrap()) {
                client.publish(reply.clone(), encode(&part).into()).await.unwrap();
            }
        }
    })
}

/// A client that is connected.
async fn history(broker: &TestBroker) -> HistoryClient {
    let client = broker.connect().await.unwrap();
    reached(&client, TIMEOUT).await.unwrap();
    HistoryClient::new(client)
}

fn status(sequence: u64) -> Vec<HistoryReply> {
    let answer = HistoryAnswer::Status(HistoryStatus { sequence, ..HistoryStatus::default() });
    vec![HistoryReply { chunk: 0, chunks: 1, answer }]
}

/// As many minutes as are asked for, in parts, the last part first.
fn minutes(request: &RangeRequest) -> Vec<HistoryReply> {
    let all: Vec<i64> = (request.from_ms / 60_000..request.to_ms / 60_000).collect();
    let parts: Vec<&[i64]> = all.chunks(RangeAnswer::STEPS_OF_A_PART).collect();
    let part = |steps: &[i64]| RangeAnswer {
        from_ms: steps[0] * 60_000,
        step_ms: 60_000,
        rx_bytes: steps.iter().map(|minute| Some(*minute as u64)).collect(),
        tx_bytes: vec![None; steps.len()],
        rx_bps: vec![None; steps.len()],
        tx_bps: vec![None; steps.len()],
        rx_max_bps: vec![None; steps.len()],
        tx_max_bps: vec![None; steps.len()],
        rx_min_bps: vec![None; steps.len()],
        tx_min_bps: vec![None; steps.len()],
        covered_ms: vec![0; steps.len()],
        unplaced_rx_bytes: vec![0; steps.len()],
        unplaced_tx_bytes: vec![0; steps.len()],
        ..RangeAnswer::default()
    };
    let chunks = parts.len() as u32;
    let replies = (0..).zip(parts).map(|(chunk, steps)| {
        let answer = HistoryAnswer::Range(part(steps));
        HistoryReply { chunk, chunks, answer }
    });
    replies.collect::<Vec<_>>().into_iter().rev().collect()
}

#[tokio::test]
async fn an_answer_in_many_parts_is_joined() {
    let broker = TestBroker::start().await.unwrap();
    let client = broker.connect().await.unwrap();
    let history = history(&broker).await;
    let none = history.status().await;
    assert!(matches!(none, Err(HistoryRequestError::NoStation)), "{none:?}");
    let _station = station(&client, 3, |request| match request {
        HistoryRequest::Range(request) => minutes(&request),
        _ => status(3),
    })
    .await;
    let request = RangeRequest {
        of: HistorySeries::Fleet,
        from_ms: 60_000,
        to_ms: 20_001 * 60_000,
        step_ms: None,
        host: false,
        recent: None,
    };
    let answer = history.range(request).await.unwrap();
    let expected: Vec<Option<u64>> = (1..20_001).map(Some).collect();
    assert_eq!((answer.rx_bytes, answer.covered_ms.len()), (expected, 20_000));
    assert_eq!(history.status().await.unwrap().sequence, 3);
    let top = TopRequest { by: TopBy::Rx, from_ms: 0, to_ms: 1, limit: 1 };
    assert!(matches!(history.top(top).await, Err(HistoryRequestError::Contradictory)));
}

#[tokio::test]
async fn a_station_that_ends_amid_its_answer_is_replaced_by_another() {
    let broker = TestBroker::start().await.unwrap();
    let (one, other) = (broker.connect().await.unwrap(), broker.connect().await.unwrap());
    let history = history(&broker).await;
    // It says a part of its answer, and is gone.
    let first = station(&one, 1, |request| match request {
        HistoryRequest::Range(request) => minutes(&request).into_iter().take(1).collect(),
        _ => status(1),
    })
    .await;
    let request = RangeRequest {
        of: HistorySeries::Fleet,
        from_ms: 0,
        to_ms: 5_000 * 60_000,
        step_ms: None,
        host: false,
        recent: None,
    };
    let asked = tokio::spawn({
        let history = history.clone();
        async move { history.range(request).await }
    });
    within(TIMEOUT, first).await.unwrap().unwrap();
    let _second = station(&other, 2, |request| match request {
        HistoryRequest::Range(request) => minutes(&request),
        _ => status(2),
    })
    .await;
    let answer = asked.await.unwrap().unwrap();
    assert_eq!(answer.rx_bytes.len(), 5_000, "all parts are of the second");
    assert_eq!(history.status().await.unwrap().sequence, 2);
}
