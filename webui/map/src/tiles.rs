//! Which map tiles a view shows, and where. Whether there are tiles at all is the operator's choice.

use crate::projection::{Point, Viewport};

/// One square picture of the world: how close, and which column and row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tile {
    pub z: u32,
    pub x: u32,
    pub y: u32,
}

/// A tile's place on the screen: its left, top, right and bottom edge, in pixels of the canvas.
pub type Edges = [f64; 4];

impl Tile {
    /// Its address.
    pub fn url(self, template: &str) -> String {
        // The standard library's replacing would weigh 2 KB of the page.
        let mut parts = template.split('{');
        let mut url = parts.next().unwrap_or("").to_owned();
        for part in parts {
            let numbers = [("z}", self.z), ("x}", self.x), ("y}", self.y)];
            let found =
                numbers.into_iter().find_map(|(name, number)| Some((part.strip_prefix(name)?, number)));
            url += &found.map_or_else(|| "{".to_owned() + part, |(rest, number)| number.to_string() + rest);
        }
        url
    }

    /// Where it is seen from a copy of the world whose corner is at `origin`, if it is. Edges are whole
    /// pixels of a canvas with `ratio` pixels per CSS pixel: neighbours meet without a seam.
    pub fn edges(self, viewport: &Viewport, origin: Point, ratio: f64) -> Option<Edges> {
        let size = viewport.world_px() / f64::from(1 << self.z);
        let edge = |from: f64, number: u32| ((from + f64::from(number) * size) * ratio).round();
        let [left, right] = [self.x, self.x + 1].map(|number| edge(origin.x, number));
        let [top, bottom] = [self.y, self.y + 1].map(|number| edge(origin.y, number));
        let (width, height) = (viewport.width() * ratio, viewport.height() * ratio);
        let is_seen = right > 0.0 && bottom > 0.0 && left < width && top < height;
        is_seen.then_some([left, top, right, bottom])
    }
}

/// The tiles that suit a view best: those that are drawn nearest to their own size.
pub fn covering(viewport: &Viewport) -> Vec<Tile> {
    let z = viewport.zoom().round().max(0.0) as u32;
    let (count, size) = (1_u32 << z, viewport.world_px() / f64::from(1_u32 << z));
    let numbers = |origin: f64, length: f64| {
        let end = ((length - origin) / size).ceil().max(0.0) as u32;
        (-origin / size).max(0.0) as u32..end.min(count)
    };
    let mut tiles = Vec::new();
    for origin in viewport.origins() {
        for y in numbers(origin.y, viewport.height()) {
            for x in numbers(origin.x, viewport.width()) {
                let tile = Tile { z, x, y };
                if !tiles.contains(&tile) {
                    tiles.push(tile);
                }
            }
        }
    }
    tiles
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Tile, covering};
    use crate::projection::{MAX_ZOOM, Point, Viewport, World};

    #[test]
    fn an_address_is_the_template_with_numbers() {
        let tile = Tile { z: 11, x: 1100, y: 671 };
        assert_eq!(
            tile.url("https://t.example/{z}/{x}/{y}.png?a={x"),
            "https://t.example/11/1100/671.png?a={x"
        );
    }

    #[test]
    fn a_view_of_one_town_needs_the_tiles_round_it() {
        // The tile of Berlin at zoom 10 is 550/335, as every tile server numbers it.
        let berlin = World::from_degrees(52.52, 13.4).unwrap();
        let middle = Point::new(100.0, 100.0);
        let view = Viewport::new(200.0, 200.0).zoomed(10.2, middle).centred(berlin);
        let tiles = covering(&view);
        assert!(tiles.contains(&Tile { z: 10, x: 550, y: 335 }) && tiles.len() <= 4, "{tiles:?}");
    }

    proptest! {
        #[test]
        fn tiles_cover_the_world_in_view_once_and_are_few(
            zoom in 0.0..MAX_ZOOM, dx in -9000.0..9000.0, dy in -3000.0..3000.0, x in 0.0..800.0, y in 0.0..600.0,
        ) {
            let viewport = Viewport::new(800.0, 600.0).zoomed(zoom, Point::new(400.0, 300.0)).panned(dx, dy);
            let tiles = covering(&viewport);
            prop_assert!(tiles.len() <= 30, "{}", tiles.len());
            let at = viewport.to_world(Point::new(x, y));
            prop_assume!((0.0..1.0).contains(&at.y));
            let holds = |tile: &&Tile| viewport.origins().any(|origin| {
                tile.edges(&viewport, origin, 1.0).is_some_and(|[left, top, right, bottom]| {
                    // What lies on an edge belongs to either side.
                    x > left - 0.5 && x < right + 0.5 && y > top - 0.5 && y < bottom + 0.5
                })
            });
            let found = tiles.iter().filter(holds).count();
            prop_assert!((1..=4).contains(&found), "{found} tiles at {x} {y}");
        }
    }
}
