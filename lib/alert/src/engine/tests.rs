//! A small world in which rules are judged.

mod basics;
mod episodes;
mod gone;
mod groups;
mod holding;
mod others;
mod plans;

use std::{collections::BTreeMap, sync::Arc};

use tidemap_wire::{
    AlertChange, Averages, Bps, Hello, Host, Location, LocationSource, NodeId, NodeUpdate, Status,
};

use super::{Engine, NodeFacts, Transition};
use crate::AlertFile;

/// A Wednesday, 10:00 UTC.
pub(super) const START_MS: i64 = 1_700_042_400_000;

pub(super) struct World {
    pub(super) engine: Engine,
    pub(super) now_ms: i64,
    nodes: BTreeMap<String, Known>,
}

#[derive(Clone)]
pub(super) struct Known {
    pub(super) update: NodeUpdate,
    pub(super) hello: Option<Arc<Hello>>,
    pub(super) host: Host,
    pub(super) status: Status,
    pub(super) since_ms: i64,
}

impl World {
    pub(super) fn new(file: &str) -> Self {
        Self { engine: Engine::new(rules(file)), now_ms: START_MS, nodes: BTreeMap::new() }
    }

    /// A node in a place, with a link of a gigabit per second. Nobody has heard of it yet.
    pub(super) fn add(&mut self, name: &str, place: &str) {
        let location =
            Location { lat: 1.0, lon: 1.0, label: Some(place.to_owned()), source: LocationSource::Given };
        let hello = Hello {
            display_name: Some(name.to_uppercase()),
            agent_version: "0.3.0".to_owned(),
            location: Some(location),
            link_speed_mbps: Some(1_000),
            labels: BTreeMap::from([("site".to_owned(), place.to_lowercase())]),
            ..Hello::default()
        };
        let known = Known {
            update: update(name),
            hello: Some(Arc::new(hello)),
            host: Host::default(),
            status: Status::Online,
            since_ms: START_MS,
        };
        self.nodes.insert(name.to_owned(), known);
    }

    /// Changes what is known of a node, and observes it.
    pub(super) fn set(&mut self, name: &str, change: impl FnOnce(&mut Known)) {
        let known = self.nodes.get_mut(name).unwrap();
        change(known);
        if known.status != Status::Offline {
            known.update.seen_ms = self.now_ms;
        }
        self.observe(name);
    }

    pub(super) fn observe(&mut self, name: &str) {
        let known = &self.nodes[name];
        let facts = NodeFacts {
            id: &known.update.node,
            status: known.status,
            since_ms: known.since_ms,
            latest: &known.update,
            hello: known.hello.as_ref(),
            host: Some(&known.host),
        };
        self.engine.observe(self.now_ms, &facts);
    }

    pub(super) fn observe_all(&mut self) {
        for name in self.nodes.keys().cloned().collect::<Vec<_>>() {
            self.observe(&name);
        }
        self.engine.complete(self.now_ms);
    }

    /// A rate in megabits per second in both directions, over every window.
    pub(super) fn rate(&mut self, name: &str, mbits: f64) {
        self.set(name, |known| set_rate(known, mbits));
    }

    pub(super) fn status(&mut self, name: &str, status: Status) {
        let now_ms = self.now_ms;
        self.set(name, |known| (known.status, known.since_ms) = (status, now_ms));
    }

    /// Lets time pass; what is due happens.
    pub(super) fn pass(&mut self, ms: i64) -> Vec<String> {
        self.now_ms += ms;
        self.judge()
    }

    pub(super) fn judge(&mut self) -> Vec<String> {
        self.engine.judge(self.now_ms).iter().map(words).collect()
    }

    /// The engine ends, and another goes on from what it left.
    pub(super) fn restart(&mut self, file: &str, after_ms: i64) {
        let standings = self.engine.pending().into_iter().chain(self.engine.firing()).collect();
        let judged_ms = self.now_ms;
        self.now_ms += after_ms;
        self.engine = Engine::new(rules(file));
        self.engine.restore(judged_ms, standings);
    }

    pub(super) fn forget(&mut self, name: &str) {
        let known = self.nodes.remove(name).unwrap();
        self.engine.forget(self.now_ms, &known.update.node);
    }
}

pub(super) fn rules(file: &str) -> crate::Rules {
    AlertFile::parse_with_unjudged(file).unwrap_or_else(|error| panic!("{error}\n{file}")).rules
}

pub(super) fn set_rate(known: &mut Known, mbits: f64) {
    let bps = Bps::new(mbits * 125_000.0);
    let averages = Averages { s10: bps, m1: bps, m5: bps, m15: bps };
    (known.update.rx_bps, known.update.tx_bps) = (bps, bps);
    (known.update.rx_avg, known.update.tx_avg) = (averages, averages);
}

/// `fired web-01`, `resolved web-01 +60 s`, `(fired web-01: Silence)` where people are not notified, `late:
/// …` where they are now notified of what happened before.
pub(super) fn words(transition: &Transition) -> String {
    let name = match transition.alert.target.id.as_str() {
        "" => "all",
        id => id,
    };
    let change = match transition.change {
        AlertChange::Fired => "fired",
        AlertChange::Repeated => "again",
        AlertChange::Resolved => "resolved",
        AlertChange::Test => "test",
    };
    match (transition.is_new, transition.notify, transition.held) {
        (true, true, _) | (false, true, _) if transition.is_new || change == "again" => {
            format!("{change} {name}")
        }
        (false, ..) => format!("late: {change} {name}"),
        (_, _, Some(hold)) => format!("({change} {name}: {hold:?})"),
        _ => format!("({change} {name})"),
    }
}

fn update(name: &str) -> NodeUpdate {
    NodeUpdate {
        node: NodeId::from_name(name).unwrap(),
        row: 0,
        boot: 1,
        status: Status::Online,
        since_ms: START_MS,
        seen_ms: START_MS,
        at_ms: START_MS,
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

/// A rule about rates above 900 Mbit/s, with more lines.
pub(super) fn busy(lines: &str) -> String {
    format!("[[rule]]\nname = \"busy\"\nmetric = \"rate\"\nabove = \"900 Mbit/s\"\n{lines}\n")
}

/// A rule about nodes that are offline, with more lines.
pub(super) fn offline(lines: &str) -> String {
    format!("[[rule]]\nname = \"offline\"\nmetric = \"offline\"\n{lines}\n")
}
