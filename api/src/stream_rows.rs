//! The fleet as the event stream shows it: numbered rows, and the values last sent for each.
//!
//! A partition's worker assigns each node a row, which stays the same while that worker knows the node;
//! another worker may assign another. So all apis show the same rows.

mod columns;
#[cfg(test)]
mod tests;

use std::{collections::BTreeSet, sync::Arc};

use tidemap_client::{Fleet, Node};
use tidemap_wire::{
    Hello, NodeId,
    stream::{Columns, DeltaEvent, HostRows, PutRows, RateRows, StatusRows, encode_rows, round_rate},
};

use self::columns::push;

/// A delta contains the host metrics of at most one row in this many. Nodes report them every 5 s, so the
/// delay is small, and a delta in which all rates have changed does not grow by half.
const HOSTS_ONE_IN: usize = 8;
/// A delta may always contain the host metrics of this many rows.
const HOSTS_AT_LEAST: usize = 64;

/// The rows as browsers have received them.
#[derive(Debug, Default)]
pub(crate) struct StreamRows {
    rows: Vec<Option<Row>>,
    /// Rows whose changed host metrics have not been sent, and the last row whose metrics were sent.
    hosts_due: BTreeSet<u32>,
    last_host: u32,
}

/// A node's values as the stream shows them.
#[derive(Clone, Debug)]
struct Row {
    node: NodeId,
    hello: Option<Arc<Hello>>,
    seen_ms: i64,
    shown: Shown,
}

/// The values that change all the time, rounded, so that an invisible change is not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Shown {
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

/// The rows of a delta, by the kind of change; each list ascends.
#[derive(Debug, Default)]
struct Difference {
    put: Vec<u32>,
    gone: Vec<u32>,
    status: Vec<u32>,
    rates: Vec<u32>,
    host: Vec<u32>,
}

impl StreamRows {
    /// Updates the `changed` rows, which ascend. Returns the delta for clients.
    pub(crate) fn update(&mut self, fleet: &Fleet, changed: &[u32], at_ms: i64) -> DeltaEvent {
        let mut difference = Difference::default();
        for number in changed {
            match fleet.at(*number) {
                Some(node) => self.set(*number, node, &mut difference),
                None => self.clear(*number, &mut difference),
            }
        }
        difference.host = self.take_hosts();
        self.delta(difference, at_ms)
    }

    /// All rows.
    pub(crate) fn columns(&self, at_ms: i64) -> Columns {
        let mut columns = Columns::default();
        for row in &self.rows {
            push(&mut columns, row.as_ref(), at_ms);
        }
        columns
    }

    fn set(&mut self, number: u32, node: &Node, difference: &mut Difference) {
        let place = number as usize;
        if place >= self.rows.len() {
            self.rows.resize_with(place + 1, || None);
        }
        match &mut self.rows[place] {
            Some(row) if row.is_of(node) => {
                let (before, now) = (row.shown, Shown::of(node));
                (row.seen_ms, row.shown) = (node.latest().seen_ms, now);
                difference.status.extend((before.status != now.status).then_some(number));
                difference.rates.extend((before.rates != now.rates).then_some(number));
                self.hosts_due.extend((before.host != now.host).then_some(number));
            }
            row => {
                *row = Some(Row::of(node));
                difference.put.push(number);
                self.hosts_due.remove(&number);
            }
        }
    }

    fn clear(&mut self, number: u32, difference: &mut Difference) {
        let row = self.rows.get_mut(number as usize).and_then(Option::take);
        difference.gone.extend(row.map(|_| number));
        self.hosts_due.remove(&number);
    }

    /// The rows whose host metrics are sent now, ascending. If they are too many for one delta, the rest
    /// follows in the next ones, row after row.
    fn take_hosts(&mut self) -> Vec<u32> {
        let most = HOSTS_AT_LEAST.max(self.rows.len() / HOSTS_ONE_IN);
        let (after, before) =
            (self.hosts_due.range(self.last_host + 1..), self.hosts_due.range(..=self.last_host));
        let mut sent: Vec<u32> = after.chain(before).take(most).copied().collect();
        self.last_host = sent.last().copied().unwrap_or(self.last_host);
        for row in &sent {
            self.hosts_due.remove(row);
        }
        sent.sort_unstable();
        sent
    }

    fn delta(&self, difference: Difference, at_ms: i64) -> DeltaEvent {
        DeltaEvent {
            at_ms,
            put: self.put(difference.put, at_ms),
            gone: encode_rows(difference.gone),
            status: self.status(difference.status, at_ms),
            rates: self.rates(difference.rates),
            host: self.host(difference.host),
        }
    }

    fn put(&self, numbers: Vec<u32>, at_ms: i64) -> Option<PutRows> {
        if numbers.is_empty() {
            return None;
        }
        let mut nodes = Columns::default();
        for number in &numbers {
            push(&mut nodes, self.row(*number), at_ms);
        }
        Some(PutRows { i: encode_rows(numbers), nodes })
    }

    fn status(&self, numbers: Vec<u32>, at_ms: i64) -> Option<StatusRows> {
        let mut rows = StatusRows::default();
        for row in self.named(&numbers) {
            rows.status.push(row.shown.status);
            rows.age_ms.push(row.age_ms(at_ms));
        }
        (!numbers.is_empty()).then(|| StatusRows { i: encode_rows(numbers), ..rows })
    }

    fn rates(&self, numbers: Vec<u32>) -> Option<RateRows> {
        let mut rows = RateRows::default();
        for row in self.named(&numbers) {
            let Rates { rx, tx } = row.shown.rates;
            rows.rx.push(rx);
            rows.tx.push(tx);
        }
        (!numbers.is_empty()).then(|| RateRows { i: encode_rows(numbers), ..rows })
    }

    fn host(&self, numbers: Vec<u32>) -> Option<HostRows> {
        let mut rows = HostRows::default();
        for row in self.named(&numbers) {
            let HostLoad { cpu, mem, disk } = row.shown.host;
            rows.cpu.push(cpu);
            rows.mem.push(mem);
            rows.disk.push(disk);
        }
        (!numbers.is_empty()).then(|| HostRows { i: encode_rows(numbers), ..rows })
    }

    fn row(&self, number: u32) -> Option<&Row> {
        self.rows.get(number as usize)?.as_ref()
    }

    fn named(&self, numbers: &[u32]) -> impl Iterator<Item = &Row> {
        numbers.iter().filter_map(|number| self.row(*number))
    }
}

impl Row {
    fn of(node: &Node) -> Self {
        Self {
            node: node.id().clone(),
            hello: node.hello().map(Arc::clone),
            seen_ms: node.latest().seen_ms,
            shown: Shown::of(node),
        }
    }

    fn age_ms(&self, at_ms: i64) -> u64 {
        u64::try_from(at_ms.saturating_sub(self.seen_ms)).unwrap_or(0)
    }

    /// Whether the row shows this node with its present hello.
    fn is_of(&self, node: &Node) -> bool {
        let same_hello = match (&self.hello, node.hello()) {
            (Some(shown), Some(latest)) => Arc::ptr_eq(shown, latest),
            (None, None) => true,
            _ => false,
        };
        self.node == *node.id() && same_hello
    }
}

impl Shown {
    fn of(node: &Node) -> Self {
        let (latest, host) = (node.latest(), node.host());
        Self {
            status: node.status().code(),
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
}

fn whole_percent(percent: f64) -> u8 {
    percent.clamp(0.0, 100.0).round() as u8
}
