//! Clusters: markers that would hide each other are shown as one bubble with their number and their summed
//! rates.
//!
//! The nodes of a cell of 48 px become a cluster if they are more than fifty, and so do nodes so close to
//! each other that their markers would look like one. Bubbles that would overlap are merged, and a marker
//! that a bubble would hide joins the bubble, so every node is accounted for. All of this depends only on the
//! zoom and on places, so it is computed when those change and not with every sample.

#[cfg(test)]
mod tests;

use std::ops::Range;

use crate::grid::{CELL_PX, Grid};
use crate::places::Places;
use crate::projection::{Bounds, Point, Viewport, World};
use crate::rank;
use crate::{Markers, STATUSES};
use tidemap_format::lean;

/// More nodes than this in one cell are a cluster.
pub const CROWD: usize = 50;

const ALONE: u32 = u32::MAX;
const NONE: u32 = u32::MAX;
const GAP_PX: f64 = 2.0;
const COINCIDENT_PX: f64 = 3.0;

/// The clusters of one zoom.
#[derive(Clone, Debug, Default)]
pub struct Clusters {
    clusters: Vec<Cluster>,
    cluster_of: Vec<u32>,
    members: Vec<u32>,
}

/// Nodes shown as one.
#[derive(Clone, Debug)]
pub struct Cluster {
    /// Where its bubble is.
    pub centre: World,
    /// Its bubble's radius, CSS pixels.
    pub radius_px: f64,
    /// Whether all its nodes are at exactly one place, so that no zoom separates them.
    pub one_site: bool,
    members: Range<usize>,
}

/// What a cluster's nodes are doing.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ClusterSummary {
    /// Nodes online, warning, offline.
    pub by_status: [usize; STATUSES],
    /// Bytes per second received by those that are online and whose rate is known.
    pub rx: f64,
    /// Bytes per second sent by those that are online and whose rate is known.
    pub tx: f64,
}

impl Clusters {
    /// Finds the clusters of the zoom that the grid was made for.
    pub fn new(places: &Places, grid: &Grid) -> Self {
        let mut building = Building {
            places,
            world_px: grid.world_px(),
            cluster_of: vec![ALONE; places.len()],
            bubbles: Vec::new(),
            buckets: Vec::new(),
        };
        let groups = building.groups(grid);
        building.buckets = vec![NONE; groups.len().next_power_of_two()];
        for group in groups {
            building.place(group);
        }
        building.absorb();
        building.finish()
    }

    /// Whether the node at that position of the columns is shown as itself.
    pub fn is_alone(&self, at: usize) -> bool {
        self.cluster_of.get(at).is_none_or(|&cluster| cluster == ALONE)
    }

    /// The cluster that the node at that position of the columns is shown in.
    pub fn of(&self, at: usize) -> Option<usize> {
        self.cluster_of.get(at).filter(|&&cluster| cluster != ALONE).map(|&cluster| cluster as usize)
    }

    pub fn iter(&self) -> std::slice::Iter<'_, Cluster> {
        self.clusters.iter()
    }

    pub fn get(&self, number: usize) -> Option<&Cluster> {
        self.clusters.get(number)
    }

    /// Its nodes, as positions in the columns of [`Places`].
    pub fn members(&self, cluster: &Cluster) -> &[u32] {
        &self.members[cluster.members.clone()]
    }

    /// The cluster whose bubble is there.
    pub fn at(&self, viewport: &Viewport, at: Point) -> Option<usize> {
        self.clusters
            .iter()
            .position(|cluster| viewport.to_point(cluster.centre).distance(at) <= cluster.radius_px + GAP_PX)
    }

    /// The part of the world that its nodes span.
    pub fn bounds(&self, cluster: &Cluster, places: &Places) -> Option<Bounds> {
        Bounds::around(self.members(cluster).iter().map(|&at| places.world(at as usize)))
    }

    /// Counts and sums over its nodes.
    pub fn summary(&self, cluster: &Cluster, places: &Places, markers: &Markers<'_>) -> ClusterSummary {
        let members = self.members(cluster).iter();
        ClusterSummary::of(&mut members.map(|&at| places.row[at as usize] as usize), markers)
    }
}

impl ClusterSummary {
    /// Counts and sums over the nodes of these rows.
    pub fn of(rows: &mut dyn Iterator<Item = usize>, markers: &Markers<'_>) -> Self {
        let mut summary = Self::default();
        for row in rows {
            let status = markers.status(row);
            summary.by_status[usize::from(status)] += 1;
            // A silent node's last rate does not flow now; the fleet's totals leave it out, too.
            if status == 0 {
                summary.rx += markers.rx(row).map_or(0.0, f64::from);
                summary.tx += markers.tx(row).map_or(0.0, f64::from);
            }
        }
        summary
    }
}

impl Cluster {
    /// How many nodes it stands for.
    pub fn count(&self) -> usize {
        self.members.len()
    }
}

/// A cluster that is being built.
struct UnfinishedCluster {
    centre: World,
    count: usize,
    /// The next bubble of the same bucket.
    next: u32,
}

/// Clusters that are being built.
struct Building<'a> {
    places: &'a Places,
    world_px: f64,
    cluster_of: Vec<u32>,
    bubbles: Vec<UnfinishedCluster>,
    /// The first bubble of each bucket. The cell of a bubble's centre determines its bucket; cells may share
    /// a bucket, because the distance is checked anyway.
    buckets: Vec<u32>,
}

