//! Two APIs at one broker: they show the same rows, and a client of one can resume at the other.

use std::{collections::BTreeMap, time::Duration};

use anyhow::ensure;
use serde_json::Value;
use tidemap_testkit::{
    broker::TestBroker,
    eventually,
    http::{SseEvent, events, get_json},
    undisturbed, within,
};
use tidemap_wire::{
    http::StatsJson,
    stream::{Columns, DeltaEvent, SnapshotEvent, decode_rows},
};
use tokio::sync::mpsc::Receiver;

const NODES: u32 = 300;
const EVENT_TIMEOUT: Duration = Duration::from_secs(20);

/// What a browser shows of a row: its name, status, download and upload.
type Row = (String, u8, Option<u64>, Option<u64>);

#[derive(Debug, Default)]
struct Browser {
    rows: BTreeMap<u32, Row>,
    place: Option<String>,
    snapshots: usize,
    deltas: usize,
}

impl Browser {
    fn show(&mut self, event: SseEvent) {
        self.place = event.id.or(self.place.take());
        match event.name.as_str() {
            "snapshot" => {
                let SnapshotEvent { nodes, .. } = serde_json::from_value(event.data).unwrap();
                self.rows.clear();
                self.put((0..).take(nodes.name.len()), &nodes);
                self.snapshots += 1;
            }
            "delta" => {
                self.change(&serde_json::from_value(event.data).unwrap());
                self.deltas += 1;
            }
            _ => {}
        }
    }

    fn change(&mut self, delta: &DeltaEvent) {
        for row in decode_rows(&delta.gone).unwrap() {
            self.rows.remove(&row);
        }
        if let Some(put) = &delta.put {
            self.put(decode_rows(&put.i).unwrap().into_iter(), &put.nodes);
        }
        if let Some(change) = &delta.status {
            for (row, status) in decode_rows(&change.i).unwrap().iter().zip(&change.status) {
                self.rows.get_mut(row).unwrap().1 = *status;
            }
        }
        if let Some(change) = &delta.rates {
            for (row, (rx, tx)) in
                decode_rows(&change.i).unwrap().iter().zip(change.rx.iter().zip(&change.tx))
            {
                let shown = self.rows.get_mut(row).unwrap();
                (shown.2, shown.3) = (*rx, *tx);
            }
        }
    }

    fn put(&mut self, rows: impl Iterator<Item = u32>, nodes: &Columns) {
        for (place, row) in rows.enumerate() {
            match &nodes.name[place] {
                Some(name) => {
                    let shown = (name.clone(), nodes.status[place], nodes.rx[place], nodes.tx[place]);
                    self.rows.insert(row, shown);
                }
                None => drop(self.rows.remove(&row)),
            }
        }
    }

    /// Follows a stream until it has shown this many more deltas.
    async fn follow(&mut self, stream: &mut Receiver<SseEvent>, deltas: usize) {
        let until = self.deltas + deltas;
        while self.deltas < until {
            self.show(within(EVENT_TIMEOUT, stream.recv()).await.unwrap().unwrap());
        }
    }

    /// Follows a stream as far as it has come.
    fn catch_up(&mut self, stream: &mut Receiver<SseEvent>) {
        while let Ok(event) = stream.try_recv() {
            self.show(event);
        }
    }
}

#[tokio::test]
async fn a_browser_goes_on_at_another_api_where_it_left_the_first() {
    // An API that has missed a partition for a moment has no position to resume from for 4 s.
    undisturbed(goes_on_at_another_api).await.unwrap();
}

async fn goes_on_at_another_api() -> anyhow::Result<()> {
    let broker = TestBroker::start().await.unwrap();
    let _worker = broker.ingest(&[]).unwrap();
    let (_one, one) = broker.api().await.unwrap();
    let (_other, other) = broker.api().await.unwrap();
    let fleet = broker.simulate(NODES).unwrap();
    for url in [&one, &other] {
        eventually(EVENT_TIMEOUT, || async {
            let stats: StatsJson = get_json(format!("{url}/api/stats")).await?;
            ensure!(stats.total_nodes == u64::from(NODES) && stats.partitions_fresh == 8, "{stats:?}");
            Ok(())
        })
        .await
        .unwrap();
    }
    let stream =
        |url: &str, place: Option<&str>| events(format!("{url}/api/stream"), place.map(str::to_owned));
    let mut browser = Browser::default();
    // For more ticks than an API replays, which both APIs must hold.
    browser.follow(&mut stream(&one, None), 24).await;
    let mut switches = 0;
    for url in [&other, &one, &other] {
        let place = browser.place.clone().unwrap();
        let mut stream = stream(url, Some(&place));
        browser.follow(&mut stream, 24).await;
        switches += 1;
        eprintln!("after {switches} switches: at {place}, {} snapshots", browser.snapshots);
    }
    ensure!(browser.snapshots == 1, "the stream starts again and does not resume");

    // When the fleet has fallen silent, all must show the same in the same rows.
    let place = browser.place.clone().unwrap();
    let (mut resumed, mut first, mut second) =
        (stream(&one, Some(&place)), stream(&one, None), stream(&other, None));
    drop(fleet);
    let mut fresh = [Browser::default(), Browser::default()];
    eventually(EVENT_TIMEOUT, || {
        browser.catch_up(&mut resumed);
        fresh[0].catch_up(&mut first);
        fresh[1].catch_up(&mut second);
        let same = browser.rows == fresh[0].rows && browser.rows == fresh[1].rows;
        let silent = browser.rows.values().all(|row| row.1 > 0);
        let count = browser.rows.len();
        async move {
            ensure!(
                same && silent && count == NODES as usize,
                "{count} rows, the same: {same}, silent: {silent}"
            );
            Ok(())
        }
    })
    .await
    .unwrap();
    ensure!(browser.snapshots == 1, "the stream starts again and does not resume");
    let names = |url: &str| get_json::<Vec<Value>>(format!("{url}/api/nodes"));
    let (at_one, at_other) = (names(&one).await.unwrap(), names(&other).await.unwrap());
    let name = |node: &Value| node["name"].clone();
    assert_eq!(at_one.iter().map(name).collect::<Vec<_>>(), at_other.iter().map(name).collect::<Vec<_>>());
    Ok(())
}

#[tokio::test]
async fn copies_that_a_single_broker_cannot_keep_are_refused_at_once() {
    let broker = TestBroker::start().await.unwrap();
    let mut worker = broker.ingest(&["--replicas", "3"]).unwrap();
    assert_eq!(worker.ended().await.unwrap().code(), Some(64));
    let log = worker.log();
    let errors: Vec<&str> = log.lines().filter(|line| line.contains("--replicas")).collect();
    assert_eq!(errors.len(), 1, "{log}");
    assert!(errors[0].starts_with("error: --replicas 3: the broker is a single server"), "{log}");
    assert!(!log.contains("trying again"), "{log}");
}
