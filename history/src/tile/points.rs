//! Sums of spans, or of nodes.

use std::collections::BTreeMap;

use super::{
    hosts,
    rows::{read_rates, write_rates},
};
use crate::{
    columns::{Damaged, Reader, Writer},
    host_span::HostSpan,
    point::Point,
};

/// Points by the number of their span, or of their node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct PointTile(pub BTreeMap<u32, Point>);

impl PointTile {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Writer::default();
        let column = |of: fn(&Point) -> u64| self.0.values().map(of).collect::<Vec<_>>();
        out.number(self.0.len() as u64);
        out.column(&self.0.keys().map(|key| u64::from(*key)).collect::<Vec<_>>());
        out.column(&column(|point| point.covered_ms));
        out.column(&column(|point| point.rx_bytes));
        out.column(&column(|point| point.tx_bytes));
        out.column(&column(|point| point.unplaced_rx));
        out.column(&column(|point| point.unplaced_tx));
        write_rates(&mut out, &self.0.values().map(|point| point.rates).collect::<Vec<_>>());
        hosts::write(&mut out, &self.0.values().map(|point| point.host.numbers()).collect::<Vec<_>>());
        out.finish()
    }

    /// Calls `take` with each key and its sums. Boards have neither extremes nor metrics of
    /// hosts, and are read by the million.
    pub(crate) fn each_sum(bytes: &[u8], mut take: impl FnMut(u32, &Point)) -> Result<(), Damaged> {
        let mut input = Reader::new(bytes)?;
        let length = input.length()?;
        let keys = input.small_column(length)?;
        let (covered_ms, rx_bytes, tx_bytes) =
            (input.column(length)?, input.column(length)?, input.column(length)?);
        let (unplaced_rx, unplaced_tx) = (input.column(length)?, input.column(length)?);
        for (place, key) in keys.into_iter().enumerate() {
            let point = Point {
                covered_ms: covered_ms[place],
                rx_bytes: rx_bytes[place],
                tx_bytes: tx_bytes[place],
                unplaced_rx: unplaced_rx[place],
                unplaced_tx: unplaced_tx[place],
                ..Point::default()
            };
            take(key, &point);
        }
        Ok(())
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Damaged> {
        let mut input = Reader::new(bytes)?;
        let length = input.length()?;
        let keys = input.small_column(length)?;
        let (covered_ms, rx_bytes, tx_bytes) =
            (input.column(length)?, input.column(length)?, input.column(length)?);
        let (unplaced_rx, unplaced_tx) = (input.column(length)?, input.column(length)?);
        let rates = read_rates(&mut input, length)?;
        let hosts = hosts::read(&mut input, length)?.into_iter().map(HostSpan::of_numbers);
        let hosts = hosts.collect::<Option<Vec<_>>>().ok_or(Damaged)?;
        let point = |place: usize| Point {
            covered_ms: covered_ms[place],
            rx_bytes: rx_bytes[place],
            tx_bytes: tx_bytes[place],
            unplaced_rx: unplaced_rx[place],
            unplaced_tx: unplaced_tx[place],
            rates: rates[place],
            host: hosts[place],
        };
        Ok(Self(keys.into_iter().enumerate().map(|(place, key)| (key, point(place))).collect()))
    }
}
