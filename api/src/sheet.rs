//! The fleet as the event stream shows it: numbered rows, and what has been said of each.
//!
//! A node keeps its row for as long as it is known. A row that became vacant is given to the next node that joins.

mod columns;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use tidemap_wire::{
    Hello, NodeId,
    stream::{Columns, DeltaEvent, HostRows, PutRows, RateRows, StatusRows, encode_rows, round_rate},
};

use self::columns::push;
use crate::view::{Fleet, Node};

/// What browsers have been told.
#[derive(Debug, Default)]
pub(crate) struct Sheet {
    rows: Vec<Option<Row>>,
    row_of: BTreeMap<NodeId, u32>,
    vacant: BTreeSet<u32>,
}

/// A node as it is shown: rounded, so that what cannot be seen is no change.
#[derive(Clone, Debug)]
struct Row {
    name: String,
    hello: Option<Arc<Hello>>,
    seen_ms: i64,
    status: u8,
    rates: Rates,
    host: HostLoad,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Rates {
    rx: Option<u64>,
    tx: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct HostLoad {
    cpu: Option<u8>,
    mem: Option<u8>,
    disk: Option<u8>,
}

/// The rows that a delta names, by what is said of them.
#[derive(Debug, Default)]
struct Difference {
    put: BTreeSet<u32>,
    gone: BTreeSet<u32>,
    status: BTreeSet<u32>,
    rates: BTreeSet<u32>,
    host: BTreeSet<u32>,
}

impl Sheet {
    /// Brings the rows of `changed` nodes up to date, and says what that changes for those who see the sheet.
    pub(crate) fn update(&mut self, fleet: &Fleet, changed: &BTreeSet<NodeId>, at_ms: i64) -> DeltaEvent {
        let mut difference = Difference::default();
        let (known, forgotten): (Vec<_>, Vec<_>) =
            changed.iter().map(|id| (id, fleet.node(id))).partition(|(_, node)| node.is_some());
        // Rows are vacated first, and a vacated row that is taken again at once is simply put.
        for (id, _) in forgotten {
            difference.gone.extend(self.vacate(id));
        }
        for (id, node) in known {
            if let Some(node) = node {
                self.show(id, Row::of(node), &mut difference);
            }
        }
        self.say(difference, at_ms)
    }

    /// All rows.
    pub(crate) fn columns(&self, at_ms: i64) -> Columns {
        let mut columns = Columns::default();
        for row in &self.rows {
            push(&mut columns, row.as_ref(), at_ms);
        }
        columns
    }

    fn vacate(&mut self, id: &NodeId) -> Option<u32> {
        let number = self.row_of.remove(id)?;
        self.rows[number as usize] = None;
        self.vacant.insert(number);
        Some(number)
    }

    fn show(&mut self, id: &NodeId, row: Row, difference: &mut Difference) {
        let number = self.number(id);
        match &self.rows[number as usize] {
            Some(shown) if !shown.has_other_identity(&row) => {
                mark(&mut difference.status, number, shown.status != row.status);
                mark(&mut difference.rates, number, shown.rates != row.rates);
                mark(&mut difference.host, number, shown.host != row.host);
            }
            _ => {
                difference.gone.remove(&number);
                difference.put.insert(number);
            }
        }
        self.rows[number as usize] = Some(row);
    }

    /// The node's row: the one it has, else the first that is vacant, else a new one at the end.
    fn number(&mut self, id: &NodeId) -> u32 {
        if let Some(number) = self.row_of.get(id) {
            return *number;
        }
        let number = self.vacant.pop_first().unwrap_or_else(|| {
            self.rows.push(None);
            // A fleet is bounded by memory long before its rows exhaust 32 bits.
            u32::try_from(self.rows.len() - 1).unwrap_or(u32::MAX)
        });
        self.row_of.insert(id.clone(), number);
        number
    }

    fn say(&self, difference: Difference, at_ms: i64) -> DeltaEvent {
        DeltaEvent {
            at_ms,
            put: self.put(difference.put, at_ms),
            gone: encode_rows(difference.gone),
            status: self.status(difference.status, at_ms),
            rates: self.rates(difference.rates),
            host: self.host(difference.host),
        }
    }

    fn put(&self, numbers: BTreeSet<u32>, at_ms: i64) -> Option<PutRows> {
        let mut nodes = Columns::default();
        for number in &numbers {
            push(&mut nodes, self.row(*number), at_ms);
        }
        (!numbers.is_empty()).then(|| PutRows { i: encode_rows(numbers), nodes })
    }

    fn status(&self, numbers: BTreeSet<u32>, at_ms: i64) -> Option<StatusRows> {
        let (status, age_ms) = self.named(&numbers).map(|row| (row.status, row.age_ms(at_ms))).unzip();
        (!numbers.is_empty()).then(|| StatusRows { i: encode_rows(numbers), status, age_ms })
    }

    fn rates(&self, numbers: BTreeSet<u32>) -> Option<RateRows> {
        let (rx, tx) = self.named(&numbers).map(|row| (row.rates.rx, row.rates.tx)).unzip();
        (!numbers.is_empty()).then(|| RateRows { i: encode_rows(numbers), rx, tx })
    }

    fn host(&self, numbers: BTreeSet<u32>) -> Option<HostRows> {
        let (cpu, (mem, disk)) =
            self.named(&numbers).map(|row| (row.host.cpu, (row.host.mem, row.host.disk))).unzip();
        (!numbers.is_empty()).then(|| HostRows { i: encode_rows(numbers), cpu, mem, disk })
    }

    fn row(&self, number: u32) -> Option<&Row> {
        self.rows.get(number as usize)?.as_ref()
    }

    fn named(&self, numbers: &BTreeSet<u32>) -> impl Iterator<Item = &Row> {
        numbers.iter().filter_map(|number| self.row(*number))
    }
}

impl Row {
    fn of(node: &Node) -> Self {
        let latest = node.latest();
        let host = node.host();
        Self {
            name: node.name().to_owned(),
            hello: node.hello().map(Arc::clone),
            seen_ms: latest.seen_ms,
            status: latest.status.code(),
            rates: Rates {
                rx: latest.rx_bps.map(|rate| round_rate(rate.get())),
                tx: latest.tx_bps.map(|rate| round_rate(rate.get())),
            },
            host: HostLoad {
                cpu: host.and_then(|host| host.cpu_percent).map(whole_percent),
                mem: host.and_then(|host| host.memory_percent()).map(whole_percent),
                disk: host.and_then(|host| host.disk_percent()).map(whole_percent),
            },
        }
    }

    fn age_ms(&self, at_ms: i64) -> u64 {
        u64::try_from(at_ms.saturating_sub(self.seen_ms)).unwrap_or(0)
    }

    /// Whether it is another node, or one whose hello is another.
    fn has_other_identity(&self, other: &Row) -> bool {
        let same_hello = match (&self.hello, &other.hello) {
            (Some(mine), Some(its)) => Arc::ptr_eq(mine, its),
            (None, None) => true,
            _ => false,
        };
        self.name != other.name || !same_hello
    }
}

fn mark(numbers: &mut BTreeSet<u32>, number: u32, differs: bool) {
    if differs {
        numbers.insert(number);
    }
}

fn whole_percent(percent: f64) -> u8 {
    percent.clamp(0.0, 100.0).round() as u8
}
