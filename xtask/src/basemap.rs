//! Packs TopoJSON into the page's base map. `webui/map/src/world.rs` documents the format, and reads
//! them.
//!
//! Points are projected here, once, and rounded to a grid just fine enough for the source: a border's typical
//! segment spans sixteen steps or more. With that, and without names and countries' own rings, 108 KB become
//! 25 KB.

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

/// The latitude at which the Web Mercator world ends.
const MAX_LATITUDE: f64 = 85.051_128_779_806_6;
/// The least number of grid steps that a typical segment spans.
const STEPS_PER_SEGMENT: u32 = 16;

/// A point in the unit square: 0, 0 is the world's north-west corner.
type Point = [f64; 2];

/// Turns the text of a TopoJSON file with an object `land` into the compact form.
pub(crate) fn pack(topojson_text: &str) -> Result<Vec<u8>> {
    let topology: Value = serde_json::from_str(topojson_text).context("the base map is not JSON")?;
    let arcs = projected_arcs(&topology)?;
    let polygons = land(&topology)?;
    let grid = fitting_grid(&arcs);

    let mut out = b"TMW1".to_vec();
    put_unsigned(&mut out, grid);
    put_unsigned(&mut out, u32::try_from(arcs.len())?);
    for arc in &arcs {
        put_arc(&mut out, &on_grid(arc, grid))?;
    }
    put_unsigned(&mut out, u32::try_from(polygons.len())?);
    for rings in &polygons {
        put_unsigned(&mut out, u32::try_from(rings.len())?);
        for ring in rings {
            put_ring(&mut out, ring, arcs.len())?;
        }
    }
    Ok(out)
}

/// Decodes TopoJSON's delta coding and projects.
fn projected_arcs(topology: &Value) -> Result<Vec<Vec<Point>>> {
    let scale = pair(&topology["transform"]["scale"]).context("transform.scale")?;
    let translate = pair(&topology["transform"]["translate"]).context("transform.translate")?;
    let mut arcs = Vec::new();
    for arc in list(&topology["arcs"]).context("arcs")? {
        let mut at = [0.0, 0.0];
        let mut points = Vec::new();
        for step in list(arc).context("an arc")? {
            let step = pair(step).context("a point")?;
            at = [at[0] + step[0], at[1] + step[1]];
            points.push(project(at[0] * scale[0] + translate[0], at[1] * scale[1] + translate[1]));
        }
        ensure!(points.len() >= 2, "an arc of fewer than two points");
        arcs.push(points);
    }
    Ok(arcs)
}

/// Land masses, each a list of rings, each a list of arcs as TopoJSON numbers them (`!arc` is walked
/// backwards).
fn land(topology: &Value) -> Result<Vec<Vec<Vec<i64>>>> {
    let mut polygons = Vec::new();
    let mut geometries = vec![&topology["objects"]["land"]];
    while let Some(geometry) = geometries.pop() {
        match geometry["type"].as_str() {
            Some("GeometryCollection") => geometries.extend(list(&geometry["geometries"])?),
            Some("MultiPolygon") => {
                for polygon in list(&geometry["arcs"])? {
                    polygons.push(rings(polygon)?);
                }
            }
            Some("Polygon") => polygons.push(rings(&geometry["arcs"])?),
            other => bail!("the object `land` contains {other:?}, which is not supported"),
        }
    }
    Ok(polygons)
}

fn rings(polygon: &Value) -> Result<Vec<Vec<i64>>> {
    let ring = |ring: &Value| -> Result<Vec<i64>> {
        list(ring)?.iter().map(|arc| arc.as_i64().context("an arc's index is not a number")).collect()
    };
    list(polygon)?.iter().map(ring).collect()
}

fn project(lon: f64, lat: f64) -> Point {
    let lat = lat.clamp(-MAX_LATITUDE, MAX_LATITUDE).to_radians();
    [(lon + 180.0) / 360.0, 0.5 - lat.tan().asinh() / std::f64::consts::TAU]
}

/// The coarsest power of two on which the median segment spans [`STEPS_PER_SEGMENT`].
fn fitting_grid(arcs: &[Vec<Point>]) -> u32 {
    let mut spans: Vec<f64> = arcs
        .iter()
        .flat_map(|arc| arc.windows(2))
        .map(|pair| (pair[1][0] - pair[0][0]).abs().max((pair[1][1] - pair[0][1]).abs()))
        .collect();
    spans.sort_by(f64::total_cmp);
    let median = spans.get(spans.len() / 2).copied().unwrap_or(1.0);
    (8..=20)
        .map(|bits| 1_u32 << bits)
        .find(|&grid| median * f64::from(grid) >= f64::from(STEPS_PER_SEGMENT))
        .unwrap_or(1 << 20)
}

/// Rounds to the grid. Equal neighbours become one point, but two ends remain.
fn on_grid(arc: &[Point], grid: u32) -> Vec<[i64; 2]> {
    let round = |value: f64| ((value * f64::from(grid)).round() as i64).clamp(0, i64::from(grid));
    let mut points: Vec<[i64; 2]> = arc.iter().map(|point| point.map(round)).collect();
    let last = points.last().copied();
    points.dedup();
    if points.len() == 1 {
        points.extend(last);
    }
    points
}

