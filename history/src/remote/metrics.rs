//! How a minute's numbers are called in the other database, and what a span of minutes has of each. Metrics
//! of hosts are not sent.

use tidemap_wire::Extremes;

use crate::point::Point;

/// One of a minute's numbers.
#[derive(Debug)]
pub(crate) struct Metric {
    /// What follows `tidemap_minute_`.
    pub column: &'static str,
    /// The name of its series.
    pub name: &'static str,
    /// The function of PromQL that puts minutes together.
    pub over: &'static str,
    /// A minute's number, if it has one.
    pub of: fn(&Point) -> Option<u64>,
}

const SUM: &str = "sum_over_time";
const MAX: &str = "max_over_time";
const MIN: &str = "min_over_time";

macro_rules! metric {
    ($column:literal, $over:expr, $of:expr) => {
        Metric { column: $column, name: concat!("tidemap_minute_", $column), over: $over, of: $of }
    };
}

/// All of them.
pub(crate) const METRICS: [Metric; 9] = [
    metric!("covered_ms", SUM, |point| Some(point.covered_ms)),
    metric!("rx_bytes", SUM, |point| Some(point.rx_bytes)),
    metric!("tx_bytes", SUM, |point| Some(point.tx_bytes)),
    metric!("rx_max_bps", MAX, |point| point.rates.map(|rates| rates.rx_max)),
    metric!("tx_max_bps", MAX, |point| point.rates.map(|rates| rates.tx_max)),
    metric!("rx_min_bps", MIN, |point| point.rates.map(|rates| rates.rx_min)),
    metric!("tx_min_bps", MIN, |point| point.rates.map(|rates| rates.tx_min)),
    // Nearly always nothing.
    metric!("unplaced_rx_bytes", SUM, |point| Some(point.unplaced_rx).filter(|bytes| *bytes > 0)),
    metric!("unplaced_tx_bytes", SUM, |point| Some(point.unplaced_tx).filter(|bytes| *bytes > 0)),
];

/// The span of which all numbers are known, each by its column.
pub(crate) fn point(of: impl Fn(&str) -> Option<u64>) -> Point {
    let sum = |column| of(column).unwrap_or_default();
    let rates = || {
        Some(Extremes {
            rx_max: of("rx_max_bps")?,
            tx_max: of("tx_max_bps")?,
            rx_min: of("rx_min_bps")?,
            tx_min: of("tx_min_bps")?,
        })
    };
    Point {
        covered_ms: sum("covered_ms"),
        rx_bytes: sum("rx_bytes"),
        tx_bytes: sum("tx_bytes"),
        unplaced_rx: sum("unplaced_rx_bytes"),
        unplaced_tx: sum("unplaced_tx_bytes"),
        rates: rates(),
        ..Point::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_is_the_same_again() {
        let rates = Extremes { rx_max: 9, tx_max: 8, rx_min: 2, tx_min: 1 };
        let one = Point {
            covered_ms: 1,
            rx_bytes: 2,
            tx_bytes: 3,
            unplaced_rx: 4,
            unplaced_tx: 5,
            rates: Some(rates),
            ..Point::default()
        };
        for point_of in [one, Point { unplaced_rx: 0, rates: None, ..one }, Point::default()] {
            let of = |column: &str| {
                let metric = METRICS.iter().find(|metric| metric.column == column)?;
                assert_eq!(metric.name, format!("tidemap_minute_{column}"));
                (metric.of)(&point_of)
            };
            assert_eq!(point(of), point_of);
        }
    }
}
