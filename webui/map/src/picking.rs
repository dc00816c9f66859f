//! Which marker a click selects: the nearest within reach.

use crate::cluster::Clusters;
use crate::grid::Grid;
use crate::places::Places;
use crate::projection::{Point, Viewport};

/// What a click means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hit {
    /// A node, by its position in the columns of [`Places`].
    Node(usize),
    /// A cluster, by its number.
    Cluster(usize),
}

/// What a click selects: clusters are above single nodes.
pub fn pick(
    viewport: &Viewport,
    at: Point,
    reach_px: f64,
    places: &Places,
    grid: &Grid,
    clusters: &Clusters,
) -> Option<Hit> {
    clusters
        .at(viewport, at)
        .map(Hit::Cluster)
        .or_else(|| grid.nearest(viewport, at, reach_px, places, |it| clusters.is_alone(it)).map(Hit::Node))
}

#[cfg(test)]
mod tests {
    use super::{Hit, pick};
    use crate::cluster::Clusters;
    use crate::grid::Grid;
    use crate::places::tests::places;
    use crate::projection::{Point, Viewport};

    #[test]
    fn a_click_means_the_cluster_before_a_node_and_nothing_far_away() {
        let places = places(&[(50.0, 10.0), (50.0, 10.0), (20.0, 10.0)]);
        let viewport = Viewport::new(800.0, 600.0);
        let grid = Grid::new(&places, viewport.world_px());
        let clusters = Clusters::new(&places, &grid);
        let hit = |at: Point| pick(&viewport, at, 12.0, &places, &grid, &clusters);
        let (pair, single) = (viewport.to_point(places.world(0)), viewport.to_point(places.world(2)));
        assert_eq!(hit(pair), Some(Hit::Cluster(0)));
        assert_eq!(hit(Point::new(single.x + 10.0, single.y)), Some(Hit::Node(2)));
        assert_eq!(hit(Point::new(single.x + 13.0, single.y)), None);
    }
}