fn put_arc(out: &mut Vec<u8>, points: &[[i64; 2]]) -> Result<()> {
    put_unsigned(out, u32::try_from(points.len())?);
    let mut before = [0, 0];
    for point in points {
        put_signed(out, point[0] - before[0])?;
        put_signed(out, point[1] - before[1])?;
        before = *point;
    }
    Ok(())
}

fn put_ring(out: &mut Vec<u8>, ring: &[i64], arcs: usize) -> Result<()> {
    put_unsigned(out, u32::try_from(ring.len())?);
    let mut before = 0;
    for &number in ring {
        let (arc, backwards) = if number < 0 { (!number, 1) } else { (number, 0) };
        ensure!(usize::try_from(arc)? < arcs, "a ring refers to the arc {arc} of {arcs}");
        let code = 2 * arc + backwards;
        put_signed(out, code - before)?;
        before = code;
    }
    Ok(())
}

fn put_signed(out: &mut Vec<u8>, value: i64) -> Result<()> {
    let value = i32::try_from(value)?;
    put_unsigned(out, ((value << 1) ^ (value >> 31)).cast_unsigned());
    Ok(())
}

fn put_unsigned(out: &mut Vec<u8>, mut value: u32) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn list(value: &Value) -> Result<&Vec<Value>> {
    value.as_array().context("expected a list")
}

fn pair(value: &Value) -> Result<[f64; 2]> {
    match value.as_array().map(Vec::as_slice) {
        Some([x, y]) => Ok([x.as_f64().context("not a number")?, y.as_f64().context("not a number")?]),
        _ => bail!("expected a pair of numbers"),
    }
}

// The page's own decoder, for the tests.
#[cfg(test)]
#[allow(dead_code, unreachable_pub, reason = "the page uses more of it than these tests do")]
#[path = "../../webui/map/src/world.rs"]
mod world;

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::{Compression, write::GzEncoder};

    use super::{pack, world};

    const WORLD_110M: &str = include_str!("../../webui/world/countries-110m.json");
    const WORLD_50M: &str = include_str!("../../webui/world/countries-50m.json");

    fn gzipped_bytes(bytes: &[u8]) -> usize {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap().len()
    }

    /// Whether a place is on land, by the even-odd rule over every ring of the decoded map.
    fn on_land(map: &world::BaseMap, lat: f64, lon: f64) -> bool {
        let grid = f64::from(map.grid());
        let [x, y] = super::project(lon, lat).map(|it| it * grid);
        let mut inside = false;
        for polygon in map.polygons() {
            for ring in map.rings(polygon) {
                let points: Vec<[f64; 2]> = ring.iter().map(|point| point.map(f64::from)).collect();
                let closed = points.iter().zip(points.iter().cycle().skip(1));
                for (&[ax, ay], &[bx, by]) in closed.filter(|(a, b)| (a[1] > y) != (b[1] > y)) {
                    // A ring may be on a copy of the world beside this one.
                    let crossing = (bx - ax) * (y - ay) / (by - ay) + ax;
                    for x in [x - grid, x, x + grid] {
                        inside ^= x < crossing;
                    }
                }
            }
        }
        inside
    }

    #[test]
    fn the_first_map_fits_its_budget() {
        let size = gzipped_bytes(&pack(WORLD_110M).unwrap());
        assert!(size <= 25_000, "{size} bytes");
    }

    #[test]
    fn cities_are_on_land_and_ships_are_not() {
        for text in [WORLD_110M, WORLD_50M] {
            let map = world::BaseMap::decode(&pack(text).unwrap()).unwrap();
            for (city, lat, lon) in [
                ("Berlin", 52.5, 13.4),
                ("Nairobi", -1.3, 36.8),
                ("Denver", 39.7, -105.0),
                ("Perth", -31.8, 116.2),
            ] {
                assert!(on_land(&map, lat, lon), "{city}");
            }
            for (sea, lat, lon) in
                [("Atlantic", 35.0, -40.0), ("Pacific", 0.0, -150.0), ("Caspian", 42.0, 50.5)]
            {
                assert!(!on_land(&map, lat, lon), "{sea}");
            }
        }
    }

    #[test]
    fn small_states_are_on_the_finer_map() {
        let map = world::BaseMap::decode(&pack(WORLD_50M).unwrap()).unwrap();
        assert!(on_land(&map, 1.36, 103.82), "Singapore");
        assert!(on_land(&map, 35.9, 14.42), "Malta");
    }

    #[test]
    fn invalid_maps_are_rejected() {
        for text in ["", "{}", r#"{"transform":{"scale":[1,1],"translate":[0,0]},"arcs":[[[0,0]]]}"#] {
            assert!(pack(text).is_err(), "{text}");
        }
        let dangling = r#"{"transform":{"scale":[1,1],"translate":[0,0]},"arcs":[[[0,0],[1,1]]],
            "objects":{"land":{"type":"Polygon","arcs":[[1]]}}}"#;
        assert!(pack(dangling).unwrap_err().to_string().contains("the arc 1 of 1"));
    }
}
