//! A partition's totals.

use tidemap_wire::{PartitionStats, Status};

use super::PartitionState;

impl PartitionState {
    /// Totals, without partition, epoch, owner and position, which the caller knows.
    pub fn stats(&self) -> PartitionStats {
        let mut stats = PartitionStats {
            samples: self.samples,
            total_samples: self.forgotten_samples,
            duplicates: self.duplicates,
            late: self.late,
            refused: self
                .refused
                .iter()
                .map(|(refusal, count)| (refusal.name().to_owned(), *count))
                .collect(),
            ..PartitionStats::default()
        };
        if self.history_lost > 0 {
            stats.refused.insert("history_lost".to_owned(), self.history_lost);
        }
        for (_, node) in self.nodes.all() {
            stats.total_samples += node.samples();
            match node.status() {
                Status::Online => stats.online += 1,
                Status::Warning => stats.warning += 1,
                // A worker knows each node that it judges.
                Status::Offline | Status::Unknown => stats.offline += 1,
            }
            if node.status() == Status::Online {
                let (rx, tx) = node.rates();
                stats.rx_bps = [Some(stats.rx_bps), rx].into_iter().flatten().sum();
                stats.tx_bps = [Some(stats.tx_bps), tx].into_iter().flatten().sum();
                let (rx_avg, tx_avg) = node.windows().averages();
                stats.rx_avg.add(&rx_avg);
                stats.tx_avg.add(&tx_avg);
            }
        }
        stats
    }
}
