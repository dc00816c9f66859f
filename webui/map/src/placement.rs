//! Places a box beside the thing that it describes, inside its container.

use crate::projection::Point;

const MARGIN_PX: f64 = 8.0;

/// A width and a height, CSS pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Size {
    pub width: f64,
    pub height: f64,
}

/// The top left corner of a box `gap_px` beside `anchor`: to the right, left, below or above, on the first
/// side with enough room. If no side has enough, the box is moved inside as far as possible.
pub fn beside(anchor: Point, gap_px: f64, size: Size, container: Size) -> Point {
    let middle = Point::new(anchor.x - size.width / 2.0, anchor.y - size.height / 2.0);
    let sides = [
        Point::new(anchor.x + gap_px, middle.y),
        Point::new(anchor.x - gap_px - size.width, middle.y),
        Point::new(middle.x, anchor.y + gap_px),
        Point::new(middle.x, anchor.y - gap_px - size.height),
    ];
    let fits = |at: f64, length: f64, room: f64| at >= MARGIN_PX && at + length <= room - MARGIN_PX;
    let across = |at: &Point| fits(at.x, size.width, container.width);
    let down = |at: &Point| fits(at.y, size.height, container.height);
    // A box beside may slide up or down along its anchor, and one below or above sideways.
    let chosen = sides[..2].iter().find(|at| across(at)).or_else(|| sides[2..].iter().find(|at| down(at)));
    let Point { x, y } = *chosen.unwrap_or(&sides[2]);
    let inside = |at: f64, length: f64, room: f64| at.min(room - MARGIN_PX - length).max(MARGIN_PX);
    Point::new(inside(x, size.width, container.width), inside(y, size.height, container.height))
}

#[cfg(test)]
mod tests {
    use super::{Size, beside};
    use crate::projection::Point;

    const BOX: Size = Size { width: 240.0, height: 160.0 };
    const WIDE: Size = Size { width: 800.0, height: 600.0 };
    const PHONE: Size = Size { width: 320.0, height: 480.0 };

    fn check(x: f64, y: f64, container: Size, expected: (f64, f64)) {
        assert_eq!(beside(Point::new(x, y), 16.0, BOX, container), Point::new(expected.0, expected.1));
    }

    #[test]
    fn it_stands_on_the_side_that_has_room() {
        check(400.0, 300.0, WIDE, (416.0, 220.0));
        check(700.0, 300.0, WIDE, (444.0, 220.0));
        check(160.0, 100.0, PHONE, (40.0, 116.0));
        check(160.0, 400.0, PHONE, (40.0, 224.0));
    }

    #[test]
    fn it_never_leaves_its_container() {
        check(400.0, 2.0, WIDE, (416.0, 8.0));
        check(400.0, 599.0, WIDE, (416.0, 432.0));
        check(300.0, 10.0, PHONE, (44.0, 8.0));
    }
}
