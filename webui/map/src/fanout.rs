//! Nodes at exactly one place, spread round it so that each can be seen and chosen.

use std::f64::consts::TAU;

use crate::projection::Point;
use tidemap_format::lean;

/// More than this many are shown as a list instead.
pub const MAX_FAN: usize = 36;

/// The distance between the centres of neighbours, a comfortable target for a pointer.
const SPACING_PX: f64 = 30.0;
/// From the place to the innermost ring.
const FIRST_RING_PX: f64 = 38.0;
/// Up to this many are on one ring.
const ONE_RING: usize = 14;

/// The position of each of `count` nodes, relative to their place, beginning at the top: on one ring if that
/// is not too wide, else on several, the inner ones filled first.
pub fn offsets(count: usize) -> Vec<Point> {
    let mut offsets = Vec::with_capacity(count);
    let widest_px = SPACING_PX * ONE_RING as f64 / TAU;
    let mut radius_px = lean::clamp(SPACING_PX * count as f64 / TAU, FIRST_RING_PX, widest_px);
    if count > ONE_RING {
        radius_px = FIRST_RING_PX;
    }
    while offsets.len() < count {
        // A little more than the ring holds exactly: rounding must not open a second one for the last node.
        let room = (TAU * radius_px / SPACING_PX + 0.01) as usize;
        let on_ring = room.min(count - offsets.len());
        for at in 0..on_ring {
            let angle = TAU * (at as f64 / on_ring as f64 - 0.25);
            offsets.push(Point::new(radius_px * lean::cos(angle), radius_px * lean::sin(angle)));
        }
        radius_px += SPACING_PX;
    }
    offsets
}

/// The radius of the circle that holds them all.
pub fn radius_px(count: usize) -> f64 {
    offsets(count).iter().map(|it| it.distance(Point::default())).fold(0.0, f64::max) + SPACING_PX / 2.0
}

/// Which of `count` nodes a click at `at` hits, relative to their place.
pub fn pick(count: usize, at: Point) -> Option<usize> {
    offsets(count).iter().position(|offset| offset.distance(at) <= SPACING_PX / 2.0)
}

#[cfg(test)]
mod tests {
    use super::{MAX_FAN, SPACING_PX, offsets, pick, radius_px};
    use crate::projection::Point;

    #[test]
    fn neighbours_keep_their_distance() {
        for count in 1..=MAX_FAN {
            let offsets = offsets(count);
            assert_eq!(offsets.len(), count);
            for (number, a) in offsets.iter().enumerate() {
                for b in &offsets[number + 1..] {
                    // The chord between neighbours is a little shorter than the arc.
                    assert!(a.distance(*b) >= SPACING_PX * 0.9, "{count}: {a:?} {b:?}");
                }
            }
        }
    }

    #[test]
    fn a_click_finds_the_node_that_is_there() {
        for (number, offset) in offsets(20).into_iter().enumerate() {
            assert_eq!(pick(20, offset), Some(number));
        }
        assert_eq!(pick(20, Point::new(0.0, 0.0)), None);
    }

    #[test]
    fn a_few_stand_on_one_ring_and_all_fit_on_a_phone() {
        let rings = |count: usize| {
            let mut radii: Vec<i32> =
                offsets(count).iter().map(|it| it.distance(Point::default()).round() as i32).collect();
            radii.dedup();
            radii.len()
        };
        assert_eq!([2, 7, 10, 14, 15, MAX_FAN].map(rings), [1, 1, 1, 1, 2, 3]);
        assert!(radius_px(MAX_FAN) < 140.0);
    }
}
