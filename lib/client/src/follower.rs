//! A view of the fleet that keeps itself up to date.

use async_nats::Client;
use tidemap_service::clock;
use tidemap_wire::{PartitionCount, timing};
use tokio::time::{Instant, sleep_until};

use crate::{feed::Feed, fleet::Fleet};

/// When the next tick is due: at the same time in every process with the same clock.
pub fn next_tick() -> Instant {
    clock::next_multiple(timing::TICK, timing::READER_OFFSET)
}

/// Follows all partitions.
#[derive(Debug)]
pub struct Follower {
    feed: Feed,
    fleet: Fleet,
    tick_at: Instant,
}

impl Follower {
    /// Subscribes to all partitions. `count` is the number of partitions that ingest workers run with. The
    /// view is empty until the first answers arrive, see [`Fleet::is_followed`].
    ///
    /// # Errors
    ///
    /// When the connection was closed.
    pub async fn start(client: Client, count: PartitionCount) -> anyhow::Result<Self> {
        let feed = Feed::subscribe(client, count).await?;
        Ok(Self { feed, fleet: Fleet::new(count), tick_at: next_tick() })
    }

    /// Waits for the next tick, four times a second, and applies all messages that arrive before it. Returns
    /// the rows whose nodes changed, joined, left or were forgotten since the previous tick, for
    /// [`Fleet::at`]. Cancel safe: nothing is lost when the wait is dropped.
    ///
    /// # Errors
    ///
    /// When the connection was closed.
    pub async fn tick(&mut self) -> anyhow::Result<Vec<u32>> {
        loop {
            tokio::select! {
                // A message has arrived.
                message = self.feed.next() => self.fleet.apply(message?, Instant::now()),
                // A tick is due.
                () = sleep_until(self.tick_at) => break,
            }
        }
        self.tick_at = next_tick();
        for partition in self.fleet.settle(Instant::now()) {
            self.feed.request_snapshot(partition);
        }
        Ok(self.fleet.take_changed())
    }

    /// The view as of now.
    pub fn fleet(&self) -> &Fleet {
        &self.fleet
    }
}
