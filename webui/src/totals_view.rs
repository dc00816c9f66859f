//! The fleet's totals, ready to be shown.

use tidemap_format as format;
use tidemap_wire::http::StatsJson;

use crate::totals::{Direction, Totals};
use tidemap_parts::chart::Sparkline;

/// The box of a total's small line.
pub const LINE_SIZE: (u32, u32) = (600, 100);

/// What the fleet moves now and has moved in the last minutes.
#[derive(Clone, Debug, PartialEq)]
pub struct TotalsView {
    /// The newest totals.
    pub stats: StatsJson,
    /// The last five minutes of download.
    pub download: Sparkline,
    /// The last five minutes of upload.
    pub upload: Sparkline,
    /// Download in relation to that of five minutes ago.
    pub download_change: Option<f64>,
    /// Upload, likewise.
    pub upload_change: Option<f64>,
}

impl TotalsView {
    /// The newest totals with those before them.
    pub fn new(stats: StatsJson, totals: &Totals) -> Self {
        let line = |direction| Sparkline::new(&totals.line(direction), LINE_SIZE.0, LINE_SIZE.1);
        Self {
            stats,
            download: line(Direction::Download),
            upload: line(Direction::Upload),
            download_change: totals.change(Direction::Download),
            upload_change: totals.change(Direction::Upload),
        }
    }

    /// The mean download of a node that is online; unknown when none is.
    pub fn mean_rx_bps(&self) -> Option<f64> {
        (self.stats.online_nodes > 0).then_some(self.stats.avg_network_rx_bytes_per_sec)
    }

    /// The mean upload, likewise.
    pub fn mean_tx_bps(&self) -> Option<f64> {
        (self.stats.online_nodes > 0).then_some(self.stats.avg_network_tx_bytes_per_sec)
    }
}

/// A change as words say it: `+12 %`, `−3 %`, `3.4 ×`.
pub fn change(change: f64) -> String {
    if change >= 2.0 {
        return format::fixed(change + 1.0, 1) + " ×";
    }
    let sign = match (change * 100.0).round() {
        percent if percent > 0.0 => "+",
        percent if percent < 0.0 => "−",
        _ => "±",
    };
    sign.to_owned() + &format::percent(Some(change.abs() * 100.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_said_in_percent_or_as_a_multiple() {
        for (value, text) in
            [(0.0, "±0 %"), (0.124, "+12 %"), (-0.031, "−3 %"), (2.4, "3.4 ×"), (-1.0, "−100 %")]
        {
            assert_eq!(change(value), text);
        }
    }

    #[test]
    fn a_fleet_with_nobody_online_has_no_mean() {
        let view = TotalsView::new(StatsJson::default(), &Totals::default());
        assert_eq!((view.mean_rx_bps(), view.mean_tx_bps()), (None, None));
    }
}
