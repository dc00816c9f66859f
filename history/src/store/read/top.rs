//! The nodes with the most traffic.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, HashMap, hash_map::Entry},
    ops::Range,
};

use tidemap_wire::NodeId;

use super::{live, node_minutes, peaks::Peaks};
use crate::{
    database::{StoreError, Tier, Tx},
    point::Point,
    store::{
        Store,
        calendar::{DAY, HOUR},
        settled::Sums,
        state::{BAND, State},
    },
    tile::PointTile,
};

/// What counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TopOrder {
    /// Bytes received.
    Rx,
    /// Bytes sent.
    Tx,
    /// Both.
    Sum,
}

/// The nodes with the most traffic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Top {
    /// What was summed: more than was asked for where only whole days are kept.
    pub minutes: Range<u32>,
    /// What moved by node, most first, with the extremes of the whole range.
    pub nodes: Vec<(NodeId, Point)>,
}

impl TopOrder {
    pub(in crate::store) fn bytes(self, point: &Point) -> u64 {
        let rx = point.rx_bytes.saturating_add(point.unplaced_rx);
        let tx = point.tx_bytes.saturating_add(point.unplaced_tx);
        match self {
            Self::Rx => rx,
            Self::Tx => tx,
            Self::Sum => rx.saturating_add(tx),
        }
    }
}

/// The rows of one edge that may be read: reading a tile of a day takes as long as reading some of hours.
pub(in crate::store) const MOST_READ: u32 = 32_768;
const READ_OF_AN_HOUR: u32 = 1;
pub(in crate::store) const READ_OF_A_DAY: u32 = 12;

impl Store {
    /// The nodes with the most traffic in a range of minutes, which is widened to whole days where minutes
    /// are kept no more, and to whole hours if too many nodes' minutes would have to be read. Bytes whose
    /// moment is not known count where they were found.
    pub(crate) fn top(
        &mut self,
        minutes: Range<u32>,
        order: TopOrder,
        limit: usize,
    ) -> Result<Top, StoreError> {
        let settled = self.settled();
        let settled = settled.read();
        let tx = self.database.read()?;
        self.state.refresh(&tx)?;
        let minutes = kept(&tx, minutes)?;
        let sums = Sums::of(settled.as_deref(), &tx)?;
        let mut ranking = Ranking::new(&tx, &self.state, sums, minutes.clone(), (order, limit))?;
        let (minutes, nodes) = match ranking.by_the_minute()? {
            Some(nodes) => (minutes, nodes),
            None => {
                ranking.minutes = whole_hours(&minutes);
                (ranking.minutes.clone(), ranking.by_the_hour()?)
            }
        };
        let mut peaks = Peaks::new(&tx, &self.state, sums, minutes.clone());
        let named = nodes.into_iter().map(|(node, point)| {
            let rates = peaks.of(node)?;
            Ok((name(&tx, node)?, Point { rates, ..point }))
        });
        let nodes = named.collect::<Result<_, StoreError>>()?;
        Ok(Top { minutes, nodes })
    }
}

/// Whole days where minutes are kept no more.
fn kept(tx: &Tx<'_>, minutes: Range<u32>) -> Result<Range<u32>, StoreError> {
    let kept = tx.fact::<u32>("minutes_from")?.unwrap_or(0) * DAY;
    let start = if minutes.start < kept { minutes.start / DAY * DAY } else { minutes.start };
    let end = if minutes.end < kept { minutes.end.div_ceil(DAY) * DAY } else { minutes.end };
    Ok(start..end)
}

fn whole_hours(minutes: &Range<u32>) -> Range<u32> {
    minutes.start / HOUR * HOUR..minutes.end.div_ceil(HOUR).saturating_mul(HOUR)
}

/// Who has the most in a range.
struct Ranking<'a> {
    tx: &'a Tx<'a>,
    state: &'a State,
    sums: Option<&'a Sums>,
    minutes: Range<u32>,
    order: TopOrder,
    limit: usize,
    /// What has not settled, by hour and node.
    unsettled: BTreeMap<u32, Vec<Point>>,
    /// What open hours at the edges come to, by band.
    open_edges: HashMap<u32, Vec<Point>>,
}

