//! Nodes sorted into the cells of a grid, so that neighbours are found without looking at all of them.

use std::ops::RangeInclusive;

use crate::places::Places;
use crate::projection::{Point, Viewport};
use crate::rank;

/// A cell's side, CSS pixels. Also what counts as crowded is counted per cell.
pub const CELL_PX: f64 = 48.0;

/// Along each side of a cell.
const SPOTS_PER_CELL: u64 = 6;
const SPOT_BITS: u32 = 6;

/// Nodes sorted into the cells of one zoom. Cells are laid over the world, not over the window, so that
/// panning changes nothing.
#[derive(Clone, Debug, Default)]
pub struct Grid {
    world_px: f64,
    /// Positions in the columns of [`Places`], cell by cell, within a cell spot by spot, and on a spot site
    /// by site.
    order: Vec<u32>,
    /// Each cell that holds something, ascending, and where it begins in `order`.
    cells: Vec<(u64, u32)>,
}

impl Grid {
    /// Sorts all nodes into cells of a world that is this many pixels wide.
    pub fn new(places: &Places, world_px: f64) -> Self {
        let spot = |at: u32| spot(places.x[at as usize], places.y[at as usize], world_px);
        let ranked = rank::ascending(places.by_site.iter().map(|&at| spot(at)));
        let order: Vec<u32> = ranked.into_iter().map(|position| places.by_site[position as usize]).collect();
        let mut cells: Vec<(u64, u32)> = Vec::new();
        for (position, &at) in order.iter().enumerate() {
            let cell = spot(at) >> SPOT_BITS;
            if cells.last().is_none_or(|last| last.0 != cell) {
                cells.push((cell, position as u32));
            }
        }
        Self { world_px, order, cells }
    }

    /// The world's width that the cells were made for.
    pub fn world_px(&self) -> f64 {
        self.world_px
    }

    /// All nodes, as positions in the columns of [`Places`], neighbours together.
    pub fn order(&self) -> &[u32] {
        &self.order
    }

    /// The members of each cell that holds something.
    pub fn cells(&self) -> impl Iterator<Item = &[u32]> {
        (0..self.cells.len()).map(|number| self.members(number))
    }

    /// A cell's members by the spots that they stand on: squares of 8 px, where markers mostly hide each
    /// other.
    pub fn spots<'m, 'p>(
        &self,
        members: &'m [u32],
        places: &'p Places,
    ) -> impl Iterator<Item = &'m [u32]> + use<'m, 'p> {
        let world_px = self.world_px;
        let spot = move |&at: &u32| spot(places.x[at as usize], places.y[at as usize], world_px);
        members.chunk_by(move |a, b| spot(a) == spot(b))
    }

    /// The nearest node within reach that is `pickable`.
    pub fn nearest(
        &self,
        viewport: &Viewport,
        at: Point,
        reach_px: f64,
        places: &Places,
        pickable: impl Fn(usize) -> bool,
    ) -> Option<usize> {
        let mut best = None;
        let mut best_px = reach_px;
        for cell in self.cells_near(viewport, at, reach_px) {
            for &member in self.cell(cell) {
                let member = member as usize;
                let distance_px = viewport.to_point(places.world(member)).distance(at);
                if distance_px <= best_px && pickable(member) {
                    (best, best_px) = (Some(member), distance_px);
                }
            }
        }
        best
    }

    /// The cells that a circle touches, going round the world sideways.
    fn cells_near(&self, viewport: &Viewport, at: Point, reach_px: f64) -> impl Iterator<Item = u64> + use<> {
        let per_cell = self.world_px / CELL_PX;
        let around = viewport.to_world(at);
        let reach = reach_px / viewport.world_px();
        let span = move |middle: f64| -> RangeInclusive<i64> {
            ((middle - reach) * per_cell).floor() as i64..=((middle + reach) * per_cell).floor() as i64
        };
        // The last column may be a partial one: the columns on both sides of the date line are looked at
        // together.
        let columns = per_cell.ceil().max(1.0) as i64;
        let xs = span(around.x);
        let wrapped = (*xs.start() - 1..=*xs.end() + 1).map(move |x| x.rem_euclid(columns));
        let xs: Vec<i64> = wrapped.collect();
        span(around.y)
            .flat_map(move |y| xs.clone().into_iter().map(move |x| (x, y)))
            .filter_map(|(x, y)| Some(cell(u64::try_from(x).ok()?, u64::try_from(y).ok()?)))
    }

    fn cell(&self, cell: u64) -> &[u32] {
        self.cells.binary_search_by_key(&cell, |it| it.0).map_or(&[], |number| self.members(number))
    }

    fn members(&self, number: usize) -> &[u32] {
        let begin = self.cells[number].1 as usize;
        let end = self.cells.get(number + 1).map_or(self.order.len(), |next| next.1 as usize);
        &self.order[begin..end]
    }
}

/// The number of the spot that a place lies on; without its last bits it is the number of the cell.
fn spot(x: f32, y: f32, world_px: f64) -> u64 {
    let spots = |at: f32| (f64::from(at) * world_px * SPOTS_PER_CELL as f64 / CELL_PX) as u64;
    let (x, y) = (spots(x), spots(y));
    let within = (y % SPOTS_PER_CELL) * SPOTS_PER_CELL + x % SPOTS_PER_CELL;
    cell(x / SPOTS_PER_CELL, y / SPOTS_PER_CELL) << SPOT_BITS | within
}

fn cell(column: u64, row: u64) -> u64 {
    row << 24 | column
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Grid;
    use crate::places::Places;
    use crate::places::tests::places;
    use crate::projection::{Point, Viewport};

    proptest! {
        #[test]
        fn the_grid_finds_what_a_full_search_finds(
            nodes in prop::collection::vec((-80_f32..80.0, -180_f32..180.0), 1..200),
            x in 0.0..800.0, y in 0.0..600.0, zoom in 0.0..6.0, reach in 1.0..40.0, dx in -900.0..900.0,
        ) {
            let places: Places = places(&nodes);
            let viewport = Viewport::new(800.0, 600.0).zoomed(zoom, Point::new(400.0, 300.0)).panned(dx, 0.0);
            // The cells may stem from another zoom, as they do while zooming.
            let grid = Grid::new(&places, viewport.world_px() * 1.7);
            let at = Point::new(x, y);
            let distance = |it: usize| viewport.to_point(places.world(it)).distance(at);
            let expected = (0..places.len()).map(distance).filter(|&it| it <= reach).reduce(f64::min);
            let found = grid.nearest(&viewport, at, reach, &places, |_| true).map(distance);
            prop_assert_eq!(found, expected);
        }
    }
}
