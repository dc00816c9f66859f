//! The map: where the nodes are, how much each moves, and whether anything is wrong there.
//!
//! `MapView` is the view; it owns four canvases and the elements above them. Everything that needs no browser
//! is in the other modules, pure and tested: where a place is on the screen, which markers form clusters,
//! what a click selects, what a marker looks like.

pub mod cluster;
pub mod colour;
pub mod fanout;
pub mod gesture;
pub mod glance;
pub mod grid;
pub mod label;
pub mod motion;
pub mod picking;
pub mod placement;
pub mod places;
pub mod projection;
pub mod rank;
pub mod raster;
pub mod scene;
pub mod tiles;
pub mod world;

#[cfg(target_arch = "wasm32")]
mod view;

use std::rc::Rc;

pub use glance::{Glance, WINDOWS};
#[cfg(target_arch = "wasm32")]
pub use view::{Fetch, Fetched, MapEvents, MapView};

/// How many statuses there are: 0 online, 1 warning, 2 offline, 3 unknown.
pub const STATUSES: usize = 4;
const UNKNOWN: u8 = STATUSES as u8 - 1;

/// What the map shows: columns of one store, one entry per row. A row without a name is vacant.
#[derive(Clone, Copy, Debug)]
pub struct Markers<'a> {
    pub name: &'a [Option<Rc<str>>],
    /// Degrees north; NaN where there is no place.
    pub lat: &'a [f32],
    /// Degrees east; NaN where there is no place.
    pub lon: &'a [f32],
    pub location: &'a [Option<Rc<str>>],
    /// 0 online, 1 warning, 2 offline.
    pub status: &'a [u8],
    /// Download, bytes per second; NaN where it is not known.
    pub rx: &'a [f32],
    /// Upload, bytes per second; NaN where it is not known.
    pub tx: &'a [f32],
    pub selected: Option<usize>,
    /// Further values of the selected node.
    pub glance: Option<&'a Glance>,
    /// Changes when rows or places change, but not with rates alone.
    pub generation: u64,
    /// Changes whenever anything in the columns does.
    pub changes: u64,
}

impl Markers<'_> {
    /// The name of the node in that row, unless the row is vacant.
    pub fn name(&self, row: usize) -> Option<&str> {
        self.name.get(row)?.as_deref()
    }

    /// The status's number; one that is not known counts as unknown.
    pub fn status(&self, row: usize) -> u8 {
        self.status.get(row).map_or(UNKNOWN, |&status| status.min(UNKNOWN))
    }

    /// Its download, bytes per second.
    pub fn rx(&self, row: usize) -> Option<f32> {
        self.rx.get(row).copied().filter(|rate| rate.is_finite())
    }

    /// Its upload, bytes per second.
    pub fn tx(&self, row: usize) -> Option<f32> {
        self.tx.get(row).copied().filter(|rate| rate.is_finite())
    }

    /// The value that determines a marker's size: both directions together, as far as they are known and
    /// flowing now.
    pub fn volume(&self, row: usize) -> Option<f32> {
        match (self.status(row), self.rx(row), self.tx(row)) {
            (0, None, None) | (1.., ..) => None,
            (0, rx, tx) => Some(rx.unwrap_or(0.0) + tx.unwrap_or(0.0)),
        }
    }
}
