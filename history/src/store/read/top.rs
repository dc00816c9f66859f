//! The nodes with the most traffic.

use std::{collections::BTreeMap, ops::Range};

use tidemap_wire::NodeId;

use super::live;
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
    /// Whole hours, and whole days where only these are kept.
    pub minutes: Range<u32>,
    /// What moved by node, most first.
    pub nodes: Vec<(NodeId, Point)>,
}

impl TopOrder {
    fn bytes(self, point: &Point) -> u64 {
        let rx = point.rx_bytes.saturating_add(point.unplaced_rx);
        let tx = point.tx_bytes.saturating_add(point.unplaced_tx);
        match self {
            Self::Rx => rx,
            Self::Tx => tx,
            Self::Sum => rx.saturating_add(tx),
        }
    }
}

impl Store {
    /// The nodes with the most traffic in a range of minutes, which is widened to whole hours. Bytes whose
    /// moment is not known count where they were found.
    pub(crate) fn top(
        &mut self,
        minutes: Range<u32>,
        order: TopOrder,
        limit: usize,
    ) -> Result<Top, StoreError> {
        let tx = self.database.read()?;
        self.state.refresh(&tx)?;
        let minutes = widened(&tx, minutes)?;
        let mut nodes = sums(&tx, &self.state, minutes.clone())?;
        nodes.retain(|_, point| order.bytes(point) > 0);
        let mut nodes: Vec<(u32, Point)> = nodes.into_iter().collect();
        nodes.sort_unstable_by_key(|(node, point)| (std::cmp::Reverse(order.bytes(point)), *node));
        nodes.truncate(limit);
        let named = nodes.into_iter().map(|(node, point)| Ok((name(&tx, node)?, point)));
        Ok(Top { minutes, nodes: named.collect::<Result<_, StoreError>>()? })
    }
}

/// Whole hours; whole days where hours are kept no more.
fn widened(tx: &Tx<'_>, minutes: Range<u32>) -> Result<Range<u32>, StoreError> {
    let kept = tx.fact::<u32>("minutes_from")?.unwrap_or(0) * DAY;
    let unit = |minute: u32| if minute < kept { DAY } else { HOUR };
    let (start, end) = (unit(minutes.start), unit(minutes.end));
    Ok(minutes.start / start * start..minutes.end.div_ceil(end).saturating_mul(end))
}

fn sums(tx: &Tx<'_>, state: &State, minutes: Range<u32>) -> Result<BTreeMap<u32, Point>, StoreError> {
    let mut sums: BTreeMap<u32, Point> = BTreeMap::new();
    let mut add = |node: u32, point: &Point| sums.entry(node).or_default().add(point);
    // All bands have boards of earlier days and hours.
    let days = state.bands.iter().map(|band| band.days).min().unwrap_or(0);
    let whole = minutes.start.div_ceil(DAY)..(minutes.end / DAY).min(days);
    let hours = minutes.start / HOUR..minutes.end / HOUR;
    let pieces = if whole.is_empty() {
        vec![hours]
    } else {
        for (_, _, bytes) in tx.all(Tier::DayBoard, whole.clone())? {
            PointTile::decode(&bytes)?.0.iter().for_each(|(node, point)| add(*node, point));
        }
        vec![hours.start..whole.start * 24, whole.end * 24..hours.end]
    };
    for hours in pieces {
        for (_, _, bytes) in tx.all(Tier::HourBoard, hours)? {
            PointTile::decode(&bytes)?.0.iter().for_each(|(node, point)| add(*node, point));
        }
    }
    live::each_point(tx, state, minutes.end, |node, minute, point| {
        if minutes.contains(&minute) {
            add(node, point);
        }
    })?;
    Ok(sums)
}

fn name(tx: &Tx<'_>, node: u32) -> Result<NodeId, StoreError> {
    let mut statement = tx.sql().prepare_cached("SELECT name FROM series WHERE id = ?1")?;
    let name: String = statement.query_row([node], |row| row.get(0))?;
    NodeId::from_token(&name).map_err(|_| StoreError::Damaged(format!("the node {name}")))
}
