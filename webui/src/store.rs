//! The fleet as the event stream reports it: columns, one row per node.
//!
//! A snapshot replaces everything, a delta changes the rows that it names. Rows keep their numbers until the
//! next snapshot, so the rest of the page refers to nodes by row. A contradictory event is refused as
//! [`Malformed`]: the page then opens a new stream, which starts with a new snapshot.

mod fields;
mod past;
mod trends;

use std::rc::Rc;

use tidemap_wire::Status;
use tidemap_wire::stream::{
    Columns, DeltaEvent, HostRows, RateRows, SnapshotEvent, StatusRows, VERSION, decode_rows,
};

pub use fields::Use;
use fields::{Labels, haystack, labels};
pub use past::Means;
pub use trends::{TREND_POINTS, Trends};

/// More rows than any fleet has. A greater number is an error, and must not allocate memory.
const MOST_ROWS: usize = 1 << 21;

/// An invalid event: columns of unequal length, or a row that does not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed(pub &'static str);

/// All nodes as columns; row *i* of each is one node. Cloning shares the texts: a paused page holds a clone.
#[derive(Clone, Debug, Default)]
pub struct Fleet {
    names: Vec<Option<Rc<str>>>,
    titles: Vec<Option<Rc<str>>>,
    locations: Vec<Option<Rc<str>>>,
    providers: Vec<Option<Rc<str>>>,
    labels: Vec<Labels>,
    haystacks: Vec<Rc<str>>,
    lats: Vec<f32>,
    lons: Vec<f32>,
    statuses: Vec<u8>,
    rx_bps: Vec<f32>,
    tx_bps: Vec<f32>,
    seen_ms: Vec<i64>,
    uses: Vec<Use>,
    trends: Trends,
    at_ms: i64,
    snapshots: u64,
    generation: u64,
    changes: u64,
    is_past: bool,
}

impl Fleet {
    /// Replaces everything.
    pub fn apply_snapshot(&mut self, event: &SnapshotEvent) -> Result<(), Malformed> {
        if event.v != VERSION {
            return Err(Malformed("the stream speaks another version"));
        }
        let rows = event.nodes.name.len();
        check_columns(&event.nodes, rows)?;
        *self = Self {
            at_ms: event.at_ms,
            snapshots: self.snapshots + 1,
            generation: self.generation + 1,
            changes: self.changes + 1,
            ..Self::default()
        };
        self.grow(rows);
        self.put(0..rows, &event.nodes);
        Ok(())
    }

    /// Changes the rows that the event names.
    pub fn apply_delta(&mut self, event: &DeltaEvent) -> Result<(), Malformed> {
        if self.snapshots == 0 {
            return Err(Malformed("a delta came before any snapshot"));
        }
        self.changes += 1;
        self.at_ms = event.at_ms;
        if let Some(put) = &event.put {
            self.apply_put(&put.i, &put.nodes)?;
        }
        if !event.gone.is_empty() {
            self.apply_gone(&event.gone)?;
        }
        if let Some(status) = &event.status {
            self.apply_status(status)?;
        }
        if let Some(rates) = &event.rates {
            self.apply_rates(rates)?;
        }
        if let Some(host) = &event.host {
            self.apply_host(host)?;
        }
        Ok(())
    }

    /// Adds a point to every row's trend.
    pub fn record_trends(&mut self) {
        let rows = self.rx_bps.iter().zip(&self.tx_bps).zip(&self.statuses);
        self.trends.record(rows.map(|((rx, tx), status)| match (rx.is_nan(), tx.is_nan()) {
            _ if *status != Status::Online.code() => f32::NAN,
            // One direction may be unknown.
            (true, _) => *tx,
            (_, true) => *rx,
            _ => rx + tx,
        }));
    }

    /// Number of rows, vacant ones included.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Number of nodes.
    pub fn node_count(&self) -> usize {
        self.names.iter().flatten().count()
    }

    /// How many snapshots have come; row numbers hold only within one.
    pub fn snapshots(&self) -> u64 {
        self.snapshots
    }

    /// Grows whenever rows or places change, not on mere rates.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Grows with every event.
    pub fn changes(&self) -> u64 {
        self.changes
    }

    /// Broker time of the newest event, Unix milliseconds.
    pub fn at_ms(&self) -> i64 {
        self.at_ms
    }

    /// The row of the node with this name.
    pub fn row_of(&self, name: &str) -> Option<usize> {
        self.names.iter().position(|other| other.as_deref() == Some(name))
    }

    /// The name that identifies the node; `None` where the row is vacant or does not exist.
    pub fn name(&self, row: usize) -> Option<&Rc<str>> {
        self.names.get(row)?.as_ref()
    }

