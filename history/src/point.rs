//! What moved in a span of time, of a node or of a group: sums that add up, and extremes.
//!
//! A sum that is too large for its number is the largest number: no answer is above the truth.

use tidemap_wire::Extremes;

use crate::host_span::HostSpan;

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
    /// A few of the host's metrics, of a node.
    pub host: HostSpan,
}

impl Point {
    /// Adds another span, or another node.
    pub(crate) fn add(&mut self, other: &Self) {
        self.covered_ms = self.covered_ms.saturating_add(other.covered_ms);
        self.rx_bytes = self.rx_bytes.saturating_add(other.rx_bytes);
        self.tx_bytes = self.tx_bytes.saturating_add(other.tx_bytes);
        self.unplaced_rx = self.unplaced_rx.saturating_add(other.unplaced_rx);
        self.unplaced_tx = self.unplaced_tx.saturating_add(other.unplaced_tx);
        self.rates = joined(self.rates, other.rates);
        self.host.add(&other.host);
    }

    /// Without the extremes and the host's metrics, which say nothing of several nodes.
    #[must_use]
    pub(crate) fn sums(self) -> Self {
        Self { rates: None, host: HostSpan::default(), ..self }
    }

    /// Whether nothing moved and nothing was covered.
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// What must be added to `old` to make this, without the extremes and the host's metrics.
    pub(crate) fn beyond(&self, old: &Self) -> Change {
        let less = |new: u64, old: u64| i128::from(new) - i128::from(old);
        Change {
            covered_ms: less(self.covered_ms, old.covered_ms),
            rx_bytes: less(self.rx_bytes, old.rx_bytes),
            tx_bytes: less(self.tx_bytes, old.tx_bytes),
            unplaced_rx: less(self.unplaced_rx, old.unplaced_rx),
            unplaced_tx: less(self.unplaced_tx, old.unplaced_tx),
            rates: None,
        }
    }

    /// Changes the sums and joins the extremes. No sum becomes less than nothing: what damage has taken from
    /// them is not taken again.
    pub(crate) fn change(&mut self, change: &Change) {
        let sum = |sum: u64, change: i128| {
            let most = i128::from(u64::MAX);
            u64::try_from((i128::from(sum).saturating_add(change)).clamp(0, most)).unwrap_or(u64::MAX)
        };
        self.covered_ms = sum(self.covered_ms, change.covered_ms);
        self.rx_bytes = sum(self.rx_bytes, change.rx_bytes);
        self.tx_bytes = sum(self.tx_bytes, change.tx_bytes);
        self.unplaced_rx = sum(self.unplaced_rx, change.unplaced_rx);
        self.unplaced_tx = sum(self.unplaced_tx, change.unplaced_tx);
        self.rates = joined(self.rates, change.rates);
    }
}

/// By how much the sums of a span have changed, and which extremes have become known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Change {
    covered_ms: i128,
    rx_bytes: i128,
    tx_bytes: i128,
    unplaced_rx: i128,
    unplaced_tx: i128,
    /// Extremes that became known.
    pub rates: Option<Extremes>,
}

impl Change {
    /// Adds another change of the same span.
    pub(crate) fn add(&mut self, other: &Self) {
        self.covered_ms = self.covered_ms.saturating_add(other.covered_ms);
        self.rx_bytes = self.rx_bytes.saturating_add(other.rx_bytes);
        self.tx_bytes = self.tx_bytes.saturating_add(other.tx_bytes);
        self.unplaced_rx = self.unplaced_rx.saturating_add(other.unplaced_rx);
        self.unplaced_tx = self.unplaced_tx.saturating_add(other.unplaced_tx);
        self.rates = joined(self.rates, other.rates);
    }

    /// The same for a span of which it stays unknown how much is covered.
    pub(crate) fn without_covered(self) -> Self {
        Self { covered_ms: 0, ..self }
    }

    /// Whether nothing has changed.
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Bytes per second.
pub(crate) fn mean(bytes: u64, covered_ms: u64) -> u64 {
    u64::try_from(u128::from(bytes) * 1_000 / u128::from(covered_ms.max(1))).unwrap_or(u64::MAX)
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
    fn sums_at_the_bound_stay_there_and_none_is_less_than_nothing() {
        let point = |bytes| Point { rx_bytes: bytes, ..Point::default() };
        let mut sum = point(u64::MAX - 1);
        sum.add(&point(5));
        assert_eq!(sum, point(u64::MAX));
        let mut change = point(7).beyond(&point(0));
        change.add(&point(0).beyond(&point(9)));
        for (before, after) in [(0, 0), (1, 0), (5, 3), (u64::MAX, u64::MAX - 2)] {
            let mut sum = point(before);
            sum.change(&change);
            assert_eq!(sum, point(after));
        }
        change.add(&point(u64::MAX).beyond(&point(0)));
        sum.change(&change);
        assert_eq!(sum, point(u64::MAX));
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
