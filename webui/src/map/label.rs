//! Which labels are written: those that nothing hides and that hide nothing.

/// A label's or a bubble's place on the screen, CSS pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Extent {
    pub left: f64,
    pub top: f64,
    pub right: f64,
    pub bottom: f64,
}

/// What is taken already. Ask in order of importance.
#[derive(Clone, Debug, Default)]
pub struct Labels {
    taken: Vec<Extent>,
}

impl Extent {
    /// The square round a circle.
    pub fn round(x: f64, y: f64, radius: f64) -> Self {
        Self { left: x - radius, top: y - radius, right: x + radius, bottom: y + radius }
    }

    fn overlaps(&self, other: &Self) -> bool {
        self.left < other.right
            && other.left < self.right
            && self.top < other.bottom
            && other.top < self.bottom
    }
}

impl Labels {
    /// Keeps a place free of labels.
    pub fn block(&mut self, extent: Extent) {
        self.taken.push(extent);
    }

    /// Takes a place for a label, if all of it is free.
    pub fn take(&mut self, extent: Extent) -> bool {
        let free = !self.taken.iter().any(|taken| taken.overlaps(&extent));
        if free {
            self.taken.push(extent);
        }
        free
    }
}

#[cfg(test)]
mod tests {
    use super::{Extent, Labels};

    #[test]
    fn the_first_label_wins_and_bubbles_are_never_covered() {
        let mut labels = Labels::default();
        labels.block(Extent::round(50.0, 50.0, 10.0));
        let at = |left: f64, top: f64| Extent { left, top, right: left + 80.0, bottom: top + 14.0 };
        assert!(!labels.take(at(0.0, 50.0)));
        assert!(labels.take(at(10.0, 60.0)));
        assert!(!labels.take(at(60.0, 70.0)));
        assert!(labels.take(at(60.0, 74.0)));
    }
}