    /// How the node is called: what the page shows of it. Two nodes may be called the same.
    pub fn title(&self, row: usize) -> Option<&Rc<str>> {
        self.titles.get(row)?.as_ref()
    }

    /// The place's name.
    pub fn location(&self, row: usize) -> Option<&Rc<str>> {
        self.locations.get(row)?.as_ref()
    }

    /// The provider.
    pub fn provider(&self, row: usize) -> Option<&Rc<str>> {
        self.providers.get(row)?.as_ref()
    }

    /// The labels, ordered by key.
    pub fn labels(&self, row: usize) -> &[(Rc<str>, Rc<str>)] {
        self.labels.get(row).map_or(&[], |labels| labels)
    }

    /// The row's status; offline where the row does not exist.
    pub fn status(&self, row: usize) -> Status {
        self.statuses.get(row).and_then(|code| Status::from_code(*code)).unwrap_or(Status::Offline)
    }

    /// Download, bytes per second: the newest that is known, also of a node that no longer reports.
    pub fn rx_bps(&self, row: usize) -> Option<f64> {
        known(&self.rx_bps, row)
    }

    /// Upload, likewise.
    pub fn tx_bps(&self, row: usize) -> Option<f64> {
        known(&self.tx_bps, row)
    }

    /// Milliseconds since the newest report, for a node that is late. For an online node the stream does not
    /// contain this time.
    pub fn age_ms(&self, row: usize, now_ms: i64) -> Option<u64> {
        let seen_ms = *self.seen_ms.get(row)?;
        (self.status(row) != Status::Online && !self.is_past)
            .then(|| u64::try_from(now_ms - seen_ms).unwrap_or(0))
    }

    /// What the node's host has in use.
    pub fn host_use(&self, row: usize) -> Use {
        self.uses.get(row).copied().unwrap_or_default()
    }

    /// Everything of the row that a search may find, in lower case.
    pub fn haystack(&self, row: usize) -> &str {
        self.haystacks.get(row).map_or("", |text| text)
    }

    /// Recent rates of all rows.
    pub fn trends(&self) -> &Trends {
        &self.trends
    }

    /// How all nodes are called.
    pub fn titles(&self) -> &[Option<Rc<str>>] {
        &self.titles
    }

    /// All places' names.
    pub fn locations(&self) -> &[Option<Rc<str>>] {
        &self.locations
    }

    /// All degrees north and east; not a number where the place is unknown.
    pub fn coordinates(&self) -> (&[f32], &[f32]) {
        (&self.lats, &self.lons)
    }

    /// All statuses: 0 online, 1 warning, 2 offline.
    pub fn statuses(&self) -> &[u8] {
        &self.statuses
    }

    /// All downloads and uploads, bytes per second; not a number where unknown.
    pub fn rates(&self) -> (&[f32], &[f32]) {
        (&self.rx_bps, &self.tx_bps)
    }
}

impl Fleet {
    fn apply_put(&mut self, codes: &[u32], nodes: &Columns) -> Result<(), Malformed> {
        let rows = decode_rows(codes).ok_or(Malformed("a row number is too large"))?;
        check_columns(nodes, rows.len())?;
        let len = rows.last().map_or(0, |row| *row as usize + 1).max(self.len());
        if len > MOST_ROWS {
            return Err(Malformed("a row number is too large"));
        }
        self.generation += 1;
        self.grow(len);
        self.put(rows.into_iter().map(|row| row as usize), nodes);
        Ok(())
    }

    fn apply_gone(&mut self, codes: &[u32]) -> Result<(), Malformed> {
        let rows = self.known_rows(codes, &[])?;
        self.generation += 1;
        for row in rows {
            self.vacate(row);
        }
        Ok(())
    }

    fn apply_status(&mut self, change: &StatusRows) -> Result<(), Malformed> {
        let rows = self.known_rows(&change.i, &[change.status.len(), change.age_ms.len()])?;
        check_statuses(&change.status)?;
        for (at, row) in rows.into_iter().enumerate() {
            self.statuses[row] = change.status[at];
            self.seen_ms[row] = seen_ms(self.at_ms, change.age_ms[at]);
        }
        Ok(())
    }

    fn apply_rates(&mut self, change: &RateRows) -> Result<(), Malformed> {
        let rows = self.known_rows(&change.i, &[change.rx.len(), change.tx.len()])?;
        for (at, row) in rows.into_iter().enumerate() {
            self.rx_bps[row] = rate(change.rx[at]);
            self.tx_bps[row] = rate(change.tx[at]);
        }
        Ok(())
    }

    fn apply_host(&mut self, change: &HostRows) -> Result<(), Malformed> {
        let rows = self.known_rows(&change.i, &[change.cpu.len(), change.mem.len(), change.disk.len()])?;
        for (at, row) in rows.into_iter().enumerate() {
            self.uses[row] = Use { cpu: change.cpu[at], memory: change.mem[at], disk: change.disk[at] };
        }
        Ok(())
    }

