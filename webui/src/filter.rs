//! Which nodes the table lists.

use tidemap_map::projection::{Bounds, World};
use tidemap_wire::Status;

use crate::groups::Membership;

/// Which nodes are listed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only nodes with this status.
    pub status: Option<Status>,
    /// Only nodes of this group.
    pub group: Option<Membership>,
    /// Only nodes that hold each of its words in their name, place, provider or labels.
    pub query: String,
    /// Only nodes that are there.
    pub area: Option<Area>,
}

/// Where a node may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Area {
    /// In the part of the world that the map shows.
    InView,
    /// Nobody knows where.
    Nowhere,
}

impl Filter {
    /// Whether it lets everything through.
    pub fn is_empty(&self) -> bool {
        self.status.is_none()
            && self.area.is_none()
            && self.group.is_none()
            && self.query.bytes().all(|byte| byte.is_ascii_whitespace())
    }

    /// Only what the map shows, or all again if that is so already.
    pub fn toggle_in_view(&mut self) {
        self.area = (self.area != Some(Area::InView)).then_some(Area::InView);
    }

    /// Whether a node at these degrees may be listed, while the map shows `view`.
    pub(crate) fn admits(&self, lat: f32, lon: f32, view: Option<&Bounds>) -> bool {
        let place = || World::from_degrees(lat.into(), lon.into());
        match self.area {
            None => true,
            Some(Area::Nowhere) => place().is_none(),
            Some(Area::InView) => place().is_some_and(|at| view.is_none_or(|view| view.contains(at))),
        }
    }
}
