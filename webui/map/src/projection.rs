//! Web Mercator, and the view of the map in its window.

use tidemap_format::lean;

/// Web Mercator is not defined beyond this latitude.
pub const MAX_LATITUDE: f64 = 85.051_128_779_806_6;
/// The closest view.
pub const MAX_ZOOM: f64 = 11.0;

/// The world's width at zoom 0, CSS pixels.
const WORLD_PX: f64 = 256.0;
/// The part of the world where people live, which a view of the whole world shows: 78° north to 58° south.
const INHABITED: Bounds = Bounds { west: 0.0, east: 1.0, north: 0.142, south: 0.698 };

/// A position in CSS pixels, from the map's top left corner.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Point {
    pub x: f64,
    pub y: f64,
}

/// A position in the projected world, a unit square whose origin is its north-west corner.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct World {
    pub x: f64,
    pub y: f64,
}

/// A part of the projected world. `east` may lie beyond 1 when the part crosses the date line.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bounds {
    pub west: f64,
    pub east: f64,
    pub north: f64,
    pub south: f64,
}

/// What the window shows: its size, where its centre is, and how close.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Viewport {
    width: f64,
    height: f64,
    centre: World,
    zoom: f64,
}

/// The factors that convert places into points, computed once for many places.
#[derive(Clone, Copy, Debug)]
pub struct Projector {
    scale: f64,
    wraps: bool,
    centre: World,
    middle: Point,
}

impl Point {
    pub fn new(x: f64, y: f64) -> Self {
        Self { x, y }
    }

    pub fn distance(self, other: Self) -> f64 {
        lean::hypot(self.x - other.x, self.y - other.y)
    }
}

impl World {
    /// Projects degrees; none where there is no place (not a number).
    pub fn from_degrees(lat: f64, lon: f64) -> Option<Self> {
        if !lat.is_finite() || !lon.is_finite() {
            return None;
        }
        let lat = lean::clamp(lat, -MAX_LATITUDE, MAX_LATITUDE).to_radians();
        Some(Self {
            x: ((lon + 180.0) / 360.0).rem_euclid(1.0),
            y: lean::clamp(0.5 - lean::asinh(lean::tan(lat)) / std::f64::consts::TAU, 0.0, 1.0),
        })
    }
}

impl Bounds {
    /// The smallest part that holds all positions, going round the world the shorter way; none without a
    /// position.
    pub fn around(positions: impl Iterator<Item = World>) -> Option<Self> {
        const SECTORS: usize = 360;
        let mut sectors = [None::<(f64, f64)>; SECTORS];
        let (mut north, mut south) = (f64::INFINITY, f64::NEG_INFINITY);
        for World { x, y } in positions {
            let sector = &mut sectors[((x * SECTORS as f64) as usize).min(SECTORS - 1)];
            let (west, east) = sector.unwrap_or((x, x));
            *sector = Some((west.min(x), east.max(x)));
            (north, south) = (north.min(y), south.max(y));
        }
        let filled: Vec<(f64, f64)> = sectors.into_iter().flatten().collect();
        let (first, last) = (filled.first()?, filled.last()?);
        let across = (first.0 + 1.0 - last.1, first.0, last.1);
        // The widest gap between neighbours is left out; the rest is the shortest way round all positions.
        let widest = filled
            .windows(2)
            .map(|pair| (pair[1].0 - pair[0].1, pair[1].0, pair[0].1 + 1.0))
            .fold(across, |widest, gap| if gap.0 > widest.0 { gap } else { widest });
        Some(Self { west: widest.1, east: widest.2, north, south })
    }

    /// Whether a position lies within.
    pub fn contains(&self, at: World) -> bool {
        let inside = |x: f64| (self.west..=self.east).contains(&x);
        (self.north..=self.south).contains(&at.y)
            && (inside(at.x) || inside(at.x + 1.0) || inside(at.x - 1.0))
    }

