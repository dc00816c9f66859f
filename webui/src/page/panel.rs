//! The interface between the controller and the parts of the page.

use tidemap_format::Unit;

use crate::store::Fleet;

/// A part of the page that is drawn at each frame. It has state of its own; other parts get what they need of
/// it through the contexts in [`super::state`].
pub(super) trait Panel {
    /// Its name in the figures of `?debug`.
    fn name(&self) -> &'static str;

    /// Brings it up to date. Called before the browser paints, after anything has changed.
    fn draw(&self, frame: &Frame<'_>);
}

/// What a frame shows.
#[derive(Clone, Copy)]
pub(super) struct Frame<'a> {
    /// The fleet, as of a moment ago while the page is paused.
    pub(super) fleet: &'a Fleet,
    /// Broker time of what is shown, Unix milliseconds.
    pub(super) fleet_ms: i64,
    /// The row of the selected node.
    pub(super) selected: Option<usize>,
    pub(super) unit: Unit,
    pub(super) is_paused: bool,
    /// The page's clock now.
    pub(super) now_ms: f64,
    /// The same clock when the browser began the frame: motion is smooth only by this one.
    pub(super) frame_ms: f64,
}
