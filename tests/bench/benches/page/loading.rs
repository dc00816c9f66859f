//! What a first visit loads, and when it shows something.

use std::collections::BTreeMap;

use anyhow::Context;
use tidemap_testkit::browser::Browser;

use crate::{
    Plan,
    recorder::{self, Record, quantile},
};
use tidemap_bench::table::{Goal, Table};

const KB: f64 = 1_000.0;

/// How the name of a file with a limit of its own begins and ends, and the limit.
const LIMITS: [(&str, &str, f64); 3] =
    [("app.", ".wasm", 150.0 * KB), ("world-110.", ".bin", 25.0 * KB), ("app.", ".css", 6.0 * KB)];

/// Visits the page several times; the last visit stays.
pub(crate) async fn measure(
    plan: &Plan,
    browser: &Browser,
    url: &str,
    table: &mut Table,
) -> anyhow::Result<()> {
    let (mut paints, mut rows) = (Vec::new(), Vec::new());
    let mut visited: Option<Record> = None;
    for _ in 0..plan.visits {
        recorder::visit(browser, url).await?;
        let record = recorder::read(browser).await?;
        paints.push(record.first_paint_ms.context("nothing was painted")?);
        rows.push(record.first_row_ms.context("there is no row")?);
        visited = Some(record);
    }
    weights(&visited.context("there was a visit")?, table);
    let visits = plan.visits;
    for (what, times, most) in [("shell painted", &paints, 150.0), ("first live row painted", &rows, 700.0)] {
        // The first visit finds a browser that has just started.
        table.note(format!("{what}: visit 1"), times[0], "ms", Goal::None);
        table.note(
            format!("{what}: median of {visits} visits"),
            quantile(times, 0.5)?,
            "ms",
            Goal::AtMost(most),
        );
    }
    Ok(())
}

fn weights(record: &Record, table: &mut Table) {
    // The browser lists a preloaded file twice.
    let files: BTreeMap<&str, u64> = record
        .weights
        .iter()
        .map(|(url, sent, _)| (url.rsplit('/').next().unwrap_or(url), *sent))
        .filter(|(name, _)| *name != "stream")
        .collect();
    for (name, bytes) in &files {
        let limit = LIMITS.iter().find(|(start, end, _)| name.starts_with(start) && name.ends_with(end));
        let goal = limit.map_or(Goal::None, |(_, _, most)| Goal::AtMost(*most));
        let name = if name.is_empty() { "index.html" } else { name };
        table.note(format!("first load: {name}"), *bytes as f64, "bytes, gzip", goal);
    }
    let sum: u64 = files.values().sum();
    table.note("first load: all files", sum as f64, "bytes, gzip", Goal::AtMost(200.0 * KB));
}
