//! What a second of a fleet costs: `cargo bench -p tidemap-alert`.
//!
//! 10,000 nodes report once, in four ticks, under 200 rules about each of them and some about groups. 30 ms
//! are 3 % of a core.
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on has failed")]

use std::{collections::BTreeMap, fmt::Write, sync::Arc};

use divan::{Bencher, counter::ItemsCount};
use tidemap_alert::{AlertFile, Engine, NodeFacts};
use tidemap_wire::{Averages, Bps, Hello, Host, Location, LocationSource, NodeId, NodeUpdate, Status};

const NODES: usize = 10_000;
const TICKS: usize = 4;

fn main() {
    divan::main();
}

struct Fleet {
    engine: Engine,
    nodes: Vec<(NodeUpdate, Arc<Hello>, Host)>,
    now_ms: i64,
}

/// Two hundred rules: of many metrics, directions and windows, with several thresholds for each.
fn file() -> String {
    let mut text = String::new();
    let mut rule = |number: usize, lines: &str| {
        writeln!(text, "[[rule]]\nname = \"rule {number}\"\nfor = \"1m\"\n{lines}").unwrap();
    };
    for number in 0..190 {
        let direction = ["in", "out", "both", "larger"][number % 4];
        let window = ["now", "10s", "1m", "5m", "15m"][number / 4 % 5];
        match number % 10 {
            0..=4 => rule(
                number,
                &format!(
                    "metric = \"rate\"\ndirection = \"{direction}\"\nwindow = \"{window}\"\nabove = \"{} Mbit/s\"",
                    500 + number
                ),
            ),
            5 | 6 => rule(
                number,
                &format!("metric = \"utilisation\"\ndirection = \"{direction}\"\nabove = \"80 %\""),
            ),
            7 => rule(number, "metric = \"cpu_percent\"\nabove = \"95 %\""),
            8 => rule(number, "metric = \"errors\"\nabove = 1000"),
            _ => rule(number, &format!("metric = \"offline\"\nlabel = \"site=s{}\"", number % 7)),
        }
    }
    for number in 190..200 {
        let per = ["all", "location", "label:site"][number % 3];
        rule(
            number,
            &format!("metric = \"rate\"\nper = \"{per}\"\nabove = \"100 Gbit/s\"\ndirection = \"in\""),
        );
    }
    text
}

impl Fleet {
    fn new() -> Self {
        let nodes = (0..NODES).map(|number| {
            let location = Location {
                lat: 1.0,
                lon: 1.0,
                label: Some(format!("place {}", number % 50)),
                source: LocationSource::Given,
            };
            let hello = Hello {
                display_name: Some(format!("node-{number:05}")),
                location: Some(location),
                link_speed_mbps: Some(1_000),
                labels: BTreeMap::from([("site".to_owned(), format!("s{}", number % 20))]),
                ..Hello::default()
            };
            let host = Host { cpu_percent: Some(12.0), network_errors: Some(3), ..Host::default() };
            (update(number), Arc::new(hello), host)
        });
        let rules = AlertFile::parse(&file()).unwrap().rules;
        let mut fleet =
            Self { engine: Engine::new(rules), nodes: nodes.collect(), now_ms: 1_700_000_000_000 };
        fleet.second(10.0);
        fleet.engine.complete(fleet.now_ms);
        fleet
    }

    /// All nodes report this rate, and are judged.
    fn second(&mut self, mbits: f64) -> usize {
        let mut said = 0;
        for tick in self.nodes.chunks_mut(NODES / TICKS) {
            for (update, hello, host) in tick {
                set(update, mbits, self.now_ms);
                let facts = NodeFacts {
                    id: &update.node,
                    status: Status::Online,
                    since_ms: 0,
                    latest: update,
                    hello: Some(hello),
                    host: Some(host),
                };
                self.engine.observe(self.now_ms, &facts);
            }
            self.now_ms += 250;
            said += self.engine.judge(self.now_ms).len();
        }
        said
    }
}

fn set(update: &mut NodeUpdate, mbits: f64, now_ms: i64) {
    let bps = Bps::new(mbits * 125_000.0);
    let averages = Averages { s10: bps, m1: bps, m5: bps, m15: bps };
    (update.rx_bps, update.tx_bps, update.rx_avg, update.tx_avg) = (bps, bps, averages, averages);
    update.seen_ms = now_ms;
}

fn update(number: usize) -> NodeUpdate {
    NodeUpdate {
        node: NodeId::from_name(&format!("node-{number:05}")).unwrap(),
        row: 0,
        boot: 1,
        status: Status::Online,
        since_ms: 0,
        seen_ms: 0,
        at_ms: 0,
        skew_ms: 0,
        interval_ms: 1_000,
        rx_bps: None,
        tx_bps: None,
        rx_avg: Averages::default(),
        tx_avg: Averages::default(),
        rx_bytes: 0,
        tx_bytes: 0,
        partial: false,
        refused: None,
        hello: None,
        host: None,
        interfaces: None,
        probes: None,
    }
}

/// Nothing is beyond a threshold.
#[divan::bench(sample_count = 20)]
fn calm_second(bencher: Bencher<'_, '_>) {
    let mut fleet = Fleet::new();
    let mut mbits = 10.0;
    bencher.counter(ItemsCount::new(NODES)).bench_local(move || {
        mbits = 25.0 - mbits;
        fleet.second(mbits)
    });
}

/// Every node is beyond every threshold of its rates, and fires.
#[divan::bench(sample_count = 5)]
fn second_of_a_fleet_on_fire(bencher: Bencher<'_, '_>) {
    let mut fleet = Fleet::new();
    for _ in 0..70 {
        fleet.second(990.0);
    }
    bencher.counter(ItemsCount::new(NODES)).bench_local(move || fleet.second(990.0));
}
