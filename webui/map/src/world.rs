//! The base map's compact form, decoded.
//!
//! Land masses share their coasts and borders as *arcs*, as TopoJSON does. All numbers are LEB128 varints;
//! signed ones are zigzag-coded:
//!
//! ```text
//! "TMW1"  grid
//! arcs:     count, then per arc:  points, then per point dx, dy (signed, from the point before; the first
//!           from 0, 0)
//! polygons: count, then per polygon: rings, then per ring: references, each signed from the one before
//! ```
//!
//! Coordinates are Web Mercator, 0 at the north-west corner of the world and `grid` at its south-east corner,
//! so that nothing needs to be projected in the browser. A reference is `2 × arc`, plus 1 when the arc is
//! walked backwards.

use std::fmt;

/// How the compact form begins.
pub const MAGIC: [u8; 4] = *b"TMW1";

/// More than any map needs. Ensures that every coordinate is exact in an `f32`.
const MAX_GRID: u32 = 1 << 24;

/// A decoded base map.
#[derive(Clone, Debug, PartialEq)]
pub struct BaseMap {
    grid: u32,
    arcs: Vec<Vec<[u32; 2]>>,
    polygons: Vec<Polygon>,
}

/// A land mass: its coast, then its lakes and inland seas.
#[derive(Clone, Debug, PartialEq)]
pub struct Polygon {
    rings: Vec<Vec<ArcRef>>,
}

/// An arc as part of a ring.
#[derive(Clone, Copy, Debug, PartialEq)]
struct ArcRef {
    arc: usize,
    backwards: bool,
}

/// Why bytes are not a base map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WorldError {
    /// They do not begin with the magic bytes.
    Magic,
    /// They end too early.
    Truncated,
    /// Something follows the end.
    Trailing,
    /// A number is larger than 32 bits.
    Number,
    /// A point is outside the grid, or the grid is invalid.
    Grid,
    /// An arc has fewer than two points, or a ring no arc.
    Shape,
    /// A ring names an arc that does not exist.
    Reference,
}

impl BaseMap {
    /// Decodes the compact form. It comes over the network, so nothing in it is trusted.
    pub fn decode(bytes: &[u8]) -> Result<Self, WorldError> {
        let rest = bytes.strip_prefix(&MAGIC).ok_or(WorldError::Magic)?;
        let mut reader = Reader { rest };
        let grid = reader.unsigned()?;
        if !(1..=MAX_GRID).contains(&grid) {
            return Err(WorldError::Grid);
        }
        let arcs = reader.list(|reader| reader.arc(grid))?;
        let polygons = reader.list(|reader| reader.polygon(arcs.len()))?;
        if !reader.rest.is_empty() {
            return Err(WorldError::Trailing);
        }
        Ok(Self { grid, arcs, polygons })
    }

    /// The world's width and height in the map's own units.
    pub fn grid(&self) -> u32 {
        self.grid
    }

    /// Land masses.
    pub fn polygons(&self) -> &[Polygon] {
        &self.polygons
    }

    /// The closed rings of a land mass, to be filled by the even-odd rule.
    ///
    /// A ring that crosses the date line goes on beyond the world's edge, onto the world's copy beside it.
    /// One that goes all the way round, as Antarctica does, is closed along the world's foot.
    pub fn rings<'a>(&'a self, polygon: &'a Polygon) -> impl Iterator<Item = Vec<[i32; 2]>> + 'a {
        polygon.rings.iter().map(|ring| {
            let mut ring = self.unrolled(ring.iter().flat_map(|reference| self.walk(*reference)));
            if let (Some(&[first, _]), Some(&[last, _])) = (ring.first(), ring.last())
                && (last - first).abs() > self.half()
            {
                let foot = self.grid.cast_signed();
                ring.extend([[last, foot], [first, foot]]);
            }
            ring
        })
    }

