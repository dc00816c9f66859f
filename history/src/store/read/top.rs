//! The nodes with the most traffic.

use std::{cmp::Reverse, ops::Range};

use tidemap_wire::NodeId;

use super::{live, node_minutes};
use crate::{
    database::{StoreError, Tier, Tx},
    point::Point,
    store::{
        Store,
        calendar::{DAY, HOUR},
        state::State,
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
    /// What moved by node, most first.
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
        let tx = self.database.read()?;
        self.state.refresh(&tx)?;
        let minutes = kept(&tx, minutes)?;
        let ranking = Ranking { tx: &tx, state: &self.state, minutes: minutes.clone(), order, limit };
        let (minutes, nodes) = match ranking.by_the_minute()? {
            Some(nodes) => (minutes, nodes),
            None => {
                let minutes = whole_hours(&minutes);
                (minutes.clone(), Ranking { minutes, ..ranking }.by_the_hour()?)
            }
        };
        let named = nodes.into_iter().map(|(node, point)| Ok((name(&tx, node)?, point)));
        Ok(Top { minutes, nodes: named.collect::<Result<_, StoreError>>()? })
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
#[derive(Clone)]
struct Ranking<'a> {
    tx: &'a Tx<'a>,
    state: &'a State,
    minutes: Range<u32>,
    order: TopOrder,
    limit: usize,
}

impl Ranking<'_> {
    /// Sums of boards, of a range of whole hours.
    fn by_the_hour(&self) -> Result<Vec<(u32, Point)>, StoreError> {
        let sums = self.sums()?;
        let mut nodes: Vec<(u32, Point)> = (0..).zip(sums).collect();
        nodes.retain(|(_, point)| self.order.bytes(point) > 0);
        nodes.sort_unstable_by_key(|(node, point)| self.place(*node, point));
        nodes.truncate(self.limit);
        Ok(nodes)
    }

    /// Exact sums. What a node's minutes in an hour at an edge come to is at most what the hour came to, so
    /// only minutes of nodes are read that may be among the first with the whole hour. `None` if these are
    /// too many.
    fn by_the_minute(&self) -> Result<Option<Vec<(u32, Point)>>, StoreError> {
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
        let mut nodes: Vec<(u32, &Point)> = (0..).zip(&most).collect();
        nodes.retain(|(_, point)| self.order.bytes(point) > 0);
        nodes.sort_unstable_by_key(|(node, point)| self.place(*node, point));
        let (mut first, mut read): (Vec<(u32, Point)>, u32) = (Vec::new(), 0);
        for (node, most) in nodes {
            let worst = first.last().filter(|_| first.len() == self.limit);
            if worst.is_some_and(|(other, point)| self.place(*other, point) < self.place(node, most)) {
                break;
            }
            let mut point = inside.get(node as usize).copied().unwrap_or_default();
            for edge in &edges {
                read += self.add_edge(node, edge, &mut point)?;
            }
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

    /// Adds a node's minutes at an edge, if their hour is over: others are among the sums. Returns how much
    /// was read.
    fn add_edge(&self, node: u32, edge: &Range<u32>, sum: &mut Point) -> Result<u32, StoreError> {
        let progress = self.state.progress(node);
        if edge.start / HOUR >= progress.hours {
            return Ok(0);
        }
        for (_, point) in node_minutes(self.tx, self.state, Some(node), edge.clone(), &[])? {
            sum.add(&Point { rates: None, ..point });
        }
        Ok(if edge.start / DAY < progress.days { READ_OF_A_DAY } else { READ_OF_AN_HOUR })
    }

    /// What moved by node: in whole hours, and in minutes of hours that are not over.
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
        live::each_point(self.tx, self.state, end, |node, minute, point| {
            if self.minutes.contains(&minute) {
                add(&mut sums, node, point);
            }
        })?;
        Ok(sums)
    }

    fn each_of_hours(&self, hours: Range<u32>, mut take: impl FnMut(u32, &Point)) -> Result<(), StoreError> {
        for hour in hours {
            for (_, _, bytes) in self.tx.all(Tier::HourBoard, hour..hour + 1)? {
                PointTile::each_sum(&bytes, &mut take)?;
            }
        }
        Ok(())
    }
}

/// Adds to a node's sum.
fn add(sums: &mut Vec<Point>, node: u32, point: &Point) {
    let node = node as usize;
    if sums.len() <= node {
        sums.resize(node + 1, Point::default());
    }
    sums[node].add(&Point { rates: None, ..*point });
}

fn name(tx: &Tx<'_>, node: u32) -> Result<NodeId, StoreError> {
    let mut statement = tx.sql().prepare_cached("SELECT name FROM series WHERE id = ?1")?;
    let name: String = statement.query_row([node], |row| row.get(0))?;
    NodeId::from_token(&name).map_err(|_| StoreError::Damaged(format!("the node {name}")))
}