    /// The rows of these codes, if all of them exist and every column beside them has their length.
    fn known_rows(&self, codes: &[u32], columns: &[usize]) -> Result<Vec<usize>, Malformed> {
        if columns.iter().any(|len| *len != codes.len()) {
            return Err(Malformed("columns differ in length"));
        }
        let rows = decode_rows(codes).ok_or(Malformed("a row number is too large"))?;
        if rows.iter().any(|row| *row as usize >= self.len()) {
            return Err(Malformed("a row does not exist"));
        }
        Ok(rows.into_iter().map(|row| row as usize).collect())
    }

    fn put(&mut self, rows: impl IntoIterator<Item = usize>, nodes: &Columns) {
        for (at, row) in rows.into_iter().enumerate() {
            self.trends.forget(row);
            self.haystacks[row] = haystack(nodes, at);
            self.names[row] = nodes.name[at].as_deref().map(Rc::from);
            let given = nodes.display_name.get(at).and_then(Option::as_deref).map(Rc::from);
            self.titles[row] = given.or_else(|| self.names[row].clone());
            self.locations[row] = nodes.location[at].as_deref().map(Rc::from);
            self.providers[row] = nodes.provider[at].as_deref().map(Rc::from);
            self.labels[row] = labels(nodes, at);
            self.lats[row] = nodes.lat[at].map_or(f32::NAN, |degrees| degrees as f32);
            self.lons[row] = nodes.lon[at].map_or(f32::NAN, |degrees| degrees as f32);
            self.statuses[row] = nodes.status[at];
            self.seen_ms[row] = seen_ms(self.at_ms, nodes.age_ms[at]);
            self.rx_bps[row] = rate(nodes.rx[at]);
            self.tx_bps[row] = rate(nodes.tx[at]);
            self.uses[row] = Use { cpu: nodes.cpu[at], memory: nodes.mem[at], disk: nodes.disk[at] };
        }
    }

    fn vacate(&mut self, row: usize) {
        self.trends.forget(row);
        self.names[row] = None;
        self.titles[row] = None;
        self.locations[row] = None;
        self.providers[row] = None;
        self.labels[row] = Labels::default();
        self.haystacks[row] = Rc::from("");
        (self.lats[row], self.lons[row]) = (f32::NAN, f32::NAN);
        (self.rx_bps[row], self.tx_bps[row]) = (f32::NAN, f32::NAN);
        self.statuses[row] = Status::Offline.code();
        self.uses[row] = Use::default();
    }

    fn grow(&mut self, rows: usize) {
        self.names.resize(rows, None);
        self.titles.resize(rows, None);
        self.locations.resize(rows, None);
        self.providers.resize(rows, None);
        self.labels.resize_with(rows, Labels::default);
        self.haystacks.resize_with(rows, || Rc::from(""));
        for column in [&mut self.lats, &mut self.lons, &mut self.rx_bps, &mut self.tx_bps] {
            column.resize(rows, f32::NAN);
        }
        self.statuses.resize(rows, Status::Offline.code());
        self.seen_ms.resize(rows, 0);
        self.uses.resize(rows, Use::default());
    }
}

fn check_columns(nodes: &Columns, rows: usize) -> Result<(), Malformed> {
    let lengths = [
        nodes.name.len(),
        nodes.location.len(),
        nodes.provider.len(),
        nodes.lat.len(),
        nodes.lon.len(),
        nodes.labels.len(),
        nodes.status.len(),
        nodes.age_ms.len(),
        nodes.rx.len(),
        nodes.tx.len(),
        nodes.cpu.len(),
        nodes.mem.len(),
        nodes.disk.len(),
    ];
    // A missing column holds nulls alone.
    let is_display_name_fit = [0, rows].contains(&nodes.display_name.len());
    if !is_display_name_fit || lengths.iter().any(|len| *len != rows) {
        return Err(Malformed("columns differ in length"));
    }
    check_statuses(&nodes.status)
}

fn check_statuses(codes: &[u8]) -> Result<(), Malformed> {
    if codes.iter().any(|code| Status::from_code(*code).is_none()) {
        return Err(Malformed("a status is unknown"));
    }
    Ok(())
}

fn known(column: &[f32], row: usize) -> Option<f64> {
    column.get(row).filter(|value| !value.is_nan()).map(|value| f64::from(*value))
}

fn rate(bytes_per_second: Option<u64>) -> f32 {
    bytes_per_second.map_or(f32::NAN, |rate| rate as f32)
}

fn seen_ms(at_ms: i64, age_ms: u64) -> i64 {
    at_ms.saturating_sub_unsigned(age_ms)
}

#[cfg(test)]
pub(crate) mod tests;
