//! Which of several clocks is believed.

use crate::store::Batch;

/// Clocks that differ by less agree.
const NEAR_MS: i64 = 3_600_000;

/// When a batch was stored by the broker, unless its clock stands alone against this host's and the rows':
/// one that was a year ahead for a moment would make the present the past.
pub(super) fn believable(batch: &Batch, now_ms: i64) -> i64 {
    let rows = batch.rows.iter().map(|(_, row)| row.minute);
    let mut minutes: Vec<u32> = rows.chain(batch.seconds.iter().map(|sums| sums.minute)).collect();
    minutes.sort_unstable();
    let Some(middle) = minutes.get(minutes.len() / 2) else { return batch.at_ms.min(now_ms) };
    let rows_ms = (i64::from(*middle) + 1) * 60_000;
    let near = |other: i64| (batch.at_ms - other).abs() <= NEAR_MS;
    if near(now_ms) || near(rows_ms) {
        return batch.at_ms;
    }
    let mut times = [batch.at_ms, now_ms, rows_ms];
    times.sort_unstable();
    times[1]
}

#[cfg(test)]
mod tests {
    use tidemap_wire::{MinuteRow, NodeId};

    use super::*;

    #[test]
    fn a_clock_that_stands_alone_is_not_believed() {
        const YEAR: i64 = 365 * 86_400_000;
        let now = 29_000_000 * 60_000;
        let row = |ms: i64| MinuteRow { minute: u32::try_from(ms / 60_000).unwrap(), ..MinuteRow::default() };
        let of = |broker, host, rows| {
            let rows = vec![(NodeId::from_name("a").unwrap(), row(rows))];
            (believable(&Batch { rows, at_ms: broker, ..Batch::default() }, host) - now).abs() < 120_000
        };
        assert!(of(now, now, now) && of(now + YEAR, now, now) && of(now - YEAR, now, now));
        assert!(of(now, 0, now) && of(now, now, 0), "neither the host's nor the nodes' clocks rule alone");
        // A station that was away reads what was stored then.
        assert!(of(now, now + YEAR, now));
        assert_eq!(believable(&Batch { at_ms: now + YEAR, ..Batch::default() }, now), now);
    }
}