    fn centre(&self) -> World {
        World { x: f64::midpoint(self.west, self.east), y: f64::midpoint(self.north, self.south) }
    }
}

impl Viewport {
    /// A window of that size on the whole world.
    pub fn new(width: f64, height: f64) -> Self {
        let viewport = Self { width, height, centre: World { x: 0.5, y: 0.5 }, zoom: 0.0 };
        viewport.fitted(None, 0.0)
    }

    pub fn width(&self) -> f64 {
        self.width
    }

    pub fn height(&self) -> f64 {
        self.height
    }

    pub fn zoom(&self) -> f64 {
        self.zoom
    }

    /// The world's width, CSS pixels.
    pub fn world_px(&self) -> f64 {
        WORLD_PX * lean::exp2(self.zoom)
    }

    /// The same view in a window of another size.
    pub fn resized(self, width: f64, height: f64) -> Self {
        Self { width, height, ..self }.clamped()
    }

    /// The same view with the world moved by that many pixels, as a finger moves a sheet of paper.
    pub fn panned(self, dx: f64, dy: f64) -> Self {
        let scale = self.world_px();
        let centre = World { x: self.centre.x - dx / scale, y: self.centre.y - dy / scale };
        Self { centre, ..self }.clamped()
    }

    /// The same view closer or farther, with the place under `anchor` staying where it is.
    pub fn zoomed(self, zoom: f64, anchor: Point) -> Self {
        let zoom = lean::clamp(zoom, self.min_zoom(), MAX_ZOOM);
        let under = self.to_world(anchor);
        let scale = WORLD_PX * lean::exp2(zoom);
        let centre = World {
            x: under.x - (anchor.x - self.width / 2.0) / scale,
            y: under.y - (anchor.y - self.height / 2.0) / scale,
        };
        Self { centre, zoom, ..self }.clamped()
    }

    /// The same zoom with that place in the middle.
    pub fn centred(self, centre: World) -> Self {
        Self { centre, ..self }.clamped()
    }

    /// The closest view up to `max_zoom` that shows all of `bounds` with 48 px around them, or else the
    /// inhabited world.
    pub fn fitted(self, bounds: Option<Bounds>, max_zoom: f64) -> Self {
        let (bounds, margin, max_zoom) =
            bounds.map_or((INHABITED, 0.0, MAX_ZOOM), |bounds| (bounds, 48.0, max_zoom));
        let room = |px: f64| (px - 2.0 * margin).max(px / 4.0).max(1.0);
        let scale = f64::min(
            room(self.width) / (bounds.east - bounds.west).max(1e-9),
            room(self.height) / (bounds.south - bounds.north).max(1e-9),
        );
        let zoom = lean::clamp(lean::log2(scale / WORLD_PX), self.min_zoom(), max_zoom.max(self.min_zoom()));
        Self { centre: bounds.centre(), zoom, ..self }.clamped()
    }

    /// A view between this one and another: at zoom `zoom`, and moved so that the one place that both views
    /// show at the same point stays there. `part` is the completed share of the way, used if the zooms are
    /// equal.
    pub fn between(self, to: &Self, zoom: f64, part: f64) -> Self {
        let scale = lean::exp2;
        let whole = 1.0 - scale(self.zoom - to.zoom);
        let part = if whole.abs() < 1e-6 { part } else { (1.0 - scale(self.zoom - zoom)) / whole };
        let mut dx = to.centre.x - self.centre.x;
        if self.wraps() && to.wraps() {
            dx -= dx.round();
        }
        let dy = to.centre.y - self.centre.y;
        let centre = World { x: self.centre.x + dx * part, y: self.centre.y + dy * part };
        Self { centre, zoom, ..self }.clamped()
    }

    /// Where a place appears: of the copies of the world side by side, on the one nearest to the middle.
    pub fn to_point(&self, at: World) -> Point {
        self.projector().to_point(at)
    }