    /// Each coast and border once. Where one crosses the date line it goes on beyond the world's edge.
    pub fn lines(&self) -> impl Iterator<Item = Vec<[i32; 2]>> + '_ {
        self.arcs.iter().map(|arc| self.unrolled(arc.iter().copied()))
    }

    /// Whether a segment is where the map was cut and not a coast: along the date line, or at the map's foot.
    pub fn is_cut(&self, from: [i32; 2], to: [i32; 2]) -> bool {
        let grid = self.grid.cast_signed();
        let edge = |a: i32, b: i32| a == b && a.rem_euclid(grid) == 0;
        edge(from[0], to[0]) || edge(from[1], to[1])
    }

    /// The points with whole worlds added, so that no step is longer than half a world.
    fn unrolled(&self, points: impl Iterator<Item = [u32; 2]>) -> Vec<[i32; 2]> {
        let (grid, half) = (self.grid.cast_signed(), self.half());
        let (mut worlds, mut before) = (0, None::<i32>);
        points
            .map(|[x, y]| {
                let (x, y) = (x.cast_signed(), y.cast_signed());
                match x - before.unwrap_or(x) {
                    step if step > half => worlds -= grid,
                    step if step < -half => worlds += grid,
                    _ => {}
                }
                before = Some(x);
                [x + worlds, y]
            })
            .collect()
    }

    fn half(&self) -> i32 {
        self.grid.cast_signed() / 2
    }

    fn walk(&self, reference: ArcRef) -> impl Iterator<Item = [u32; 2]> + '_ {
        let arc = self.arcs.get(reference.arc).map_or(&[][..], Vec::as_slice);
        let last = arc.len().saturating_sub(1);
        (0..arc.len()).map(move |at| arc[if reference.backwards { last - at } else { at }])
    }
}

impl fmt::Display for WorldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Magic => "not a base map",
            Self::Truncated => "the base map ends too early",
            Self::Trailing => "something follows the base map",
            Self::Number => "a number is too large",
            Self::Grid => "a point lies outside of the grid",
            Self::Shape => "a line has too few points",
            Self::Reference => "a ring names a line that does not exist",
        })
    }
}

impl std::error::Error for WorldError {}

/// What is left to read.
struct Reader<'a> {
    rest: &'a [u8],
}

impl Reader<'_> {
    /// A count, then that many items.
    fn list<T>(
        &mut self,
        mut item: impl FnMut(&mut Self) -> Result<T, WorldError>,
    ) -> Result<Vec<T>, WorldError> {
        let count = self.unsigned()? as usize;
        // Each item takes at least a byte, so a larger count is wrong and would reserve memory for nothing.
        if count > self.rest.len() {
            return Err(WorldError::Truncated);
        }
        (0..count).map(|_| item(self)).collect()
    }

    fn arc(&mut self, grid: u32) -> Result<Vec<[u32; 2]>, WorldError> {
        let mut at = [0_u32; 2];
        let points = self.list(|reader| {
            for axis in &mut at {
                let step = reader.signed()?;
                *axis = axis.checked_add_signed(step).filter(|&it| it <= grid).ok_or(WorldError::Grid)?;
            }
            Ok(at)
        })?;
        if points.len() < 2 { Err(WorldError::Shape) } else { Ok(points) }
    }

    fn polygon(&mut self, arcs: usize) -> Result<Polygon, WorldError> {
        let rings = self.list(|reader| reader.ring(arcs))?;
        if rings.is_empty() { Err(WorldError::Shape) } else { Ok(Polygon { rings }) }
    }

    fn ring(&mut self, arcs: usize) -> Result<Vec<ArcRef>, WorldError> {
        let mut code = 0_u32;
        let ring = self.list(|reader| {
            let step = reader.signed()?;
            code = code.checked_add_signed(step).ok_or(WorldError::Reference)?;
            let arc = (code / 2) as usize;
            if arc >= arcs {
                return Err(WorldError::Reference);
            }
            Ok(ArcRef { arc, backwards: code % 2 == 1 })
        })?;
        if ring.is_empty() { Err(WorldError::Shape) } else { Ok(ring) }
    }

    fn signed(&mut self) -> Result<i32, WorldError> {
        let code = self.unsigned()?;
        Ok((code >> 1).cast_signed() ^ -(code & 1).cast_signed())
    }

    fn unsigned(&mut self) -> Result<u32, WorldError> {
        let mut value = 0_u64;
        for shift in (0..35).step_by(7) {
            let (&byte, rest) = self.rest.split_first().ok_or(WorldError::Truncated)?;
            self.rest = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return u32::try_from(value).map_err(|_| WorldError::Number);
            }
        }
        Err(WorldError::Number)
    }
}

