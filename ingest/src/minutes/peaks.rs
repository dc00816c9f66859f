//! The extremes of a minute's rates in eight bytes: three decimal digits each.

use tidemap_wire::{Bps, Extremes};

/// The highest and lowest rates, each as three digits and a power of ten in one number: `1,000 × power +
/// digits`. Numbers have the order of their rates. Maxima are rounded up and minima down, so no peak is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Peaks {
    pub(super) rx_max: u16,
    pub(super) tx_max: u16,
    pub(super) rx_min: u16,
    pub(super) tx_min: u16,
}

impl Peaks {
    /// Before the first rate.
    pub(super) const NONE: Self = Self { rx_max: 0, tx_max: 0, rx_min: u16::MAX, tx_min: u16::MAX };

    pub(super) fn add(&mut self, rx: Bps, tx: Bps) {
        self.rx_max = self.rx_max.max(up(rx));
        self.tx_max = self.tx_max.max(up(tx));
        self.rx_min = self.rx_min.min(down(rx));
        self.tx_min = self.tx_min.min(down(tx));
    }

    /// In bytes per second; `None` before the first rate.
    pub(super) fn extremes(self) -> Option<Extremes> {
        (self.rx_min <= self.rx_max && self.tx_min <= self.tx_max).then(|| Extremes {
            rx_max: value(self.rx_max),
            tx_max: value(self.tx_max),
            rx_min: value(self.rx_min),
            tx_min: value(self.tx_min),
        })
    }

    /// The peaks that these extremes were made of.
    pub(super) fn of(extremes: Option<Extremes>) -> Self {
        extremes.map_or(Self::NONE, |extremes| Self {
            rx_max: code(extremes.rx_max, u64::div_ceil),
            tx_max: code(extremes.tx_max, u64::div_ceil),
            rx_min: code(extremes.rx_min, std::ops::Div::div),
            tx_min: code(extremes.tx_min, std::ops::Div::div),
        })
    }
}

fn up(rate: Bps) -> u16 {
    code(rate.get().ceil() as u64, u64::div_ceil)
}

fn down(rate: Bps) -> u16 {
    code(rate.get().floor() as u64, std::ops::Div::div)
}

/// Three digits and a power of ten.
pub(super) fn code(mut digits: u64, divide: impl Fn(u64, u64) -> u64) -> u16 {
    let mut power = 0;
    while digits > 999 {
        digits = divide(digits, 10);
        power += 1_000;
    }
    power + u16::try_from(digits).unwrap_or(999)
}

/// The number that has this code.
pub(super) fn value(code: u16) -> u64 {
    u64::from(code % 1_000).saturating_mul(10_u64.saturating_pow(u32::from(code / 1_000)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_peak_is_cut_and_three_digits_are_right(rates in proptest::collection::vec(0.0..1e14, 1..9)) {
            let mut peaks = Peaks::NONE;
            for rate in &rates {
                peaks.add(Bps::new(*rate).unwrap(), Bps::new(rate / 3e7).unwrap());
            }
            let (high, low) = (rates.iter().copied().fold(0.0, f64::max), rates.iter().copied().fold(1e15, f64::min));
            let found = peaks.extremes().unwrap();
            for (exact, high_or_low) in [(high, found.rx_max), (high / 3e7, found.tx_max)] {
                let kept = high_or_low as f64;
                prop_assert!(kept >= exact && kept <= (exact * 1.01).max(exact + 1.0), "{kept} for {exact}");
            }
            for (exact, kept) in [(low, found.rx_min), (low / 3e7, found.tx_min)] {
                let kept = kept as f64;
                prop_assert!(kept <= exact && kept >= (exact * 0.99).min(exact - 1.0), "{kept} for {exact}");
            }
            prop_assert_eq!(Peaks::of(Some(found)), peaks);
        }
    }

    #[test]
    fn digits_are_exact_below_a_thousand_and_rounded_outwards_above() {
        let mut peaks = Peaks::NONE;
        assert_eq!(peaks.extremes(), None);
        peaks.add(Bps::new(1_234_001.0).unwrap(), Bps::new(0.0).unwrap());
        peaks.add(Bps::new(999_100.0).unwrap(), Bps::new(17.0).unwrap());
        let expected = Extremes { rx_max: 1_240_000, rx_min: 999_000, tx_max: 17, tx_min: 0 };
        assert_eq!(peaks.extremes(), Some(expected));
    }
}