    /// The same for many places.
    pub fn projector(&self) -> Projector {
        let (scale, wraps) = (self.world_px(), self.wraps());
        let middle = Point::new(self.width / 2.0, self.height / 2.0);
        Projector { scale, wraps, centre: self.centre, middle }
    }

    /// What place is seen there. Its `x` may lie outside of 0 to 1, on a copy of the world.
    pub fn to_world(&self, at: Point) -> World {
        let scale = self.world_px();
        World {
            x: self.centre.x + (at.x - self.width / 2.0) / scale,
            y: self.centre.y + (at.y - self.height / 2.0) / scale,
        }
    }

    /// The left edge and the width of the world on the screen, where it is seen once and as a whole.
    pub fn only_world(&self) -> Option<(f64, f64)> {
        let width = self.world_px();
        (!self.wraps()).then_some(((self.width - width) / 2.0, width))
    }

    /// Where the top left corner of each copy of the world is seen that may reach into the window.
    pub fn origins(&self) -> impl Iterator<Item = Point> {
        let scale = self.world_px();
        let left = self.width / 2.0 - self.centre.x * scale;
        let top = self.height / 2.0 - self.centre.y * scale;
        (-1..=1).map(move |copy| Point { x: left + f64::from(copy) * scale, y: top })
    }

    /// The part of the world that is seen.
    pub fn bounds(&self) -> Bounds {
        let corner = self.to_world(Point::new(0.0, 0.0));
        let opposite = self.to_world(Point::new(self.width, self.height));
        Bounds { west: corner.x, east: opposite.x, north: corner.y, south: opposite.y }
    }

    /// Whether the world repeats sideways: only where it is wider than the window, so that no place is seen
    /// twice.
    fn wraps(&self) -> bool {
        self.world_px() >= self.width
    }

    /// The farthest view: the inhabited world as a whole.
    fn min_zoom(&self) -> f64 {
        let across = self.width.max(1.0) / (INHABITED.east - INHABITED.west);
        let down = self.height.max(1.0) / (INHABITED.south - INHABITED.north);
        lean::log2(across.min(down) / WORLD_PX).min(MAX_ZOOM)
    }

    /// Keeps the world in the window: it ends in the north and south, and goes round in the west and east.
    fn clamped(mut self) -> Self {
        self.zoom = lean::clamp(self.zoom, self.min_zoom(), MAX_ZOOM);
        let half = self.height / 2.0 / self.world_px();
        let (north, south) = (INHABITED.north + half, INHABITED.south - half);
        self.centre.y = if north > south {
            // The whole inhabited world is in view, so parts beyond it may be shown, up to the world's edges.
            f64::midpoint(north, south)
        } else {
            lean::clamp(self.centre.y, half.min(0.5), (1.0 - half).max(0.5))
        };
        self.centre.x = if self.wraps() { self.centre.x.rem_euclid(1.0) } else { 0.5 };
        self
    }
}

impl Projector {
    /// Where a place is seen.
    pub fn to_point(&self, at: World) -> Point {
        let mut dx = at.x - self.centre.x;
        if self.wraps {
            // Rounds half to even, which is one machine instruction; of two equally distant copies either may
            // be used.
            // matter.
            dx -= dx.round_ties_even();
        }
        Point { x: self.middle.x + dx * self.scale, y: self.middle.y + (at.y - self.centre.y) * self.scale }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Bounds, MAX_ZOOM, Point, Viewport, World};

    fn place(lat: f64, lon: f64) -> World {
        World::from_degrees(lat, lon).unwrap()
    }

    fn near(a: Point, b: Point) -> bool {
        a.distance(b) < 1e-6
    }

    #[test]
    fn degrees_are_projected_as_web_mercator() {
        assert_eq!(place(0.0, 0.0), World { x: 0.5, y: 0.5 });
        let tokyo = place(35.6895, 139.6917);
        assert!((tokyo.x - 0.888_033).abs() < 1e-6 && (tokyo.y - 0.393_749).abs() < 1e-6, "{tokyo:?}");
        assert_eq!(place(90.0, 0.0).y, 0.0);
        assert_eq!(World::from_degrees(f64::NAN, 3.0), None);
    }

