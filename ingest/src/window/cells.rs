//! A ring's buckets in few bytes: a node has 120 of them, and a fleet has 100,000 nodes.

use std::ops::Range;

use super::Sum;

/// `N` buckets. All have the small form until one needs a larger one.
#[derive(Clone, Debug)]
pub(super) enum Cells<const N: usize> {
    /// Up to 16 MiB each way, and up to a minute: three bytes, three and two.
    Small(Box<[Cell<8>; N]>),
    /// Up to 4 GiB each way: four bytes, four and two.
    Medium(Box<[Cell<10>; N]>),
    /// Bytes saturate at 2⁴⁸ − 1 (256 TiB in a quarter of a minute), covered time at 2²⁴ − 1 ms: after a
    /// host's clock was put back, hours of samples may fall into one bucket. Six bytes, six and three.
    Large(Box<[Cell<15>; N]>),
}

impl<const N: usize> Cells<N> {
    pub(super) fn get(&self, place: usize) -> Sum {
        match self {
            Self::Small(cells) => cells[place].get(),
            Self::Medium(cells) => cells[place].get(),
            Self::Large(cells) => cells[place].get(),
        }
    }

    /// The sum of neighbours.
    pub(super) fn sum(&self, places: Range<usize>) -> Sum {
        match self {
            Self::Small(cells) => sum(&cells[places]),
            Self::Medium(cells) => sum(&cells[places]),
            Self::Large(cells) => sum(&cells[places]),
        }
    }

    /// Empties `count` buckets, of which the last is at `place`. The buckets before the first place of the
    /// ring are at its end.
    pub(super) fn clear_last(&mut self, place: usize, count: usize) {
        let end = place + 1;
        let ranges = [end.saturating_sub(count)..end, N - count.saturating_sub(end)..N];
        for range in ranges {
            match self {
                Self::Small(cells) => cells[range].fill(Cell::default()),
                Self::Medium(cells) => cells[range].fill(Cell::default()),
                Self::Large(cells) => cells[range].fill(Cell::default()),
            }
        }
    }

    pub(super) fn set(&mut self, place: usize, sum: Sum) {
        let fits = match self {
            Self::Small(cells) => cells[place].set(sum),
            Self::Medium(cells) => cells[place].set(sum),
            Self::Large(cells) => cells[place].set(sum.min(Cell::<15>::MOST)),
        };
        if !fits {
            self.grow();
            self.set(place, sum);
        }
    }

    fn grow(&mut self) {
        *self = match self {
            Self::Small(cells) => Self::Medium(larger(cells)),
            Self::Medium(cells) => Self::Large(larger(cells)),
            Self::Large(_) => return,
        };
    }
}

impl<const N: usize> Default for Cells<N> {
    fn default() -> Self {
        Self::Small(Box::new([Cell::default(); N]))
    }
}

fn sum<const S: usize>(cells: &[Cell<S>]) -> Sum {
    cells.iter().fold(Sum::default(), |sum, cell| sum.plus(cell.get()))
}

fn larger<const N: usize, const S: usize, const T: usize>(cells: &[Cell<S>; N]) -> Box<[Cell<T>; N]> {
    let mut larger = Box::new([Cell::default(); N]);
    for (larger, cell) in larger.iter_mut().zip(cells) {
        larger.set(cell.get());
    }
    larger
}

/// A bucket in `S` bytes: bytes received, bytes sent, and what is left for the covered time; each the lowest
/// byte first.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cell<const S: usize>([u8; S]);

impl<const S: usize> Cell<S> {
    /// How many bytes each of the two counts takes.
    const COUNT: usize = (S - 2) / 2;
    /// The most that it can hold.
    const MOST: Sum = {
        let bytes = (1 << (8 * Self::COUNT)) - 1;
        Sum { rx_bytes: bytes, tx_bytes: bytes, covered_ms: (1 << (8 * (S - 2 * Self::COUNT))) - 1 }
    };

    fn get(&self) -> Sum {
        let (rx, rest) = self.0.split_at(Self::COUNT);
        let (tx, covered) = rest.split_at(Self::COUNT);
        Sum { rx_bytes: number(rx), tx_bytes: number(tx), covered_ms: number(covered) }
    }

    /// Returns whether the sum fits; when it does not, nothing has changed.
    fn set(&mut self, sum: Sum) -> bool {
        let fits = sum.min(Self::MOST) == sum;
        if fits {
            let (rx, rest) = self.0.split_at_mut(Self::COUNT);
            let (tx, covered) = rest.split_at_mut(Self::COUNT);
            for (bytes, number) in [(rx, sum.rx_bytes), (tx, sum.tx_bytes), (covered, sum.covered_ms)] {
                bytes.copy_from_slice(&number.to_le_bytes()[..bytes.len()]);
            }
        }
        fits
    }
}

impl<const S: usize> Default for Cell<S> {
    fn default() -> Self {
        Self([0; S])
    }
}

fn number(bytes: &[u8]) -> u64 {
    let mut whole = [0; 8];
    whole[..bytes.len()].copy_from_slice(bytes);
    u64::from_le_bytes(whole)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_larger_sum_widens_all_buckets_without_loss(
            sums in proptest::collection::vec((0..4_usize, 0_u32..48, 0_u32..48, 0_u32..24, any::<u64>()), 1..20),
        ) {
            let mut cells = Cells::<4>::default();
            let mut model = [Sum::default(); 4];
            for (place, rx, tx, covered, noise) in sums {
                let part = |bits: u32| noise & ((1 << bits) - 1);
                let sum = Sum { rx_bytes: part(rx), tx_bytes: part(tx), covered_ms: part(covered) };
                cells.set(place, sum);
                model[place] = sum;
                prop_assert_eq!([0, 1, 2, 3].map(|place| cells.get(place)), model);
            }
        }
    }

    #[test]
    fn the_largest_bucket_saturates() {
        let mut cells = Cells::<4>::default();
        cells.set(2, Sum { rx_bytes: u64::MAX, tx_bytes: 7, covered_ms: u64::MAX });
        assert_eq!(cells.get(2), Sum { rx_bytes: (1 << 48) - 1, tx_bytes: 7, covered_ms: (1 << 24) - 1 });
        cells.set(0, Sum { rx_bytes: 1, ..Sum::default() });
        assert!(matches!(cells, Cells::Large(_)));
    }
}
