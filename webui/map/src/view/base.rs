//! Land and borders: fetched, turned into paths once, painted for each view.

use wasm_bindgen::{JsCast as _, UnwrapThrowExt as _};
use web_sys::{CanvasRenderingContext2d, CanvasWindingRule, HtmlMetaElement, Path2d, console};

use super::dom::document;
use super::theme::Theme;
use super::tiles::Tiles;
use crate::projection::{Bounds, Point, Viewport};
use crate::world::BaseMap;

/// From this zoom on, the finer map is fetched.
pub(super) const FINE_ZOOM: f64 = 3.0;

/// A map that could not be fetched is requested again after this time.
const ASK_AGAIN_MS: f64 = 30_000.0;

/// Paths are grouped by squares of the world, this many along each side, so that squares out of view can be
/// skipped.
const SQUARES: f64 = 8.0;

/// Which of the two maps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Level {
    /// 1 : 110 million.
    Coarse,
    /// 1 : 50 million.
    Fine,
}

/// Both maps, as far as they have been fetched.
pub(super) struct Base {
    levels: [Progress; 2],
    /// Above them, where the operator has chosen some.
    tiles: Option<Tiles>,
}

/// The state of fetching a map.
#[derive(Default)]
struct Progress {
    asked_ms: Option<f64>,
    drawing: Option<Drawing>,
}

/// A map as paths, in the map's own units.
struct Drawing {
    grid: f64,
    land: Vec<Patch>,
    lines: Vec<Patch>,
}

/// Paths that are drawn together, and where they are.
struct Patch {
    square: (i32, i32),
    bounds: Bounds,
    path: Path2d,
}

impl Level {
    fn meta(self) -> &'static str {
        match self {
            Self::Coarse => "meta[name=tidemap-world-110]",
            Self::Fine => "meta[name=tidemap-world-50]",
        }
    }
}

impl Base {
    pub(super) fn new(tiles: Option<Tiles>) -> Self {
        Self { levels: Default::default(), tiles }
    }

    /// Asks for the tiles of a view that has come to rest.
    pub(super) fn ask_tiles(&mut self, viewport: &Viewport, now_ms: f64) {
        if let Some(tiles) = &mut self.tiles {
            tiles.ask(viewport, now_ms);
        }
    }

    /// The address of a map to fetch, from the page's head; `None` if the map is here or was just requested.
    pub(super) fn ask(&mut self, level: Level, now_ms: f64) -> Option<String> {
        let progress = &mut self.levels[level as usize];
        let waits = progress.asked_ms.is_some_and(|then| now_ms - then < ASK_AGAIN_MS);
        if waits || progress.drawing.is_some() {
            return None;
        }
        progress.asked_ms = Some(now_ms);
        let meta = document().query_selector(level.meta()).ok()??;
        Some(meta.dyn_into::<HtmlMetaElement>().ok()?.content())
    }

    /// A map that has arrived.
    pub(super) fn put(&mut self, level: Level, map: &BaseMap) {
        self.levels[level as usize].drawing = Some(Drawing::new(map));
    }

    /// Paints land and borders for a view, on a canvas of `ratio` pixels per CSS pixel.
    pub(super) fn paint(
        &self,
        context: &CanvasRenderingContext2d,
        viewport: &Viewport,
        ratio: f64,
        theme: &Theme,
    ) {
        let [coarse, fine] = self.levels.each_ref().map(|level| level.drawing.as_ref());
        let drawing = if viewport.zoom() >= FINE_ZOOM { fine.or(coarse) } else { coarse.or(fine) };
        context.save();
        if let Some((left, width)) = viewport.only_world() {
            // What goes beyond the one world's edges comes in again on its other side.
            context.begin_path();
            context.rect(left * ratio, 0.0, width * ratio, viewport.height() * ratio);
            context.clip();
        }
        if let Some(drawing) = drawing {
            for origin in viewport.origins() {
                drawing.paint(context, viewport, origin, ratio, theme);
            }
        }
        if let Some(tiles) = &self.tiles {
            tiles.paint(context, viewport, ratio);
        }
        context.restore();
    }
}

