//! Minutes of nodes as series, in batches that every receiver takes. Pure.

use std::ops::Range;

use tidemap_wire::NodeId;

use super::{
    metrics::METRICS,
    pieces::Piece,
    request::{Series, write_request},
};
use crate::{point::Point, store::NodeMinutes};

/// Bytes of a batch before it is compressed, unless one node has more. Receivers take 10 MB and more.
const BATCH_BYTES: usize = 1 << 20;
/// A sample's bytes.
const SAMPLE_BYTES: usize = 20;
/// A series' bytes besides its samples and its node's name.
const SERIES_BYTES: usize = 60;

/// What is sent together.
#[derive(Debug, Default)]
pub(crate) struct SeriesBatch {
    series: Vec<Series>,
    bytes: usize,
}

impl SeriesBatch {
    /// All of it, with the minutes that it lies in.
    pub(crate) fn whole(&self, minutes: Range<u32>) -> Piece {
        Piece { series: 0..self.series.len(), minutes }
    }

    /// How many values a piece has.
    pub(crate) fn count(&self, piece: &Piece) -> u64 {
        self.parts(piece).map(|(_, samples)| samples.len() as u64).sum()
    }

    /// The body of a piece's request, before it is compressed.
    pub(crate) fn body(&self, piece: &Piece) -> Vec<u8> {
        write_request(self.parts(piece))
    }

    /// What the first series of a piece is.
    pub(crate) fn name(&self, piece: &Piece) -> String {
        self.series
            .get(piece.series.start)
            .map_or_else(String::new, |first| format!("{} of {}", first.metric, first.node))
    }

    fn parts(&self, piece: &Piece) -> impl Iterator<Item = (&Series, &[(i64, f64)])> {
        let [from, to] = [piece.minutes.start, piece.minutes.end].map(end_ms);
        let within = move |series: &Series| {
            let place = |end: i64| series.samples.partition_point(|(at_ms, _)| *at_ms < end);
            place(from)..place(to)
        };
        let series = self.series.get(piece.series.clone()).unwrap_or_default().iter();
        series.map(move |series| (series, &series.samples[within(series)])).filter(|(_, all)| !all.is_empty())
    }
}

/// A minute's number stands at its end: so it is never in the future, and a range of an hour that ends at
/// noon is the hour before.
fn end_ms(minute: u32) -> i64 {
    (i64::from(minute) + 1) * 60_000
}

/// Puts minutes into batches, one at a time, and each node's into one.
pub(crate) fn batches(nodes: NodeMinutes) -> impl Iterator<Item = SeriesBatch> {
    let mut nodes = nodes.into_iter().map(of_node).filter(|batch| !batch.series.is_empty()).peekable();
    std::iter::from_fn(move || {
        let mut batch = nodes.next()?;
        while let Some(more) = nodes.next_if(|more| batch.bytes + more.bytes <= BATCH_BYTES) {
            batch.bytes += more.bytes;
            batch.series.extend(more.series);
        }
        Some(batch)
    })
}

fn of_node((node, minutes): (NodeId, Vec<(u32, Point)>)) -> SeriesBatch {
    let node = node.text();
    let minutes: Vec<_> = minutes.iter().filter(|(_, point)| !point.is_empty()).collect();
    let mut batch = SeriesBatch::default();
    for metric in METRICS {
        let values = minutes.iter().filter_map(|(minute, point)| Some((*minute, (metric.of)(point)?)));
        let samples: Vec<_> = values.map(|(minute, value)| (end_ms(minute), value as f64)).collect();
        if !samples.is_empty() {
            batch.bytes += samples.len() * SAMPLE_BYTES + SERIES_BYTES + node.len();
            batch.series.push(Series { metric: metric.name, node: node.clone(), samples });
        }
    }
    batch
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(number: u32, minutes: Range<u32>) -> (NodeId, Vec<(u32, Point)>) {
        let point = |minute: u32| Point { covered_ms: 60_000, rx_bytes: minute.into(), ..Point::default() };
        let minutes = minutes.map(|minute| (minute, point(minute))).collect();
        (NodeId::from_name(&format!("n{number}")).unwrap(), minutes)
    }

    #[test]
    fn batches_keep_to_their_bytes_and_lose_nothing() {
        let day = 28_000_000..28_001_440;
        let all: Vec<_> = batches((0..40).map(|number| node(number, day.clone())).collect()).collect();
        assert!(all.len() > 3, "{}", all.len());
        let mut count = 0;
        for batch in &all {
            let whole = batch.whole(day.clone());
            let body = batch.body(&whole);
            assert!(
                body.len() <= batch.bytes && batch.bytes <= BATCH_BYTES,
                "{} {}",
                body.len(),
                batch.bytes
            );
            count += batch.count(&whole);
        }
        assert_eq!(count, 40 * 3 * 1_440);
    }

    #[test]
    fn pieces_have_the_minutes_that_lie_in_them() {
        let batch = batches(vec![node(1, 10..20), node(2, 15..25)]).next().unwrap();
        assert_eq!(batch.count(&batch.whole(0..100)), 2 * 3 * 10);
        assert_eq!(batch.count(&batch.whole(10..15)), 3 * 5);
        assert_eq!(batch.count(&Piece { series: 3..4, minutes: 24..26 }), 1);
        assert_eq!(batch.name(&Piece { series: 4..6, minutes: 0..100 }), "tidemap_minute_rx_bytes of n2");
        let minute = batches(vec![node(1, 10..11)]).next().unwrap();
        assert_eq!(minute.series[1].samples, [(660_000, 10.0)]);
        // A minute in which nothing is known is no minute.
        assert!(batches(vec![(node(1, 0..0).0, vec![(7, Point::default())])]).next().is_none());
    }
}
