//! What moved in a span of time, of a node or of a group: sums that add up, and extremes.

use tidemap_wire::Extremes;

/// What moved in a span of time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Point {
    /// Milliseconds that samples cover; of a group, the sum over its nodes.
    pub covered_ms: u64,
    /// Bytes received in that time.
    pub rx_bytes: u64,
    /// Bytes sent in that time.
    pub tx_bytes: u64,
    /// Bytes received up to the end of the span at a moment that is not known.
    pub unplaced_rx: u64,
    /// Bytes sent likewise.
    pub unplaced_tx: u64,
    /// The highest and lowest rates, in bytes per second.
    pub rates: Option<Extremes>,
}

impl Point {
    /// Adds another span, or another node.
    pub(crate) fn add(&mut self, other: &Self) {
        self.covered_ms = self.covered_ms.wrapping_add(other.covered_ms);
        self.rx_bytes = self.rx_bytes.wrapping_add(other.rx_bytes);
        self.tx_bytes = self.tx_bytes.wrapping_add(other.tx_bytes);
        self.unplaced_rx = self.unplaced_rx.wrapping_add(other.unplaced_rx);
        self.unplaced_tx = self.unplaced_tx.wrapping_add(other.unplaced_tx);
        self.rates = joined(self.rates, other.rates);
    }

    /// What must be added to `old` to make this, without the extremes. What is less than before is a number
    /// that wraps around.
    pub(crate) fn beyond(&self, old: &Self) -> Self {
        Self {
            covered_ms: self.covered_ms.wrapping_sub(old.covered_ms),
            rx_bytes: self.rx_bytes.wrapping_sub(old.rx_bytes),
            tx_bytes: self.tx_bytes.wrapping_sub(old.tx_bytes),
            unplaced_rx: self.unplaced_rx.wrapping_sub(old.unplaced_rx),
            unplaced_tx: self.unplaced_tx.wrapping_sub(old.unplaced_tx),
            rates: None,
        }
    }

    /// Whether nothing moved and nothing was covered.
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// The extremes of two spans.
pub(crate) fn joined(one: Option<Extremes>, two: Option<Extremes>) -> Option<Extremes> {
    match (one, two) {
        (Some(one), Some(two)) => Some(one.join(two)),
        (one, two) => one.or(two),
    }
}

/// Extremes in three digits, as samples' rates are on the wire: the highest ones rounded up, the lowest
/// down. So they take 4 bytes a minute less, no peak becomes lower, and rounding before or after a join is
/// the same.
pub(crate) fn rounded(rates: Extremes) -> Extremes {
    let down = |rate: u64| rate - rate % step(rate);
    let up = |rate: u64| down(rate.saturating_add(step(rate) - 1));
    Extremes {
        rx_max: up(rates.rx_max),
        tx_max: up(rates.tx_max),
        rx_min: down(rates.rx_min),
        tx_min: down(rates.tx_min),
    }
}

/// The distance between numbers of three digits.
fn step(rate: u64) -> u64 {
    10_u64.pow(rate.checked_ilog10().unwrap_or(0).saturating_sub(2))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(rate: u64) -> Extremes {
        rounded(Extremes { rx_max: rate, tx_max: rate, rx_min: rate, tx_min: rate })
    }

    #[test]
    fn extremes_keep_three_digits() {
        assert_eq!(
            (of(0).rx_max, of(999).rx_max, of(1_001).rx_max, of(99_950).rx_max),
            (0, 999, 1_010, 100_000)
        );
        assert_eq!(
            (of(0).tx_min, of(999).tx_min, of(1_009).tx_min, of(99_950).tx_min),
            (0, 999, 1_000, 99_900)
        );
    }

    proptest! {
        #[test]
        fn rounding_encloses_changes_nothing_twice_and_keeps_the_order(one in 0..1_u64 << 62, two in 0..1_u64 << 62) {
            let [low, high] = [one.min(two), one.max(two)];
            prop_assert!(of(high).rx_max >= high && of(low).rx_min <= low);
            prop_assert!(of(high).rx_max >= of(low).rx_max && of(high).rx_min >= of(low).rx_min);
            prop_assert!(of(high).rx_max - high <= high / 100);
            prop_assert_eq!(rounded(of(one)), of(one));
        }
    }
}
