//! Rows and late samples within what a host can move.

use super::{LateSample, MinuteRow};
use crate::{
    Bps,
    bounds::{COUNTED_BYTES, MINUTE_BYTES, MINUTE_MS, RUNS, SAMPLE_MS},
};

impl MinuteRow {
    /// Cuts off what no host moves in a minute, and the counters of too many runs. Returns whether there was
    /// any.
    pub fn bound(&mut self) -> bool {
        let before = self.clone();
        self.covered_ms = self.covered_ms.min(MINUTE_MS);
        self.rx_bytes = self.rx_bytes.min(MINUTE_BYTES);
        self.tx_bytes = self.tx_bytes.min(MINUTE_BYTES);
        if let Some(rates) = &mut self.rates {
            let peak = Bps::MAX_PLAUSIBLE as u64;
            (rates.rx_max, rates.tx_max) = (rates.rx_max.min(peak), rates.tx_max.min(peak));
            (rates.rx_min, rates.tx_min) = (rates.rx_min.min(rates.rx_max), rates.tx_min.min(rates.tx_max));
        }
        self.host.bound();
        for run in &mut self.counters {
            run.rx_bytes = run.rx_bytes.min(COUNTED_BYTES);
            run.tx_bytes = run.tx_bytes.min(COUNTED_BYTES);
        }
        self.counters.sort_by_key(|run| run.boot);
        self.counters.dedup_by_key(|run| run.boot);
        self.counters.truncate(RUNS);
        *self != before
    }
}

impl LateSample {
    /// Cuts off what no host moves in a sample. Returns whether there was any.
    pub fn bound(&mut self) -> bool {
        let before = *self;
        self.covered_ms = self.covered_ms.min(SAMPLE_MS);
        self.rx_bytes = self.rx_bytes.min(MINUTE_BYTES);
        self.tx_bytes = self.tx_bytes.min(MINUTE_BYTES);
        *self != before
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{Extremes, HostMinute, RunCounters},
        *,
    };
    use crate::bounds::{FIRST_MINUTE, SHARE};

    #[test]
    fn a_row_is_cut_to_what_a_host_can_move_in_a_minute_once() {
        let most = u64::MAX;
        let run = |boot| RunCounters { boot, since: 1, rx_bytes: most, tx_bytes: most };
        let mut row = MinuteRow {
            minute: FIRST_MINUTE,
            samples: u32::MAX,
            covered_ms: u32::MAX,
            rx_bytes: most,
            tx_bytes: most,
            rates: Some(Extremes { rx_max: most, tx_max: 7, rx_min: most, tx_min: most }),
            host: HostMinute { memory_max: Some(u16::MAX), ..HostMinute::default() },
            counters: (0..100).rev().chain(0..100).map(run).collect(),
        };
        assert!(row.bound());
        assert_eq!((row.covered_ms, row.rx_bytes, row.tx_bytes), (MINUTE_MS, MINUTE_BYTES, MINUTE_BYTES));
        let peak = 100_000_000_000_000;
        assert_eq!(row.rates, Some(Extremes { rx_max: peak, tx_max: 7, rx_min: peak, tx_min: 7 }));
        assert_eq!(row.host.memory_max, Some(SHARE));
        let runs: Vec<u64> = row.counters.iter().map(|run| run.boot).collect();
        assert_eq!(runs, (0..32).collect::<Vec<u64>>());
        assert!(row.counters.iter().all(|run| run.rx_bytes == COUNTED_BYTES));
        assert!(!row.bound(), "what was cut is within the bounds");
        let mut sample =
            LateSample { minute: 1, boot: 2, seq: 3, covered_ms: u32::MAX, rx_bytes: most, tx_bytes: most };
        assert!(sample.bound() && sample.covered_ms == SAMPLE_MS && !sample.bound());
    }
}
