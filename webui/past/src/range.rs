//! The time that an address asks for, and how the API is asked for it.

use tidemap_format::Unit;
use tidemap_parts::encoding::{decoded, encoded, path_segment};

use crate::calendar::rfc3339;

/// Names of ranges in the page's address, in the API's requests, and on screen.
const RANGES: [(&str, &str, &str); 5] = [
    ("1h", "-1h", "1 hour"),
    ("24h", "-24h", "24 hours"),
    ("7d", "-7d", "7 days"),
    ("30d", "-30d", "30 days"),
    ("1y", "-365d", "1 year"),
];

/// How many nodes have rates of another time in the list and on the map: as many as the API tells.
pub const MOST_NODES: usize = 1000;

/// What the page's address says, as far as it matters here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// The time; `None` for now.
    pub range: Option<Range>,
    /// The moment whose nodes are listed.
    pub spike: Option<Spike>,
    /// The node whose details are open.
    pub node: Option<String>,
    /// How rates are written.
    pub unit: Unit,
}

/// A time. Its ends are what the API is asked for: it says what it cannot read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Range {
    /// Begin.
    pub from: String,
    /// End.
    pub to: String,
    /// How long it is, if it ends now.
    pub length: Option<&'static str>,
}

/// A moment at which much moved, and in which direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spike {
    /// Download, or else upload.
    pub is_download: bool,
    /// Begin, Unix milliseconds.
    pub from_ms: i64,
    /// End.
    pub to_ms: i64,
}

impl Spike {
    /// Reads `rx-1764412800000-1764412860000`.
    fn parse(text: &str) -> Option<Self> {
        let (side, time) = text.split_once('-')?;
        let (from, to) = time.split_once('-')?;
        let is_download = side == "rx";
        let spike = Self { is_download, from_ms: from.parse().ok()?, to_ms: to.parse().ok()? };
        (is_download || side == "tx").then_some(spike)
    }

    /// How the page's address says it.
    pub fn pair(self) -> String {
        ["spike=", self.side(), "-", &self.from_ms.to_string(), "-", &self.to_ms.to_string()].concat()
    }

    /// Where the API tells which five nodes moved most then.
    pub fn culprits_url(self) -> String {
        let (from, to) = (self.from_ms.to_string(), self.to_ms.to_string());
        ["api/top?by=", self.side(), "&limit=5&from=", &from, "&to=", &to].concat()
    }

    fn side(self) -> &'static str {
        if self.is_download { "rx" } else { "tx" }
    }
}

impl Asked {
    /// Reads the page's query string.
    pub fn parse(query: &str) -> Self {
        let value = |wanted: &str| {
            let mut pairs = query.trim_start_matches('?').split('&').filter_map(|pair| pair.split_once('='));
            pairs.find(|(name, _)| *name == wanted).map(|(_, value)| decoded(value))
        };
        let named = value("range").map(|name| Range::named(&name));
        let between = || {
            let (from, to) = (value("from"), value("to"));
            let is_asked = from.is_some() || to.is_some();
            let or_now = |end: Option<String>| end.unwrap_or_else(|| "now".to_owned());
            is_asked.then(|| Range { from: or_now(from), to: or_now(to), length: None })
        };
        Self {
            range: named.or_else(between),
            spike: value("spike").and_then(|spike| Spike::parse(&spike)),
            node: value("node").filter(|node| !node.is_empty()),
            unit: value("unit").and_then(|unit| Unit::from_label(&unit)).unwrap_or_default(),
        }
    }
}

impl Range {
    fn named(name: &str) -> Self {
        let known = RANGES.iter().find(|(known, ..)| *known == name);
        Self {
            from: known.map_or_else(|| ["-", name].concat(), |(_, from, _)| (*from).to_owned()),
            to: "now".to_owned(),
            length: known.map(|(.., title)| *title),
        }
    }

    fn query(&self) -> String {
        ["from=", &encoded(&self.from), "&to=", &encoded(&self.to)].concat()
    }

    /// Where the API tells what the fleet moved, or one node.
    pub fn history_url(&self, node: Option<&str>) -> String {
        match node {
            Some(node) => {
                let columns = "/history?columns=traffic,host&";
                ["api/nodes/", &path_segment(node), columns, &self.query()].concat()
            }
            None => ["api/history?", &self.query()].concat(),
        }
    }

    /// Where the API tells which nodes moved most.
    pub fn top_url(&self) -> String {
        ["api/top?by=sum&limit=", &MOST_NODES.to_string(), "&", &self.query()].concat()
    }
}

/// A time for the page's address.
pub fn between(from_ms: i64, to_ms: i64) -> String {
    ["from=", &rfc3339(from_ms), "&to=", &rfc3339(to_ms)].concat()
}

/// A time around a moment that was clicked at, long enough to see what came before and after.
pub fn around(from_ms: i64, to_ms: i64) -> (i64, i64) {
    const SHORTEST_MS: i64 = 15 * 60_000;
    let missing_ms = (SHORTEST_MS - (to_ms - from_ms)).max(0);
    // Whole minutes, as the history has them.
    let before_ms = missing_ms / 2 / 60_000 * 60_000;
    (from_ms - before_ms, to_ms + missing_ms - before_ms)
}

/// How a query string says which time is shown, and which moment of it is looked at.
pub fn time_of(query: &str) -> String {
    let pairs = query.trim_start_matches('?').split('&');
    pairs.filter(|pair| is_time(pair)).collect::<Vec<_>>().join("&")
}