impl<'a> Ranking<'a> {
    fn new(
        tx: &'a Tx<'a>,
        state: &'a State,
        sums: Option<&'a Sums>,
        minutes: Range<u32>,
        (order, limit): (TopOrder, usize),
    ) -> Result<Self, StoreError> {
        let minutes = minutes.start..without_future(tx, state, minutes.end)?;
        let whole = whole_hours(&minutes);
        let mut unsettled: BTreeMap<u32, Vec<Point>> = BTreeMap::new();
        live::each_unsettled(tx, state, sums, whole.end, |node, minute, point| {
            if minute >= whole.start {
                add(unsettled.entry(minute / HOUR).or_default(), node, point);
            }
        })?;
        Ok(Self { tx, state, sums, minutes, order, limit, unsettled, open_edges: HashMap::new() })
    }

    /// Sums of a range of whole hours.
    fn by_the_hour(&self) -> Result<Vec<(u32, Point)>, StoreError> {
        let sums = self.sums()?;
        let mut places = self.places(&sums);
        if places.len() > self.limit {
            // Few are wanted of many.
            places.select_nth_unstable(self.limit);
            places.truncate(self.limit);
        }
        places.sort_unstable();
        Ok(places.into_iter().map(|(_, node)| (node, sums[node as usize])).collect())
    }

    /// The places of all nodes with traffic.
    fn places(&self, sums: &[Point]) -> Vec<(Reverse<u64>, u32)> {
        let places = (0..).zip(sums).map(|(node, point)| self.place(node, point));
        places.filter(|(bytes, _)| bytes.0 > 0).collect()
    }

    /// Exact sums. What a node's minutes in an hour at an edge come to is at most what the hour came to, so
    /// only minutes of nodes are read that may be among the first with the whole hour. `None` if these are
    /// too many.
    fn by_the_minute(&mut self) -> Result<Option<Vec<(u32, Point)>>, StoreError> {
        let edges = self.edges();
        if edges.is_empty() {
            return self.by_the_hour().map(Some);
        }
        let inside = self.sums()?;
        let mut most = inside.clone();
        for edge in &edges {
            self.each_of_hours(edge.start / HOUR..edge.start / HOUR + 1, |node, point| {
                add(&mut most, node, point);
            })?;
        }
        let mut places = self.places(&most);
        places.sort_unstable();
        let (mut first, mut read): (Vec<(u32, Point)>, u32) = (Vec::new(), 0);
        for (bytes, node) in places {
            let worst = first.last().filter(|_| first.len() == self.limit);
            if worst.is_some_and(|(other, point)| self.place(*other, point) < (bytes, node)) {
                break;
            }
            let mut point = inside.get(node as usize).copied().unwrap_or_default();
            read += self.add_edges(node, &edges, &mut point)?;
            if read > MOST_READ {
                return Ok(None);
            }
            if self.order.bytes(&point) > 0 {
                let place = |(other, point): &(u32, Point)| self.place(*other, point);
                let at = first.partition_point(|other| place(other) < self.place(node, &point));
                first.insert(at, (node, point));
                first.truncate(self.limit);
            }
        }
        Ok(Some(first))
    }

    /// The place in the order.
    fn place(&self, node: u32, point: &Point) -> (Reverse<u64>, u32) {
        (Reverse(self.order.bytes(point)), node)
    }

    /// The parts of hours at the range's ends.
    fn edges(&self) -> Vec<Range<u32>> {
        let Range { start, end } = self.minutes;
        let (first, last) = (start.div_ceil(HOUR) * HOUR, end / HOUR * HOUR);
        let parts = if first > last { [start..end, end..end] } else { [start..first, last..end] };
        parts.into_iter().filter(|part| !part.is_empty()).collect()
    }