#[cfg(test)]
mod tests {
    use super::{BaseMap, WorldError};

    /// A square lake-less island of two arcs on a grid of 100: (10, 10) → (20, 20), and back the other way
    /// round.
    const ISLAND: [u8; 26] = [
        b'T', b'M', b'W', b'1', 100, 2, //
        3, 20, 20, 20, 0, 0, 20, // (10, 10) (20, 10) (20, 20)
        3, 20, 20, 0, 20, 20, 0, // (10, 10) (10, 20) (20, 20)
        1, 1, 2, 0, 6, // one polygon, one ring: arc 0, then arc 1 backwards
        0,
    ];

    fn island() -> &'static [u8] {
        &ISLAND[..25]
    }

    #[test]
    fn rings_are_walked_along_their_arcs() {
        let map = BaseMap::decode(island()).unwrap();
        assert_eq!(map.grid(), 100);
        let polygon = &map.polygons()[0];
        let ring = map.rings(polygon).next().unwrap();
        assert_eq!(ring, [[10, 10], [20, 10], [20, 20], [20, 20], [10, 20], [10, 10]]);
    }

    #[test]
    fn what_crosses_the_date_line_goes_on_beyond_the_edge() {
        let map = BaseMap::decode(island()).unwrap();
        let unrolled = |points: &[[u32; 2]]| map.unrolled(points.iter().copied());
        assert_eq!(unrolled(&[[90, 5], [98, 5], [3, 6], [97, 7]]), [[90, 5], [98, 5], [103, 6], [97, 7]]);
        assert_eq!(unrolled(&[[2, 5], [99, 5]]), [[2, 5], [-1, 5]]);
    }

    #[test]
    fn edges_of_the_map_are_not_coasts() {
        let map = BaseMap::decode(island()).unwrap();
        assert!(map.is_cut([0, 5], [0, 9]));
        assert!(map.is_cut([3, 100], [9, 100]));
        assert!(!map.is_cut([0, 5], [1, 9]));
    }

    #[test]
    fn malformed_bytes_are_refused() {
        assert_eq!(BaseMap::decode(b"<!doctype html>"), Err(WorldError::Magic));
        assert_eq!(BaseMap::decode(&ISLAND), Err(WorldError::Trailing));
        for end in 4..island().len() {
            assert_eq!(BaseMap::decode(&island()[..end]), Err(WorldError::Truncated), "cut at {end}");
        }
        let with = |at: usize, byte: u8| {
            let mut bytes = island().to_vec();
            bytes[at] = byte;
            BaseMap::decode(&bytes)
        };
        assert_eq!(with(4, 0), Err(WorldError::Grid));
        assert_eq!(with(4, 15), Err(WorldError::Grid));
        assert_eq!(with(7, 19), Err(WorldError::Grid), "left of the world");
        assert_eq!(with(24, 8), Err(WorldError::Reference));
        assert_eq!(with(5, 120), Err(WorldError::Truncated), "a count that cannot be");
    }

    #[test]
    fn no_single_wrong_byte_makes_it_panic() {
        let mut accepted = 0;
        for at in 4..island().len() {
            for byte in 0..=u8::MAX {
                let mut bytes = island().to_vec();
                bytes[at] = byte;
                let Ok(map) = BaseMap::decode(&bytes) else { continue };
                accepted += 1;
                let grid = map.grid().cast_signed();
                let points = map.polygons().iter().flat_map(|polygon| map.rings(polygon)).flatten();
                assert!(points.chain(map.lines().flatten()).all(|[_, y]| (0..=grid).contains(&y)));
            }
        }
        assert!(accepted > 100, "some are maps all the same: {accepted}");
    }
}