impl Drawing {
    fn new(map: &BaseMap) -> Self {
        let grid = f64::from(map.grid());
        let (mut land, mut lines) = (Vec::new(), Vec::new());
        for polygon in map.polygons() {
            let rings: Vec<Vec<[i32; 2]>> = map.rings(polygon).collect();
            let path = &Patch::covering(&mut land, rings.iter().flatten(), grid).path;
            for ring in &rings {
                for (number, &point) in ring.iter().enumerate() {
                    draw_to(path, number == 0, point);
                }
                path.close_path();
            }
        }
        for line in map.lines() {
            let path = &Patch::covering(&mut lines, line.iter(), grid).path;
            let mut lifted = true;
            for pair in line.windows(2) {
                if map.is_cut(pair[0], pair[1]) {
                    lifted = true;
                    continue;
                }
                if lifted {
                    draw_to(path, true, pair[0]);
                }
                draw_to(path, false, pair[1]);
                lifted = false;
            }
        }
        Self { grid, land, lines }
    }

    fn paint(
        &self,
        context: &CanvasRenderingContext2d,
        viewport: &Viewport,
        origin: Point,
        ratio: f64,
        theme: &Theme,
    ) {
        let scale = viewport.world_px() / self.grid;
        let pixels = scale * ratio;
        context.set_transform(pixels, 0.0, 0.0, pixels, origin.x * ratio, origin.y * ratio).unwrap_throw();
        context.set_fill_style_str(&theme.land);
        context.set_stroke_style_str(&theme.bg);
        context.set_line_width(1.0 / scale);
        let world_px = viewport.world_px();
        let in_view = |patch: &&Patch| {
            let Bounds { west, east, north, south } = patch.bounds;
            origin.x + east * world_px >= -2.0
                && origin.x + west * world_px <= viewport.width() + 2.0
                && origin.y + south * world_px >= -2.0
                && origin.y + north * world_px <= viewport.height() + 2.0
        };
        for patch in self.land.iter().filter(in_view) {
            context.fill_with_path_2d_and_winding(&patch.path, CanvasWindingRule::Evenodd);
        }
        for patch in self.lines.iter().filter(in_view) {
            context.stroke_with_path(&patch.path);
        }
    }
}

impl Patch {
    /// The patch that a shape belongs to, made when it is the first there, and grown to hold the shape.
    fn covering<'p>(
        patches: &'p mut Vec<Self>,
        points: impl Iterator<Item = &'p [i32; 2]>,
        grid: f64,
    ) -> &'p Self {
        let mut bounds = Bounds { west: 1.0, east: 0.0, north: 1.0, south: 0.0 };
        for &[x, y] in points {
            let (x, y) = (f64::from(x) / grid, f64::from(y) / grid);
            bounds.west = bounds.west.min(x);
            bounds.east = bounds.east.max(x);
            bounds.north = bounds.north.min(y);
            bounds.south = bounds.south.max(y);
        }
        let middle = |from: f64, to: f64| (f64::midpoint(from, to) * SQUARES) as i32;
        let square = (middle(bounds.west, bounds.east), middle(bounds.north, bounds.south));
        let at = patches.iter().position(|patch| patch.square == square).unwrap_or_else(|| {
            patches.push(Self { square, bounds, path: Path2d::new().unwrap_throw() });
            patches.len() - 1
        });
        let patch = &mut patches[at];
        patch.bounds.west = patch.bounds.west.min(bounds.west);
        patch.bounds.east = patch.bounds.east.max(bounds.east);
        patch.bounds.north = patch.bounds.north.min(bounds.north);
        patch.bounds.south = patch.bounds.south.max(bounds.south);
        patch
    }
}

/// Decodes a map that has been fetched. A failure is logged to the console; the map works without it.
pub(super) fn decoded(fetched: Result<Vec<u8>, u16>) -> Option<BaseMap> {
    let bytes = fetched
        .inspect_err(|status| console::warn_2(&"the base map cannot be fetched".into(), &(*status).into()))
        .ok()?;
    BaseMap::decode(&bytes)
        .inspect_err(|error| console::warn_1(&format!("the base map is damaged: {error}").into()))
        .ok()
}

fn draw_to(path: &Path2d, is_start: bool, point: [i32; 2]) {
    let [x, y] = point.map(f64::from);
    if is_start { path.move_to(x, y) } else { path.line_to(x, y) }
}
