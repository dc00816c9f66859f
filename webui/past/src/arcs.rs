//! Nodes that the open node probes, or that probe it: arcs on the map, and words.

use tidemap_format as format;
use tidemap_map::projection::World;
use tidemap_parts::value::{Invalid, Text, Value};

/// The most that are shown: more would be a tangle.
pub const MOST: usize = 8;

/// The open node and another one between which round trips are measured.
#[derive(Clone, Debug, PartialEq)]
pub struct Connection {
    /// The other node's name.
    pub other: String,
    /// Whether it is the other one that probes.
    pub is_probed_by: bool,
    /// The median round trip of the last minute.
    pub latency_ms: f64,
    /// Where the open node and the other one are; absent where it is no place on the map.
    ends: Option<[World; 2]>,
}

/// Reads those of a node from the API's answer. Where two nodes probe each other, there are two.
///
/// # Errors
///
/// When it is no such answer.
pub fn of_node(text: &Text, node: &str) -> Result<Vec<Connection>, Invalid> {
    let read = |connection: &Value| {
        let name = |end: &str| connection.get(&[end, "_node"].concat()).text();
        let place = |end: &str| {
            let degrees = |axis: &str| connection.get(&[end, axis].concat()).number();
            Ok(World::from_degrees(degrees("_lat")?, degrees("_lon")?))
        };
        let is_probed_by = name("target")? == node;
        let (here, there) = if is_probed_by { ("target", "source") } else { ("source", "target") };
        let is_its = name(here)? == node;
        Ok(is_its.then_some(Connection {
            other: name(there)?,
            is_probed_by,
            latency_ms: connection.get("latency_ms").number()?,
            ends: place(here)?.zip(place(there)?).map(|(here, there)| [here, there]),
        }))
    };
    Ok(Value::parse(text)?.list(read)?.into_iter().flatten().collect())
}

/// The nearest of the other nodes, at most [`MOST`], each once, or of those alone that probe the open one.
pub fn nearest(all: &[Connection], is_probed_by: bool) -> Vec<&Connection> {
    let mut shown: Vec<&Connection> = Vec::new();
    // Not sorted: a sort would be larger than all else here.
    while shown.len() < MOST {
        let others = all.iter().filter(|one| {
            (one.is_probed_by || !is_probed_by) && shown.iter().all(|known| known.other != one.other)
        });
        let Some(nearest) = others.min_by(|one, other| one.latency_ms.total_cmp(&other.latency_ms)) else {
            break;
        };
        shown.push(nearest);
    }
    shown
}

/// Which nodes probe the open one: `Probed by fra-01 (11 ms), nyc-02 (78 ms).` Empty when none does.
pub fn words(all: &[Connection]) -> String {
    let by = nearest(all, true);
    if by.is_empty() {
        return String::new();
    }
    let named: Vec<String> = by
        .iter()
        .map(|one| [&one.other, " (", &*format::milliseconds(one.latency_ms), ")"].concat())
        .collect();
    let more = all.iter().filter(|one| one.is_probed_by).count() - by.len();
    let more = if more > 0 { [" and ", &more.to_string(), " more"].concat() } else { String::new() };
    ["Probed by ", &named.join(", "), &more, "."].concat()
}

/// What the map shows, as the program that draws it says: in pixels, how wide the world is, where its upper
/// left corner is, and how wide the window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MapWindow {
    world: f64,
    left: f64,
    top: f64,
    width: f64,
}

impl MapWindow {
    /// Reads `1024 -12 -300 800`.
    pub fn parse(text: &str) -> Option<Self> {
        let numbers: Vec<i64> = text.split(' ').map(|number| number.parse().ok()).collect::<Option<_>>()?;
        let [world, left, top, width] = numbers[..] else { return None };
        (world > 0).then_some(Self {
            world: world as f64,
            left: left as f64,
            top: top as f64,
            width: width as f64,
        })
    }