    #[test]
    fn a_fit_across_the_date_line_goes_the_shorter_way() {
        let fleet = [place(-36.8, 174.8), place(21.3, -157.9), place(-17.7, 178.0)];
        let bounds = Bounds::around(fleet.into_iter()).unwrap();
        assert!(bounds.east - bounds.west < 0.1, "{bounds:?}");
        let viewport = Viewport::new(800.0, 500.0).fitted(Some(bounds), 8.0);
        for at in fleet {
            let seen = viewport.to_point(at);
            assert!((40.0..=760.0).contains(&seen.x) && (40.0..=460.0).contains(&seen.y), "{seen:?}");
            assert!(viewport.bounds().contains(at));
        }
        assert_eq!(Bounds::around(std::iter::empty()), None);
    }

    #[test]
    fn the_whole_world_is_as_far_as_it_goes() {
        for (width, height) in [(320.0, 480.0), (800.0, 600.0), (2000.0, 500.0)] {
            let far = Viewport::new(width, height).zoomed(-9.0, Point::new(10.0, 10.0));
            for at in [place(71.0, -8.0), place(-54.8, -68.3), place(64.5, 179.9), place(-45.0, -179.9)] {
                let seen = far.to_point(at);
                assert!(
                    (-0.5..=width + 0.5).contains(&seen.x) && (-0.5..=height + 0.5).contains(&seen.y),
                    "{seen:?}"
                );
            }
        }
    }

    #[test]
    fn one_place_fits_at_the_closest_useful_zoom() {
        let home = place(48.2, 16.4);
        let bounds = Bounds::around(std::iter::once(home));
        let viewport = Viewport::new(800.0, 600.0).fitted(bounds, 6.0);
        assert_eq!(viewport.zoom(), 6.0);
        assert!(near(viewport.to_point(home), Point::new(400.0, 300.0)));
    }

    proptest! {
        #[test]
        fn zooming_keeps_the_place_under_the_pointer(
            x in 0.0..800.0, y in 200.0..400.0, from in 3.0..MAX_ZOOM, to in 3.0..MAX_ZOOM,
        ) {
            let anchor = Point::new(x, y);
            let viewport = Viewport::new(800.0, 600.0).zoomed(from, Point::new(400.0, 300.0));
            let under = viewport.to_world(anchor);
            let zoomed = viewport.zoomed(to, anchor);
            // Except at the world's northern and southern ends, which stop it.
            prop_assume!(zoomed.bounds().north > 1e-9 && zoomed.bounds().south < 1.0 - 1e-9);
            prop_assert!(near(zoomed.to_point(under), anchor));
        }

        #[test]
        fn each_place_is_seen_once_and_is_found_again(
            lat in -80.0..80.0, lon in -180.0..180.0, zoom in 0.0..MAX_ZOOM, dx in -5000.0..5000.0,
        ) {
            let viewport = Viewport::new(800.0, 600.0).zoomed(zoom, Point::new(1.0, 1.0)).panned(dx, 0.0);
            let at = place(lat, lon);
            let back = viewport.to_world(viewport.to_point(at));
            prop_assert!((back.x - at.x - (back.x - at.x).round()).abs() < 1e-9 && (back.y - at.y).abs() < 1e-9);
        }

        #[test]
        fn the_window_never_leaves_the_world(dx in -9000.0..9000.0, dy in -9000.0..9000.0, zoom in 0.0..8.0) {
            let viewport = Viewport::new(800.0, 600.0).zoomed(zoom, Point::new(0.0, 0.0)).panned(dx, dy);
            let bounds = viewport.bounds();
            // From far away the inhabited part stands in the middle, with nothing above the world.
            let tall = viewport.world_px() < 720.0;
            prop_assert!(tall || (bounds.north >= -1e-9 && bounds.south <= 1.0 + 1e-9), "{bounds:?}");
        }
    }
}