    /// Adds a node's minutes at the edges. Returns how much of the node alone was read: open hours are read
    /// for a band together, and no more than once.
    fn add_edges(&mut self, node: u32, edges: &[Range<u32>], sum: &mut Point) -> Result<u32, StoreError> {
        let progress = self.state.progress(node);
        let is_closed = |edge: &&Range<u32>| edge.start / HOUR < progress.hours;
        let (closed, open): (Vec<&Range<u32>>, Vec<&Range<u32>>) = edges.iter().partition(is_closed);
        let mut read = 0;
        for edge in closed {
            for (_, point) in node_minutes(self.tx, self.state, node, edge.clone(), &[])? {
                sum.add(&point.sums());
            }
            read += if edge.start / DAY < progress.days { READ_OF_A_DAY } else { READ_OF_AN_HOUR };
        }
        if !open.is_empty() {
            let open: Vec<Range<u32>> = open.into_iter().cloned().collect();
            let band = match self.open_edges.entry(node / BAND) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(new) => {
                    new.insert(live::sums_of_band(self.tx, self.state, node / BAND, &open)?)
                }
            };
            sum.add(&band[(node % BAND) as usize].sums());
        }
        Ok(read)
    }

    /// What moved by node in whole hours.
    fn sums(&self) -> Result<Vec<Point>, StoreError> {
        let mut sums: Vec<Point> = Vec::new();
        let Range { start, end } = self.minutes;
        // All bands have boards of earlier days and hours.
        let days = self.state.bands.iter().map(|band| band.days).min().unwrap_or(0);
        let whole = start.div_ceil(DAY)..(end / DAY).min(days);
        let hours = start.div_ceil(HOUR)..end / HOUR;
        let pieces = if whole.is_empty() {
            vec![hours]
        } else {
            for day in whole.clone() {
                for (_, _, bytes) in self.tx.all(Tier::DayBoard, day..day + 1)? {
                    PointTile::each_sum(&bytes, |node, point| add(&mut sums, node, point))?;
                }
            }
            vec![hours.start..whole.start * 24, whole.end * 24..hours.end]
        };
        for hours in pieces {
            self.each_of_hours(hours, |node, point| add(&mut sums, node, point))?;
        }
        Ok(sums)
    }

    /// Calls `take` with what nodes moved in some hours, whether these are over or not.
    fn each_of_hours(&self, hours: Range<u32>, mut take: impl FnMut(u32, &Point)) -> Result<(), StoreError> {
        if hours.is_empty() {
            return Ok(());
        }
        let last = self.tx.last(Tier::HourBoard)?.map_or(0, |last| last + 1);
        for hour in hours.start..hours.end.min(last) {
            for (_, _, bytes) in self.tx.all(Tier::HourBoard, hour..hour + 1)? {
                PointTile::each_sum(&bytes, &mut take)?;
            }
        }
        let mut take_all = |first: u32, points: &[Point]| {
            (first..).zip(points).filter(|(_, point)| !point.is_empty()).for_each(|(node, point)| {
                take(node, point);
            });
        };
        for (number, band) in self.sums.into_iter().flat_map(Sums::bands) {
            band.hours.range(hours.clone()).for_each(|(_, points)| take_all(number * BAND, points));
        }
        self.unsettled.range(hours).for_each(|(_, points)| take_all(0, points));
        Ok(())
    }
}

/// The end of the hour instead of a moment in it after which nothing of it is stored, such as now.
fn without_future(tx: &Tx<'_>, state: &State, end: u32) -> Result<u32, StoreError> {
    let next = end.div_ceil(HOUR).saturating_mul(HOUR);
    let is_open = state.bands.iter().all(|band| band.hours <= end / HOUR);
    Ok(if is_open && !tx.has_any(Tier::Minute, end..next)? { next } else { end })
}

/// Adds to a node's sum.
fn add(sums: &mut Vec<Point>, node: u32, point: &Point) {
    let node = node as usize;
    if sums.len() <= node {
        sums.resize(node + 1, Point::default());
    }
    sums[node].add(&point.sums());
}

fn name(tx: &Tx<'_>, node: u32) -> Result<NodeId, StoreError> {
    let mut statement = tx.sql().prepare_cached("SELECT name FROM series WHERE id = ?1")?;
    let name: String = statement.query_row([node], |row| row.get(0))?;
    NodeId::from_token(&name).map_err(|_| StoreError::Damaged(format!("the node {name}")))
}