impl Building<'_> {
    /// First crowded cells, then crowded spots in the other cells; the largest first, so that the others join
    /// it.
    fn groups<'g>(&self, grid: &'g Grid) -> Vec<&'g [u32]> {
        let mut groups: Vec<&[u32]> = Vec::new();
        for cell in grid.cells() {
            if cell.len() > CROWD {
                groups.push(cell);
            } else {
                groups.extend(grid.spots(cell, self.places).filter(|spot| self.looks_like_one(spot)));
            }
        }
        let order = rank::ascending(groups.iter().map(|group| u64::MAX - group.len() as u64));
        order.into_iter().map(|number| groups[number as usize]).collect()
    }

    /// Whether the markers of a spot hide each other: three always do, two only if they almost coincide.
    fn looks_like_one(&self, spot: &[u32]) -> bool {
        match *spot {
            [a, b] => {
                let (a, b) = (self.places.world(a as usize), self.places.world(b as usize));
                lean::hypot(a.x - b.x, a.y - b.y) * self.world_px <= COINCIDENT_PX
            }
            _ => spot.len() > 2,
        }
    }

    /// Makes the group a bubble, or lets it join the bubble that it would overlap.
    fn place(&mut self, group: &[u32]) {
        let centre = self.mean(group);
        let reach_px = |other: &UnfinishedCluster| radius_px(other.count) + radius_px(group.len()) + GAP_PX;
        let number = self.nearest(centre, reach_px).unwrap_or_else(|| {
            let number = self.bubbles.len() as u32;
            let (x, y) = self.cell(centre);
            let bucket = self.bucket(x, y);
            let next = std::mem::replace(&mut self.buckets[bucket], number);
            self.bubbles.push(UnfinishedCluster { centre, count: 0, next });
            number
        });
        self.bubbles[number as usize].count += group.len();
        for &at in group {
            self.cluster_of[at as usize] = number;
        }
    }

    /// Lets single nodes join the bubble that would hide them.
    fn absorb(&mut self) {
        if self.bubbles.is_empty() {
            return;
        }
        for at in 0..self.places.len() {
            if self.cluster_of[at] == ALONE
                && let Some(number) = self.nearest(self.places.world(at), |bubble| radius_px(bubble.count))
            {
                self.cluster_of[at] = number;
                self.bubbles[number as usize].count += 1;
            }
        }
    }

    fn finish(self) -> Clusters {
        let mut ends: Vec<usize> = Vec::with_capacity(self.bubbles.len());
        let mut clusters = Vec::with_capacity(self.bubbles.len());
        let mut begin = 0;
        for bubble in &self.bubbles {
            let members = begin..begin + bubble.count;
            begin = members.end;
            ends.push(members.start);
            let (centre, radius_px) = (bubble.centre, radius_px(bubble.count));
            clusters.push(Cluster { centre, radius_px, one_site: false, members });
        }
        let mut members = vec![0; begin];
        for (at, &number) in self.cluster_of.iter().enumerate().filter(|(_, number)| **number != ALONE) {
            let end = &mut ends[number as usize];
            members[*end] = at as u32;
            *end += 1;
        }
        for cluster in &mut clusters {
            let mut sites = members[cluster.members.clone()].iter().map(|&at| self.places.site[at as usize]);
            let first = sites.next();
            cluster.one_site = sites.all(|site| Some(site) == first);
        }
        Clusters { clusters, cluster_of: self.cluster_of, members }
    }

    /// The nearest bubble whose centre is within the reach that it has.
    fn nearest(&self, at: World, reach_px: impl Fn(&UnfinishedCluster) -> f64) -> Option<u32> {
        let (x, y) = self.cell(at);
        let mut best = None;
        let mut best_px = f64::INFINITY;
        for (x, y) in (y - 1..=y + 1).flat_map(|y| (x - 1..=x + 1).map(move |x| (x, y))) {
            let mut number = self.buckets[self.bucket(x, y)];
            while let Some(bubble) = self.bubbles.get(number as usize) {
                let distance_px = lean::hypot(bubble.centre.x - at.x, bubble.centre.y - at.y) * self.world_px;
                if distance_px < best_px && distance_px <= reach_px(bubble) {
                    (best, best_px) = (Some(number), distance_px);
                }
                number = bubble.next;
            }
        }
        best
    }

    fn mean(&self, group: &[u32]) -> World {
        let sum = group.iter().fold((0.0, 0.0), |sum, &at| {
            let World { x, y } = self.places.world(at as usize);
            (sum.0 + x, sum.1 + y)
        });
        let count = group.len() as f64;
        World { x: sum.0 / count, y: sum.1 / count }
    }

    fn bucket(&self, x: i64, y: i64) -> usize {
        let mixed = (x.wrapping_mul(31) + y).cast_unsigned().wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        mixed as usize & (self.buckets.len() - 1)
    }

    fn cell(&self, at: World) -> (i64, i64) {
        ((at.x * self.world_px / CELL_PX) as i64, (at.y * self.world_px / CELL_PX) as i64)
    }
}

/// A bubble's radius: large enough for its number, which has four digits at most, and small enough that
/// neighbours are found in the neighbouring cells.
fn radius_px(count: usize) -> f64 {
    let count = count.max(1);
    let digits = f64::from((count.ilog10() + 1).min(4));
    (8.0 + 3.0 * f64::from(count.ilog2()) * std::f64::consts::LOG10_2).max(5.0 + 3.85 * digits).min(23.0)
}
