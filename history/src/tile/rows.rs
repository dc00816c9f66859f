//! Rows of minutes, without loss.

use tidemap_wire::{Extremes, HostMinute, MinuteRow, RunCounters};

use super::hosts;
use crate::{
    account::{Account, Cell, LateSum},
    columns::{Damaged, Reader, Writer},
    host_span,
    point::Point,
};

/// Rows of one node, or of one minute.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RowTile {
    /// What is known of the node's runs before the first minute; of a tile of one node only.
    pub before: Account,
    /// The rows, in the order of node and minute.
    pub entries: Vec<Entry>,
}

/// A node's minute.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Entry {
    /// The node's number.
    pub node: u32,
    /// What is known of the minute.
    pub cell: Cell,
}

impl Entry {
    fn key(&self) -> (u32, u32) {
        (self.node, self.cell.row.minute)
    }
}

impl RowTile {
    /// Adds what another row of a minute contains. Returns whether there was any.
    pub(crate) fn join(&mut self, node: u32, cell: &Cell) -> bool {
        match self.entries.binary_search_by_key(&(node, cell.row.minute), Entry::key) {
            Ok(place) => self.entries[place].cell.join(cell),
            Err(place) => {
                self.entries.insert(place, Entry { node, cell: cell.clone() });
                true
            }
        }
    }

