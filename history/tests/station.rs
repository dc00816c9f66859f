//! A station against a real nats-server: from rows on the stream to answers.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

use std::{path::Path, time::Duration};

use async_nats::{
    Client,
    jetstream::{self, stream},
};
use clap::Parser;
use tidemap_history::Args;
use tidemap_service::{clock, streams};
use tidemap_testkit::{
    broker::TestBroker,
    eventually,
    history::{ask, has_read, has_stored},
};
use tidemap_wire::{
    MinuteRow, Minutes, NodeId, PartitionCount, Slot, encode,
    history_query::{
        HistoryAnswer, HistoryError, HistoryRequest, HistorySeries, RangeRequest, TopBy, TopRequest,
    },
    subject,
};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const BOUND: Duration = Duration::from_secs(60);

#[derive(Parser)]
struct Options {
    #[command(flatten)]
    args: Args,
}

/// A station that runs in this process.
struct Station {
    stop: CancellationToken,
    running: JoinHandle<anyhow::Result<()>>,
}

impl Station {
    fn start(client: &Client, folder: &Path) -> Self {
        let options = Options::parse_from(["test", "--history-dir", folder.to_str().unwrap()]);
        let config = options.args.check(None, PartitionCount::default()).unwrap();
        let stop = CancellationToken::new();
        let running = tokio::spawn(tidemap_history::run(config, None, client.clone(), stop.clone()));
        Self { stop, running }
    }

    /// What was read is stored when a station ends.
    async fn end(self) {
        self.stop.cancel();
        self.running.await.unwrap().unwrap();
    }
}

async fn create_stream(js: &jetstream::Context) {
    let config = stream::Config {
        name: streams::HISTORY.to_owned(),
        subjects: vec![subject::ALL_MINUTES.to_owned()],
        ..stream::Config::default()
    };
    js.create_stream(config).await.unwrap();
}

/// The minute that was over an hour ago.
fn recent() -> u32 {
    u32::try_from(clock::unix_ms() / 60_000).unwrap() - 60
}

async fn tell(js: &jetstream::Context, node: &NodeId, minute: u32, rx_bytes: u64) {
    let row =
        MinuteRow { minute, samples: 60, covered_ms: 60_000, rx_bytes, tx_bytes: 1, ..MinuteRow::default() };
    let mut minutes = Minutes::new(1, clock::unix_ms());
    minutes.push(node, &row);
    let subject = subject::minutes(Slot::of(node), 1, 0);
    js.publish(subject, encode(&minutes).into()).await.unwrap().await.unwrap();
}

/// What a node has received by minute, as soon as stations answer.
async fn received(client: &Client, node: &NodeId, from: u32, minutes: u32) -> Vec<Option<u64>> {
    let ms = |minute: u32| i64::from(minute) * 60_000;
    let request = || {
        HistoryRequest::Range(RangeRequest {
            of: HistorySeries::Node(node.clone()),
            from_ms: ms(from),
            to_ms: ms(from + minutes),
            step_ms: Some(60_000),
            host: false,
            recent: None,
        })
    };
    let answered = eventually(BOUND, || ask(client, request())).await.unwrap();
    let HistoryAnswer::Range(answer) = answered else { panic!("{answered:?}") };
    answer.rx_bytes
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_become_answers_and_are_not_counted_again_by_one_that_goes_on() {
    let broker = TestBroker::start().await.unwrap();
    let client = broker.connect().await.unwrap();
    let js = jetstream::new(client.clone());
    let folder = tempfile::tempdir().unwrap();
    let (a, b) = (NodeId::from_name("a").unwrap(), NodeId::from_name("b").unwrap());
    let minute = recent();

    // There is no stream yet: the station waits for it.
    let station = Station::start(&client, folder.path());
    create_stream(&js).await;
    tell(&js, &a, minute, 5).await;
    tell(&js, &a, minute, 7).await;
    js.publish(subject::minutes(Slot::of(&a), 1, 0), "garbage".into()).await.unwrap().await.unwrap();
    tell(&js, &b, minute + 1, 11).await;
    has_read(&client, 4).await.unwrap();
    station.end().await;

    let station = Station::start(&client, folder.path());
    has_stored(&client, 4).await.unwrap();
    assert_eq!(received(&client, &a, minute, 3).await, [Some(7), None, None]);
    tell(&js, &a, minute + 2, 13).await;
    tell(&js, &a, minute, 7).await;
    has_read(&client, 6).await.unwrap();
    station.end().await;

    let station = Station::start(&client, folder.path());
    has_stored(&client, 6).await.unwrap();
    assert_eq!(received(&client, &a, minute, 3).await, [Some(7), None, Some(13)]);
    assert_eq!(received(&client, &b, minute, 3).await, [None, Some(11), None]);
    let whole = TopRequest {
        by: TopBy::Rx,
        from_ms: i64::from(minute) * 60_000,
        to_ms: i64::from(minute + 3) * 60_000,
        limit: 1,
    };
    let HistoryAnswer::Top(top) = ask(&client, HistoryRequest::Top(whole)).await.unwrap() else { panic!() };
    assert_eq!(top.nodes.iter().map(|node| (&node.node, node.rx_bytes)).collect::<Vec<_>>(), [(&a, 20)]);
    let unknown = RangeRequest {
        of: HistorySeries::Location("nowhere".to_owned()),
        from_ms: 0,
        to_ms: 60_000,
        step_ms: None,
        host: false,
        recent: None,
    };
    let refused = HistoryAnswer::Refused(HistoryError::UnknownSeries);
    assert_eq!(ask(&client, HistoryRequest::Range(unknown)).await.unwrap(), refused);
    station.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_was_created_again_is_read_from_its_beginning() {
    let mut broker = TestBroker::start().await.unwrap();
    let client = broker.connect().await.unwrap();
    let js = jetstream::new(client.clone());
    let folder = tempfile::tempdir().unwrap();
    let node = NodeId::from_name("a").unwrap();
    let minute = recent();
    create_stream(&js).await;
    for number in 0..3 {
        tell(&js, &node, minute + number, 5).await;
    }
    let station = Station::start(&client, folder.path());
    has_read(&client, 3).await.unwrap();
    station.end().await;

    broker.lose_disk().await.unwrap();
    eventually(BOUND, || async { Ok(js.query_account().await.map(drop)?) }).await.unwrap();
    create_stream(&js).await;
    tell(&js, &node, minute + 1, 9).await;
    let station = Station::start(&client, folder.path());
    has_read(&client, 1).await.unwrap();
    station.end().await;
    let station = Station::start(&client, folder.path());
    has_stored(&client, 1).await.unwrap();
    assert_eq!(received(&client, &node, minute, 3).await, [Some(5), Some(9), Some(5)]);
    station.end().await;
}
