//! What a node's links carry at most, and how much of it is in use.

use serde::{Deserialize, Serialize};

use crate::Bps;

/// The label by which a cap may be declared, where the agent has no flag for it: `cap=500/50`.
pub const CAP_LABEL: &str = "cap";
/// Bytes per second in a megabit per second.
const BYTES_OF_MEGABIT: f64 = 125_000.0;

/// What a node's links carry at most, in bytes per second. Never 0.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Capacity {
    /// Received.
    pub rx_bps: Bps,
    /// Sent.
    pub tx_bps: Bps,
}

impl Capacity {
    /// Reads `down/up` in megabits per second, such as `500/50` or `16/1.5`; `None` when it is not of this
    /// form, or no link's. One number stands for both ways.
    pub fn parse(text: &str) -> Option<Self> {
        let (down, up) = text.split_once('/').unwrap_or((text, text));
        let rate = |text: &str| Bps::new(text.trim().parse::<f64>().ok()? * BYTES_OF_MEGABIT);
        Some(Self { rx_bps: rate(down)?, tx_bps: rate(up)? }).filter(Self::is_plausible)
    }

    /// Links of this speed, in megabits per second.
    pub(crate) fn of_link(speed_mbps: u32) -> Option<Self> {
        let speed = Bps::new(f64::from(speed_mbps) * BYTES_OF_MEGABIT)?;
        Some(Self { rx_bps: speed, tx_bps: speed })
    }

    /// A received rate in hundredths of the capacity: the newest rate or the mean of any time. Over 100 where
    /// a device moves more than it states, as emulated ones do, or a provider gives more than it sells.
    pub fn rx_percent(&self, rate: Bps) -> f64 {
        rate.get() / self.rx_bps.get() * 100.0
    }

    /// A sent rate, in the same way.
    pub fn tx_percent(&self, rate: Bps) -> f64 {
        rate.get() / self.tx_bps.get() * 100.0
    }

    /// Whether a link may be like this. A rate below 1 byte per second would make any share of it absurd.
    pub(crate) fn is_plausible(&self) -> bool {
        let plausible = 1.0..=Bps::MAX_PLAUSIBLE;
        plausible.contains(&self.rx_bps.get()) && plausible.contains(&self.tx_bps.get())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mbps(rx: f64, tx: f64) -> Capacity {
        let rate = |mbps: f64| Bps::new(mbps * BYTES_OF_MEGABIT).unwrap();
        Capacity { rx_bps: rate(rx), tx_bps: rate(tx) }
    }

    #[test]
    fn a_cap_is_written_as_providers_sell_it() {
        for (text, expected) in [
            ("500/50", Some(mbps(500.0, 50.0))),
            (" 16 / 1.5 ", Some(mbps(16.0, 1.5))),
            ("1000", Some(mbps(1_000.0, 1_000.0))),
            ("", None),
            ("/", None),
            ("0/50", None),
            ("500/0", None),
            ("-1/50", None),
            ("500/50/5", None),
            ("500M/50M", None),
            ("NaN/1", None),
            ("inf", None),
            ("1e30/1", None),
        ] {
            assert_eq!(Capacity::parse(text), expected, "{text:?}");
        }
    }

    #[test]
    fn each_direction_is_a_share_of_its_own_capacity() {
        let capacity = mbps(500.0, 50.0);
        let rate = |mbps: f64| Bps::new(mbps * BYTES_OF_MEGABIT).unwrap();
        assert_eq!((capacity.rx_percent(rate(400.0)), capacity.tx_percent(rate(40.0))), (80.0, 80.0));
        assert_eq!((capacity.rx_percent(Bps::ZERO), capacity.tx_percent(rate(100.0))), (0.0, 200.0));
    }
}
