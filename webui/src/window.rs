//! Which positions of a long list are on screen, and which element shows which of them.

use std::ops::Range;

/// Rows that are drawn beyond each edge of the viewport, so that fast scrolling finds them ready.
const OVERSCAN: usize = 6;

/// The positions that a viewport of `height_px`, scrolled to `top_px`, needs of a list of `len` rows.
pub fn visible(top_px: f64, height_px: f64, row_px: f64, len: usize) -> Range<usize> {
    let first = (top_px.max(0.0) / row_px) as usize;
    let end = ((top_px + height_px).max(0.0) / row_px).ceil() as usize;
    first.saturating_sub(OVERSCAN).min(len)..(end + OVERSCAN).min(len)
}

/// The scroll offset that brings `position` into view with the least movement; `None` where it is in view
/// already.
pub fn scroll_to(position: usize, top_px: f64, height_px: f64, row_px: f64) -> Option<f64> {
    let row_top = position as f64 * row_px;
    if row_top < top_px {
        Some(row_top)
    } else if row_top + row_px > top_px + height_px {
        Some(row_top + row_px - height_px)
    } else {
        None
    }
}

/// A pool of elements, each of which shows one position or rests.
///
/// An element keeps its position as long as that is needed, so scrolling changes only the rows that come and
/// go.
#[derive(Debug, Default)]
pub struct Slots {
    positions: Vec<Option<usize>>,
}

impl Slots {
    /// The position of each element.
    pub fn positions(&self) -> &[Option<usize>] {
        &self.positions
    }

    /// The element that shows `position`.
    pub fn slot_of(&self, position: usize) -> Option<usize> {
        self.positions.iter().position(|shown| *shown == Some(position))
    }

    /// Lets every position of `wanted` be shown, by more elements if need be. The element at `pinned` has the
    /// focus and keeps its position even out of view: a focused row is never recycled.
    pub fn assign(&mut self, wanted: Range<usize>, pinned: Option<usize>) {
        let mut missing = vec![true; wanted.len()];
        for (slot, position) in self.positions.iter_mut().enumerate() {
            match *position {
                Some(shown) if wanted.contains(&shown) => missing[shown - wanted.start] = false,
                _ if pinned == Some(slot) => {}
                _ => *position = None,
            }
        }
        let mut resting = 0;
        for position in wanted.clone().filter(|position| missing[position - wanted.start]) {
            while self.positions.get(resting).is_some_and(Option::is_some) {
                resting += 1;
            }
            match self.positions.get_mut(resting) {
                Some(slot) => *slot = Some(position),
                None => self.positions.push(Some(position)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_viewport_needs_its_rows_and_some_beyond() {
        assert_eq!(visible(0.0, 100.0, 36.0, 1000), 0..9);
        assert_eq!(visible(3600.0, 100.0, 36.0, 1000), 94..109);
        assert_eq!(visible(3600.0, 100.0, 36.0, 5), 5..5);
        assert_eq!(visible(-20.0, 10.0, 36.0, 5), 0..5, "an elastic scroll goes below zero");
    }

    #[test]
    fn scrolling_to_a_row_moves_as_little_as_possible() {
        assert_eq!(scroll_to(3, 0.0, 200.0, 36.0), None);
        assert_eq!(scroll_to(9, 0.0, 200.0, 36.0), Some(160.0));
        assert_eq!(scroll_to(2, 360.0, 200.0, 36.0), Some(72.0));
    }

    proptest! {
        #[test]
        fn each_wanted_position_has_one_element_and_none_is_moved(
            moves in proptest::collection::vec((0_usize..200, 0_usize..40, proptest::option::of(0_usize..40)), 1..20),
        ) {
            let mut slots = Slots::default();
            for (start, len, pinned) in moves {
                let before = slots.positions().to_vec();
                slots.assign(start..start + len, pinned);
                for position in start..start + len {
                    let shown = slots.positions().iter().filter(|shown| **shown == Some(position)).count();
                    prop_assert_eq!(shown, 1);
                    if let Some(slot) = before.iter().position(|shown| *shown == Some(position)) {
                        prop_assert_eq!(slots.slot_of(position), Some(slot));
                    }
                }
                if let Some(focused) = pinned.and_then(|slot| before.get(slot).copied().flatten()) {
                    prop_assert_eq!(slots.positions()[pinned.unwrap()], Some(focused));
                }
                prop_assert!(slots.positions().len() <= 42, "the pool stays as large as the largest need");
            }
        }
    }
}