    /// The connection as an SVG path that is bent to one side, so that two are not one line; nothing where an
    /// end is no place.
    pub fn arc(&self, connection: &Connection) -> Option<String> {
        let [here, there] = connection.ends?;
        let at = |place: World| (self.left + place.x * self.world, self.top + place.y * self.world);
        let (from, to) = (at(here), at(there));
        // Of the copies of the world the map shows a node on the one nearest to its middle, and the other end
        // is where the way is shorter.
        let from = (self.nearest(from.0, self.width / 2.0), from.1);
        let to = (self.nearest(to.0, from.0), to.1);
        let (across, down) = (to.0 - from.0, to.1 - from.1);
        let middle = (from.0 + across / 2.0 + down / 5.0, from.1 + down / 2.0 - across.abs() / 5.0);
        let point =
            |(x, y): (f64, f64)| [(x.round() as i64).to_string(), (y.round() as i64).to_string()].join(" ");
        Some(["M", &point(from), "Q", &point(middle), " ", &point(to)].concat())
    }

    fn nearest(&self, x: f64, to: f64) -> f64 {
        if self.world < self.width { x } else { x - ((x - to) / self.world).round() * self.world }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn connection(source: (&str, f64), target: (&str, f64), latency_ms: f64) -> serde_json::Value {
        json!({
            "source_node": source.0, "source_lat": 0.0, "source_lon": source.1, "target_node": target.0,
            "target_lat": 0.0, "target_lon": target.1, "latency_ms": latency_ms,
        })
    }

    fn read(all: &[serde_json::Value], node: &str) -> Vec<Connection> {
        of_node(&json!(all).to_string(), node).unwrap()
    }

    #[test]
    fn a_nodes_connections_are_those_that_it_measures_or_that_measure_it() {
        let all = [
            connection(("a", 0.0), ("b", 90.0), 11.0),
            connection(("c", 45.0), ("a", 0.0), 0.5),
            connection(("b", 90.0), ("a", 0.0), 12.0),
            connection(("b", 90.0), ("c", 45.0), 3.0),
        ];
        let of = |node, is_probed_by| -> Vec<String> {
            nearest(&read(&all, node), is_probed_by).into_iter().map(|one| one.other.clone()).collect()
        };
        assert_eq!(of("a", false), ["c", "b"], "each once, the nearest first");
        assert_eq!(of("b", true), ["a"]);
        assert_eq!(of("d", false), [""; 0]);
        assert_eq!(words(&read(&all, "a")), "Probed by c (0.50 ms), b (12 ms).", "b is probed by it, too");
        assert_eq!(words(&read(&all, "b")), "Probed by a (11 ms).");
        assert_eq!(words(&read(&all[..1], "a")), "");
        let many: Vec<_> = (0..20).map(|at| connection((&format!("n{at}"), 1.0), ("a", 0.0), 1.0)).collect();
        assert_eq!(nearest(&read(&many, "a"), false).len(), MOST);
        let said = words(&read(&many, "a"));
        assert!(said.ends_with("n7 (1.00 ms) and 12 more."), "{said}");
        assert_eq!(of_node("{}", "a"), Err(Invalid));
    }

    #[test]
    fn an_arc_goes_from_place_to_place_the_shorter_way_round_the_world() {
        let window = MapWindow::parse("1000 0 -400 1000").unwrap();
        let arc = |from: f64, to: f64| {
            window.arc(&read(&[connection(("a", from), ("b", to), 1.0)], "a")[0]).unwrap()
        };
        assert_eq!(arc(0.0, 90.0), "M500 100Q625 50 750 100");
        assert_eq!(arc(170.0, -170.0), "M972 100Q1000 89 1028 100");
        // Where the world is seen once, there is no other copy to go to.
        let narrow = MapWindow::parse("1000 100 0 1200").unwrap();
        let across = narrow.arc(&read(&[connection(("a", 170.0), ("b", -170.0), 1.0)], "a")[0]).unwrap();
        assert!(across.starts_with("M1072 500Q") && across.ends_with(" 128 500"), "{across}");
        for wrong in ["", "1 2 3", "0 1 1 1", "a b c d"] {
            assert_eq!(MapWindow::parse(wrong), None, "{wrong}");
        }
    }
}