    /// What moved in each minute, and what is known of the node's runs afterwards.
    pub(crate) fn points(&self) -> (Vec<(u32, Point)>, Account) {
        let mut account = self.before.clone();
        let points =
            self.entries.iter().map(|entry| (entry.cell.row.minute, account.pass(&entry.cell))).collect();
        (points, account)
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Writer::default();
        let rows = || self.entries.iter().map(|entry| &entry.cell.row);
        self.before.write(&mut out);
        out.number(self.entries.len() as u64);
        out.column(&self.entries.iter().map(|entry| entry.node.into()).collect::<Vec<_>>());
        out.column(&rows().map(|row| row.minute.into()).collect::<Vec<_>>());
        out.column(&rows().map(|row| row.samples.into()).collect::<Vec<_>>());
        out.column(&rows().map(|row| row.covered_ms.into()).collect::<Vec<_>>());
        out.column(&rows().map(|row| row.rx_bytes).collect::<Vec<_>>());
        out.column(&rows().map(|row| row.tx_bytes).collect::<Vec<_>>());
        write_rates(&mut out, &rows().map(|row| row.rates).collect::<Vec<_>>());
        self.write_counters(&mut out);
        self.write_late(&mut out);
        hosts::write(&mut out, &rows().map(|row| host_span::numbers_of(row.host)).collect::<Vec<_>>());
        out.finish()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Damaged> {
        Self::read(bytes, true)
    }

    /// Without what sums do not need: the numbers of samples, the extremes, and metrics of hosts.
    pub(crate) fn decode_for_sums(bytes: &[u8]) -> Result<Self, Damaged> {
        Self::read(bytes, false)
    }

    fn read(bytes: &[u8], is_whole: bool) -> Result<Self, Damaged> {
        let mut input = Reader::new(bytes)?;
        let before = Account::read(&mut input)?;
        let length = input.length()?;
        let (nodes, minutes) = (input.small_column(length)?, input.small_column(length)?);
        let samples = if is_whole {
            input.small_column(length)?
        } else {
            input.skip_column(length)?;
            vec![0; length]
        };
        let covered_ms = input.small_column(length)?;
        let (rx_bytes, tx_bytes) = (input.column(length)?, input.column(length)?);
        let rates = if is_whole {
            read_rates(&mut input, length)?
        } else {
            skip_rates(&mut input, length)?;
            vec![None; length]
        };
        let entry = |place: usize| {
            let row = MinuteRow {
                minute: minutes[place],
                samples: samples[place],
                covered_ms: covered_ms[place],
                rx_bytes: rx_bytes[place],
                tx_bytes: tx_bytes[place],
                rates: rates[place],
                host: HostMinute::default(),
                counters: Vec::new(),
            };
            Entry { node: nodes[place], cell: Cell { row, late: Vec::new() } }
        };
        let mut tile = Self { before, entries: (0..length).map(entry).collect() };
        tile.read_counters(&mut input)?;
        tile.read_late(&mut input)?;
        if is_whole {
            for (entry, numbers) in tile.entries.iter_mut().zip(hosts::read(&mut input, length)?) {
                entry.cell.row.host = host_span::minute_of(numbers).ok_or(Damaged)?;
            }
        }
        Ok(tile)
    }

    /// Counters follow from those of the minute before, except where something was lost or a run begins.
    fn write_counters(&self, out: &mut Writer) {
        let reported: Vec<usize> = (0..self.entries.len())
            .filter(|place| {
                self.expected_counters(*place).as_slice() != self.entries[*place].cell.row.counters
            })
            .collect();
        out.number(reported.len() as u64);
        for place in reported {
            let counters = &self.entries[place].cell.row.counters;
            out.number(place as u64);
            out.number(counters.len() as u64);
            for run in counters {
                out.number(run.boot);
                out.number(run.since.into());
                out.number(run.rx_bytes);
                out.number(run.tx_bytes);
            }
        }
    }

    fn read_counters(&mut self, input: &mut Reader<'_>) -> Result<(), Damaged> {
        let mut next = 0;
        for _ in 0..input.length()? {
            let place = input.length()?;
            self.expect_counters(next..place)?;
            let counters = (0..input.length()?).map(|_| {
                let (boot, since) = (input.number()?, input.small()?);
                Ok(RunCounters { boot, since, rx_bytes: input.number()?, tx_bytes: input.number()? })
            });
            let counters = counters.collect::<Result<_, Damaged>>()?;
            self.entries.get_mut(place).ok_or(Damaged)?.cell.row.counters = counters;
            next = place + 1;
        }
        self.expect_counters(next..self.entries.len())
    }

    fn expect_counters(&mut self, places: std::ops::Range<usize>) -> Result<(), Damaged> {
        for place in places {
            let counters = self.expected_counters(place);
            self.entries.get_mut(place).ok_or(Damaged)?.cell.row.counters = counters;
        }
        Ok(())
    }

    /// The counters if the only run goes on and nothing was lost.
    fn expected_counters(&self, place: usize) -> Vec<RunCounters> {
        let pair =
            place.checked_sub(1).and_then(|before| self.entries.get(before)).zip(self.entries.get(place));
        let Some((before, entry)) = pair.filter(|(before, entry)| before.node == entry.node) else {
            return Vec::new();
        };
        let [run] = before.cell.row.counters[..] else { return Vec::new() };
        vec![RunCounters {
            rx_bytes: run.rx_bytes.wrapping_add(entry.cell.row.rx_bytes),
            tx_bytes: run.tx_bytes.wrapping_add(entry.cell.row.tx_bytes),
            ..run
        }]
    }

    fn write_late(&self, out: &mut Writer) {
        let late = || {
            self.entries
                .iter()
                .enumerate()
                .flat_map(|(place, entry)| entry.cell.late.iter().map(move |late| (place, late)))
        };
        out.number(late().count() as u64);
        for (place, late) in late() {
            out.number(place as u64);
            [late.boot, late.covered_ms, late.rx_bytes, late.tx_bytes]
                .into_iter()
                .for_each(|number| out.number(number));
        }
    }

    fn read_late(&mut self, input: &mut Reader<'_>) -> Result<(), Damaged> {
        for _ in 0..input.length()? {
            let place = input.length()?;
            let (boot, covered_ms) = (input.number()?, input.number()?);
            let late = LateSum { boot, covered_ms, rx_bytes: input.number()?, tx_bytes: input.number()? };
            self.entries.get_mut(place).ok_or(Damaged)?.cell.late.push(late);
        }
        Ok(())
    }
}

/// Which rows have extremes, and these.
pub(super) fn write_rates(out: &mut Writer, rates: &[Option<Extremes>]) {
    out.column(&rates.iter().map(|rates| rates.is_some().into()).collect::<Vec<_>>());
    let column = |of: fn(Extremes) -> u64| rates.iter().flatten().map(|rates| of(*rates)).collect::<Vec<_>>();
    out.column(&column(|rates| rates.rx_max));
    out.column(&column(|rates| rates.tx_max));
    out.column(&column(|rates| rates.rx_min));
    out.column(&column(|rates| rates.tx_min));
}

fn skip_rates(input: &mut Reader<'_>, length: usize) -> Result<(), Damaged> {
    let count = input.column(length)?.iter().filter(|has| **has == 1).count();
    (0..4).try_for_each(|_| input.skip_column(count))
}

pub(super) fn read_rates(input: &mut Reader<'_>, length: usize) -> Result<Vec<Option<Extremes>>, Damaged> {
    let has_rates = input.column(length)?;
    let count = has_rates.iter().filter(|has| **has == 1).count();
    let (rx_max, tx_max) = (input.column(count)?, input.column(count)?);
    let (rx_min, tx_min) = (input.column(count)?, input.column(count)?);
    let mut rates = (0..count).map(|place| Extremes {
        rx_max: rx_max[place],
        tx_max: tx_max[place],
        rx_min: rx_min[place],
        tx_min: tx_min[place],
    });
    Ok(has_rates.iter().map(|has| if *has == 1 { rates.next() } else { None }).collect())
}
