//! A reader of `/api/stream` that behaves like a browser, and measures how long nothing changes on the page.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::ensure;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tidemap_wire::{
    NodeId, Partition, PartitionCount, Slot,
    stream::{Columns, DeltaEvent, SnapshotEvent, decode_rows},
};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};

use crate::{
    eventually,
    http::{SseEvent, events_with_retry},
};

/// How long a page that stands still may take to change again.
const STANDSTILL_TIMEOUT: Duration = Duration::from_secs(20);

/// A reader, ended on drop.
pub struct Viewer {
    page: Arc<Mutex<Page>>,
    _reading: JoinSet<()>,
}

/// The part of the page's state that shows whether it changes.
#[derive(Debug, Default)]
struct Page {
    /// The partition of each row's node.
    rows: BTreeMap<u32, Partition>,
    /// When rates of a partition's nodes last changed.
    moved_at: BTreeMap<Partition, Instant>,
    /// The longest standstill of any partition since the last call of `longest_standstill`.
    longest: Duration,
    /// The id of the event after which to resume at another API.
    place: Option<String>,
    snapshots: u64,
}

impl Viewer {
    /// Starts to read at an API.
    pub fn start(api_url: &str) -> Self {
        Self::start_among(vec![api_url.to_owned()])
    }

    /// Starts to read at the first of several APIs. When one ends the stream, it waits as a browser does, and
    /// resumes at the next one.
    pub fn start_among(api_urls: Vec<String>) -> Self {
        let page = Arc::new(Mutex::new(Page::default()));
        let mut reading = JoinSet::new();
        reading.spawn(read_on(api_urls, Arc::clone(&page)));
        Self { page, _reading: reading }
    }

    /// How often the page started over, with a snapshot of everything.
    pub fn snapshots(&self) -> u64 {
        self.page.lock().unwrap_or_else(PoisonError::into_inner).snapshots
    }

    /// Waits until rates of every partition's nodes have changed once more, and returns the longest time
    /// without a change in any partition since the last call.
    pub async fn longest_standstill(&self) -> anyhow::Result<Duration> {
        let asked_at = Instant::now();
        eventually(STANDSTILL_TIMEOUT, || async {
            let mut page = self.page.lock().unwrap_or_else(PoisonError::into_inner);
            let moving = page.moved_at.values().filter(|moved_at| **moved_at > asked_at).count();
            ensure!(moving == usize::from(PartitionCount::default().get()), "{moving} partitions move");
            Ok(std::mem::take(&mut page.longest))
        })
        .await
    }
}

impl Page {
    fn show(&mut self, event: SseEvent, now: Instant) {
        self.place = event.id.or(self.place.take());
        match event.name.as_str() {
            "snapshot" => {
                let Some(snapshot) = read::<SnapshotEvent>(event.data) else { return };
                self.rows.clear();
                self.snapshots += 1;
                let count = snapshot.nodes.name.len();
                self.put((0..).take(count), &snapshot.nodes);
            }
            "delta" => {
                let Some(delta) = read::<DeltaEvent>(event.data) else { return };
                if let Some(put) = &delta.put {
                    self.put(decode_rows(&put.i).into_iter().flatten(), &put.nodes);
                }
                for row in delta.rates.iter().filter_map(|rates| decode_rows(&rates.i)).flatten() {
                    self.moved(row, now);
                }
            }
            _ => {}
        }
    }

    fn put(&mut self, rows: impl Iterator<Item = u32>, nodes: &Columns) {
        for (row, name) in rows.zip(&nodes.name) {
            let node = name.as_deref().and_then(|name| NodeId::from_name(name).ok());
            let partition = node.map(|node| PartitionCount::default().of(Slot::of(&node)));
            self.rows.extend(partition.map(|partition| (row, partition)));
        }
    }

    fn moved(&mut self, row: u32, now: Instant) {
        let Some(partition) = self.rows.get(&row) else { return };
        if let Some(before) = self.moved_at.insert(*partition, now) {
            self.longest = self.longest.max(now - before);
        }
    }
}

async fn read_on(api_urls: Vec<String>, page: Arc<Mutex<Page>>) {
    let retry_ms = Arc::new(AtomicU64::new(0));
    for api_url in api_urls.iter().cycle() {
        let place = page.lock().unwrap_or_else(PoisonError::into_inner).place.clone();
        let mut stream = events_with_retry(format!("{api_url}/api/stream"), place, Arc::clone(&retry_ms));
        while let Some(event) = stream.recv().await {
            page.lock().unwrap_or_else(PoisonError::into_inner).show(event, Instant::now());
        }
        sleep(Duration::from_millis(retry_ms.load(Ordering::Relaxed))).await;
    }
}

fn read<T: DeserializeOwned>(data: Value) -> Option<T> {
    serde_json::from_value(data).ok()
}