/// The query string with another moment to look at, or none.
pub fn with_spike(query: &str, spike: Option<Spike>) -> String {
    let time = time_of(query);
    let kept = time.split('&').filter(|pair| !pair.starts_with("spike=") && !pair.is_empty());
    let pairs: Vec<String> = kept.map(str::to_owned).chain(spike.map(Spike::pair)).collect();
    with_time(query, &pairs.join("&"), None)
}

fn is_time(pair: &str) -> bool {
    ["range", "from", "to", "spike"].contains(&pair.split('=').next().unwrap_or_default())
}

/// The query string with another time, and with a node if one is given. `time` is empty for now.
pub fn with_time(query: &str, time: &str, node: Option<&str>) -> String {
    let is_kept =
        |pair: &&str| !(pair.is_empty() || is_time(pair) || (node.is_some() && pair.starts_with("node=")));
    let mut pairs: Vec<String> =
        query.trim_start_matches('?').split('&').filter(is_kept).map(str::to_owned).collect();
    pairs.extend(node.map(|node| ["node=", &encoded(node)].concat()));
    if !time.is_empty() {
        pairs.push(time.to_owned());
    }
    if pairs.is_empty() { String::new() } else { "?".to_owned() + &pairs.join("&") }
}

/// The query string with another value of a name; without it when the value is empty.
pub fn with_pair(query: &str, name: &str, value: &str) -> String {
    let is_kept = |pair: &&str| !pair.is_empty() && pair.split('=').next() != Some(name);
    let mut pairs: Vec<String> =
        query.trim_start_matches('?').split('&').filter(is_kept).map(str::to_owned).collect();
    if !value.is_empty() {
        pairs.push([name, "=", &encoded(value)].concat());
    }
    if pairs.is_empty() { String::new() } else { "?".to_owned() + &pairs.join("&") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_names_a_range_or_its_ends_or_neither() {
        let range = |query: &str| Asked::parse(query).range;
        assert_eq!(range("?node=a&q=1h"), None);
        let day = range("?range=24h").unwrap();
        assert_eq!((&*day.from, &*day.to, day.length), ("-24h", "now", Some("24 hours")));
        assert_eq!(day.history_url(None), "api/history?from=-24h&to=now");
        assert_eq!(range("?range=1y").unwrap().from, "-365d");
        let ends = range("?from=2026-11-27T00%3A00:00Z&to=7").unwrap();
        assert_eq!((&*ends.from, &*ends.to, ends.length), ("2026-11-27T00:00:00Z", "7", None));
        assert_eq!(range("?from=-3h").unwrap().to, "now");
        // The API says that it does not know this.
        assert_eq!(range("?range=2parsecs").unwrap().from, "-2parsecs");
    }

    #[test]
    fn a_node_and_a_unit_are_read_too() {
        let asked = Asked::parse("?node=web%201%2Fa&unit=Mbit%2Fs&range=1h");
        assert_eq!((asked.node.as_deref(), asked.unit), (Some("web 1/a"), Unit::MegaBits));
        let url = asked.range.unwrap().history_url(Some("web 1"));
        assert_eq!(url, "api/nodes/web%201/history?columns=traffic,host&from=-1h&to=now");
        assert_eq!(Asked::parse("?node=").node, None);
    }

    #[test]
    fn a_minute_is_shown_with_what_was_around_it() {
        assert_eq!(around(6_000_000, 6_060_000), (5_580_000, 6_480_000));
        assert_eq!(around(0, 3_600_000), (0, 3_600_000));
    }

    #[test]
    fn a_moment_that_is_looked_at_is_in_the_address_until_another_time_is_chosen() {
        let spike = Spike { is_download: false, from_ms: 5, to_ms: 9 };
        let query = with_spike("?q=a&range=7d", Some(spike));
        assert_eq!(query, "?q=a&range=7d&spike=tx-5-9");
        assert_eq!(Asked::parse(&query).spike, Some(spike));
        assert_eq!(spike.culprits_url(), "api/top?by=tx&limit=5&from=5&to=9");
        assert_eq!(with_spike(&query, None), "?q=a&range=7d");
        assert_eq!(with_time(&query, "range=1h", None), "?q=a&range=1h");
        for wrong in ["", "rx", "rx-5", "rx-a-9", "up-5-9"] {
            assert_eq!(Asked::parse(&["?spike=", wrong].concat()).spike, None, "{wrong}");
        }
    }

    #[test]
    fn another_time_leaves_the_rest_of_the_address_alone() {
        assert_eq!(with_time("?q=a%20b&range=1h&debug", "range=7d", None), "?q=a%20b&debug&range=7d");
        assert_eq!(with_time("?from=1&to=2", "", None), "");
        assert_eq!(with_time("?node=a&from=1", "from=5&to=9", Some("b/c")), "?node=b%2Fc&from=5&to=9");
        assert_eq!(with_pair("?view=events&state=a", "state", "b c"), "?view=events&state=b%20c");
        assert_eq!(with_pair("?state=a", "state", ""), "");
        assert_eq!(time_of("?node=a&from=1&q=to&to=2"), "from=1&to=2");
        assert_eq!(between(0, 60_000), "from=1970-01-01T00:00:00Z&to=1970-01-01T00:01:00Z");
    }
}
