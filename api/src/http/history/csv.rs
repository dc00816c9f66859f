//! The history as CSV (RFC 4180): a header, then a line for each step or node. Pure.

use std::borrow::Cow;

use ::csv::{Terminator, Writer, WriterBuilder};
use jiff::Timestamp;
use tidemap_wire::{
    history_query::HOST_COLUMNS,
    http::{HistoryJson, TRAFFIC_COLUMNS, TopJson, csv_text},
};

/// A line for each step, with its begin in UTC. What is null in JSON is empty.
pub(super) fn history(history: &HistoryJson) -> Vec<u8> {
    let mut lines = writer();
    let (known, sums, host) = (history.known(), history.sums(), history.host());
    let is_there = known
        .iter()
        .map(|column| !column.is_empty())
        .chain(sums.iter().map(|column| !column.is_empty()))
        .chain(host.iter().map(|column| !column.is_empty()));
    let is_there: Vec<bool> = is_there.collect();
    let present = |(place, name): (usize, &'static str)| is_there[place].then_some(name);
    let names = TRAFFIC_COLUMNS.into_iter().chain(HOST_COLUMNS);
    line(&mut lines, std::iter::once("time").chain(names.enumerate().filter_map(present)));
    for step in 0..history.steps() {
        let from_ms = history.from_ms.saturating_add_unsigned(history.step_ms.saturating_mul(step as u64));
        let known = known.iter().map(|column| text(column.get(step).copied().flatten()));
        let sums = sums.iter().map(|column| text(column.get(step).copied()));
        let host = host.iter().map(|column| text(column.get(step).copied().flatten()));
        let values = known.chain(sums).chain(host).zip(&is_there);
        let values = values.filter(|(_, is_there)| **is_there).map(|(value, _)| value);
        line(&mut lines, std::iter::once(time(from_ms)).chain(values));
    }
    finished(lines)
}

/// A line for each node, most traffic first.
pub(super) fn top(top: &TopJson) -> Vec<u8> {
    let mut lines = writer();
    line(
        &mut lines,
        ["node", "display_name", "rx_bytes", "tx_bytes", "covered_ms", "rx_max_bps", "tx_max_bps"],
    );
    for node in &top.nodes {
        let sums = [node.rx_bytes, node.tx_bytes, node.covered_ms].map(Some);
        let peaks = [node.rx_max_bps, node.tx_max_bps];
        let numbers = sums.into_iter().chain(peaks);
        let numbers = numbers.map(|number| number.map(|number| number.to_string()).unwrap_or_default());
        let names = [&*node.node, node.display_name.as_deref().unwrap_or_default()].map(csv_text);
        line(&mut lines, names.into_iter().chain(numbers.map(Cow::Owned)).map(Cow::into_owned));
    }
    finished(lines)
}

/// What is not known is empty.
fn text(value: Option<impl ToString>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

pub(in crate::http) fn writer() -> Writer<Vec<u8>> {
    WriterBuilder::new().terminator(Terminator::CRLF).from_writer(Vec::new())
}

pub(in crate::http) fn line(lines: &mut Writer<Vec<u8>>, fields: impl IntoIterator<Item: AsRef<[u8]>>) {
    if let Err(error) = lines.write_record(fields) {
        // Writing to memory cannot fail, and all lines of a table have as many fields.
        unreachable!("a line could not be written: {error}");
    }
}

pub(in crate::http) fn finished(lines: Writer<Vec<u8>>) -> Vec<u8> {
    match lines.into_inner() {
        Ok(bytes) => bytes,
        Err(error) => unreachable!("lines could not be written: {error}"),
    }
}

/// ISO 8601 in UTC, such as `2026-11-29T09:00:00Z`.
fn time(ms: i64) -> String {
    Timestamp::from_millisecond(ms).map(|time| time.to_string()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use tidemap_wire::http::TopNodeJson;

    use super::*;

    #[test]
    fn a_line_is_a_step_and_what_is_not_known_is_empty() {
        let column = |first: u64| vec![Some(first), None];
        let history = HistoryJson {
            from_ms: 1_795_942_800_000,
            to_ms: 1_795_944_600_000,
            step_ms: 900_000,
            rx_bytes: column(1),
            tx_bytes: column(2),
            rx_bps: column(3),
            tx_bps: column(4),
            rx_max_bps: column(5),
            tx_max_bps: column(6),
            rx_min_bps: column(7),
            tx_min_bps: column(8),
            covered_ms: vec![9, 0],
            unplaced_rx_bytes: vec![0, 10],
            unplaced_tx_bytes: vec![11, 0],
            ..HistoryJson::default()
        };
        assert_eq!(
            String::from_utf8(super::history(&history)).unwrap(),
            "time,rx_bytes,tx_bytes,rx_bps,tx_bps,rx_max_bps,tx_max_bps,rx_min_bps,tx_min_bps,covered_ms,\
             unplaced_rx_bytes,unplaced_tx_bytes\r\n\
             2026-11-29T09:00:00Z,1,2,3,4,5,6,7,8,9,0,11\r\n\
             2026-11-29T09:15:00Z,,,,,,,,,0,10,0\r\n"
        );
        let mut some = HistoryJson { cpu_percent: vec![Some(12.5), None], ..history };
        some.keep(&["tx_bytes", "unplaced_rx_bytes", "cpu_percent", "load_1_max"]);
        assert_eq!(
            String::from_utf8(super::history(&some)).unwrap(),
            "time,tx_bytes,unplaced_rx_bytes,cpu_percent\r\n\
             2026-11-29T09:00:00Z,2,0,12.5\r\n\
             2026-11-29T09:15:00Z,,10,\r\n"
        );
    }

    #[test]
    fn a_name_that_a_spreadsheet_would_run_is_text() {
        let node = TopNodeJson {
            node: "-2+3".to_owned(),
            display_name: Some("=HYPERLINK(\"http://x\")".to_owned()),
            rx_bytes: 1,
            tx_bytes: 2,
            covered_ms: 3,
            rx_max_bps: Some(4),
            tx_max_bps: None,
        };
        let csv = super::top(&TopJson { nodes: vec![node], ..TopJson::default() });
        let lines = String::from_utf8(csv).unwrap();
        assert_eq!(lines.lines().nth(1), Some("'-2+3,\"'=HYPERLINK(\"\"http://x\"\")\",1,2,3,4,"));
    }

    #[test]
    fn names_with_commas_and_quotes_and_line_breaks_stay_one_field() {
        let node = |name: &str| TopNodeJson {
            node: name.to_owned(),
            display_name: Some(name.to_uppercase()),
            rx_bytes: u64::MAX,
            tx_bytes: 0,
            covered_ms: 60_000,
            rx_max_bps: None,
            tx_max_bps: Some(9),
        };
        let unknown = TopNodeJson { display_name: None, ..node("old") };
        let nodes = vec![node("a,b"), node("say \"hi\""), node("two\nlines"), node("香港"), unknown];
        assert_eq!(
            String::from_utf8(super::top(&TopJson { nodes, ..TopJson::default() })).unwrap(),
            "node,display_name,rx_bytes,tx_bytes,covered_ms,rx_max_bps,tx_max_bps\r\n\
             \"a,b\",\"A,B\",18446744073709551615,0,60000,,9\r\n\
             \"say \"\"hi\"\"\",\"SAY \"\"HI\"\"\",18446744073709551615,0,60000,,9\r\n\
             \"two\nlines\",\"TWO\nLINES\",18446744073709551615,0,60000,,9\r\n\
             香港,香港,18446744073709551615,0,60000,,9\r\n\
             old,,18446744073709551615,0,60000,,9\r\n"
        );
    }
}
