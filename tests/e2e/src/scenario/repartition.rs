//! The fleet is divided into another number of partitions.

use anyhow::ensure;
use tidemap_testkit::eventually;

use super::{RECOVERY_TIMEOUT, Scenario, station};

impl Scenario {
    /// Ends all workers, divides the fleet, starts as many workers as before and waits until they have read
    /// everything. The fleet goes on to report; the API knows the default number of partitions alone.
    pub async fn repartition(&mut self, partitions: u16) -> anyhow::Result<()> {
        let mut workers = std::mem::take(&mut self.workers);
        for worker in &mut workers {
            ensure!(worker.terminate().await?.success(), "a worker ended badly: {}", worker.log());
        }
        let text = partitions.to_string();
        let divide = ["repartition", "--partitions", &text];
        let mut divide = station(&self.program, &divide, &self.url, &self.keys.service_seed_path())?;
        ensure!(divide.ended().await?.success(), "{}", divide.log());
        self.watch.forget_partitions();
        if let Some(place) = self.ingest.iter().position(|arg| arg == "--partitions") {
            self.ingest.drain(place..place + 2);
        }
        self.ingest.extend(["--partitions".to_owned(), text]);
        for _ in &workers {
            self.add_worker()?;
        }
        eventually(RECOVERY_TIMEOUT, || async {
            let seen = self.watch.seen();
            let newest = seen.newest();
            let behind = newest.values().filter(|stats| stats.lag > 0).count();
            let (known, all) = (newest.len(), usize::from(partitions));
            ensure!(
                known == all && behind == 0,
                "{known} of {all} partitions have owners, {behind} are behind"
            );
            Ok(())
        })
        .await
    }
}
