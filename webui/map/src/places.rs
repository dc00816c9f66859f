//! Which nodes have a place, where that is in the projected world, and which of them share it exactly.

use crate::Markers;
use crate::projection::World;
use crate::rank;

/// Nodes with a place, one per position of each column.
#[derive(Clone, Debug, Default)]
pub struct Places {
    /// The node's row.
    pub row: Vec<u32>,
    /// Projected, 0 to 1.
    pub x: Vec<f32>,
    /// Projected, 0 to 1.
    pub y: Vec<f32>,
    /// The site's number: nodes at exactly one place have the same one.
    pub site: Vec<u32>,
    /// How many nodes each site has.
    site_count: Vec<u32>,
    /// All positions, site by site.
    pub by_site: Vec<u32>,
    /// Nodes without a place.
    pub unplaced: usize,
}

impl Places {
    /// Projects every node.
    pub fn of(markers: &Markers<'_>) -> Self {
        let mut places = Self::default();
        for (row, _) in markers.name.iter().enumerate().filter(|(_, name)| name.is_some()) {
            let degrees = markers.lat.get(row).zip(markers.lon.get(row));
            match degrees.and_then(|(&lat, &lon)| World::from_degrees(f64::from(lat), f64::from(lon))) {
                Some(at) => {
                    places.row.push(row as u32);
                    places.x.push(at.x as f32);
                    places.y.push(at.y as f32);
                }
                None => places.unplaced += 1,
            }
        }
        places.number_sites();
        places
    }

    pub fn len(&self) -> usize {
        self.row.len()
    }

    pub fn is_empty(&self) -> bool {
        self.row.is_empty()
    }

    /// Where the node at that position of the columns is.
    pub fn world(&self, at: usize) -> World {
        World { x: f64::from(self.x[at]), y: f64::from(self.y[at]) }
    }

    /// The position in the columns of a row, when it has a place. Rows ascend.
    pub fn find(&self, row: usize) -> Option<usize> {
        self.row.binary_search(&u32::try_from(row).ok()?).ok()
    }

    /// The rows of all nodes at exactly the place of the node at that position.
    pub fn neighbours(&self, at: usize) -> Vec<usize> {
        let site = self.site[at];
        (0..self.len())
            .filter(|&other| self.site[other] == site)
            .map(|other| self.row[other] as usize)
            .collect()
    }

    /// How many nodes are at exactly the place of the node at that position, itself included.
    pub fn count_at(&self, at: usize) -> usize {
        self.site_count[self.site[at] as usize] as usize
    }

    fn number_sites(&mut self) {
        let bits = |at: u32| {
            u64::from(self.x[at as usize].to_bits()) << 32 | u64::from(self.y[at as usize].to_bits())
        };
        let by_site = rank::ascending((0..self.row.len() as u32).map(bits));
        let mut site = vec![0; by_site.len()];
        let mut site_count = Vec::new();
        for nodes in by_site.chunk_by(|&a, &b| bits(a) == bits(b)) {
            for &at in nodes {
                site[at as usize] = site_count.len() as u32;
            }
            site_count.push(nodes.len() as u32);
        }
        (self.site, self.site_count, self.by_site) = (site, site_count, by_site);
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::rc::Rc;

    use super::Places;
    use crate::Markers;

    /// Columns that markers borrow from.
    #[derive(Default)]
    pub(crate) struct Fleet {
        pub(crate) name: Vec<Option<Rc<str>>>,
        pub(crate) lat: Vec<f32>,
        pub(crate) lon: Vec<f32>,
        pub(crate) status: Vec<u8>,
        pub(crate) rx: Vec<f32>,
        pub(crate) tx: Vec<f32>,
        location: Vec<Option<Rc<str>>>,
    }

    /// The places of nodes at these degrees.
    pub(crate) fn places(degrees: &[(f32, f32)]) -> Places {
        let mut fleet = Fleet::default();
        for &(lat, lon) in degrees {
            fleet.add(lat, lon, 0, 0.0, 0.0);
        }
        Places::of(&fleet.markers())
    }

    impl Fleet {
        pub(crate) fn add(&mut self, lat: f32, lon: f32, status: u8, rx: f32, tx: f32) -> &mut Self {
            self.name.push(Some(format!("node-{}", self.name.len()).into()));
            self.lat.push(lat);
            self.lon.push(lon);
            self.status.push(status);
            self.rx.push(rx);
            self.tx.push(tx);
            self.location.push(None);
            self
        }

        pub(crate) fn markers(&self) -> Markers<'_> {
            Markers {
                name: &self.name,
                lat: &self.lat,
                lon: &self.lon,
                location: &self.location,
                status: &self.status,
                rx: &self.rx,
                tx: &self.tx,
                selected: None,
                glance: None,
                generation: 1,
                changes: 1,
            }
        }
    }

    #[test]
    fn vacant_rows_differ_from_nodes_without_a_place() {
        let mut fleet = Fleet::default();
        fleet.add(52.5, 13.4, 0, 0.0, 0.0).add(f32::NAN, f32::NAN, 0, 0.0, 0.0).add(1.0, 2.0, 0, 0.0, 0.0);
        fleet.name[2] = None;
        let places = Places::of(&fleet.markers());
        assert_eq!((places.len(), places.unplaced), (1, 1));
        assert_eq!((places.find(0), places.find(1), places.find(2)), (Some(0), None, None));
    }

    #[test]
    fn nodes_at_exactly_one_place_are_neighbours() {
        let mut fleet = Fleet::default();
        for (lat, lon) in [(50.1, 8.6), (52.5, 13.4), (50.1, 8.6), (50.1001, 8.6)] {
            fleet.add(lat, lon, 0, 0.0, 0.0);
        }
        let places = Places::of(&fleet.markers());
        assert_eq!(places.neighbours(0), [0, 2]);
        assert_eq!(places.neighbours(1), [1]);
    }
}
