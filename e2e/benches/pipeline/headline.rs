//! The headline: a hundred thousand nodes, every second, for minutes.

use std::time::Duration;

use tokio::time::sleep;

use crate::{
    MANY, REPORTING,
    slope::slope,
    stage::{Stage, Way},
    table::{Goal, Table},
    watch::{Look, PROCESSES, Seen, watch},
};

/// Until all nodes have said everything about themselves and buffers have their size.
const WARMING: Duration = Duration::from_secs(20);
/// How many parts of the time are told of.
const PARTS: usize = 10;
/// Memory that grows by less than this share of itself in the second half of the time is called flat.
const FLAT: f64 = 0.03;

pub(crate) async fn measure(lasting: Duration, table: &mut Table) -> anyhow::Result<()> {
    let stage = Stage::start().await?;
    let fleet = stage.fleet(MANY, 1.0, Way::Packed).await?;
    sleep(WARMING).await;
    let seen = watch(&stage, &fleet, lasting).await?;
    let account = stage.settle(fleet, 0).await?;

    let least = Goal::AtLeast(f64::from(MANY) * REPORTING);
    table.note("minutes", seen.seconds / 60.0, "", Goal::None);
    table.note("samples applied", seen.applied_per_second(), "samples/s", least);
    for part in seen.looks.chunks(seen.looks.len().div_ceil(PARTS).max(1)) {
        let from_s = part.first().map_or(0.0, |look| look.at_s);
        let lag_ms = seen.lag_s(part, 1.0) * 1_000.0;
        table.note(
            format!("lag from {from_s:.0} s on, highest"),
            lag_ms,
            "ms of reports",
            Goal::AtMost(1_000.0),
        );
    }
    table.note("view age, p99", seen.view_age_ms(0.99) as f64, "ms", Goal::AtMost(3_000.0));
    let lost = account.published.saturating_sub(account.applied);
    table.note("samples acknowledged", account.published as f64, "", Goal::None);
    table.note("samples applied in all", account.applied as f64, "", Goal::None);
    table.note("samples lost", lost as f64, "", Goal::AtMost(0.0));
    table.note("messages refused", seen.refused as f64, "", Goal::AtMost(0.0));
    note_processes(&seen, table);
    Ok(())
}

fn note_processes(seen: &Seen, table: &mut Table) {
    for (number, process) in PROCESSES.iter().enumerate() {
        table.note(format!("processor, {process}"), seen.cores[number], "cores", Goal::None);
    }
    // By then buffers, lists and the allocator have their size.
    let half = &seen.looks[seen.looks.len() / 2..];
    let megabytes = |look: &Look, number: usize| look.resident_bytes[number] as f64 / 1e6;
    for (number, process) in PROCESSES.iter().enumerate().take(4) {
        let mut note = |when: &str, figure, unit, goal| {
            table.note(format!("memory, {process}: {when}"), figure, unit, goal);
        };
        for (when, look) in [
            ("at the start", seen.looks.first()),
            ("in the middle", half.first()),
            ("at the end", seen.looks.last()),
        ] {
            note(when, look.map_or(0.0, |look| megabytes(look, number)), "MB", Goal::None);
        }
        let points: Vec<_> = half.iter().map(|look| (look.at_s / 60.0, megabytes(look, number))).collect();
        let highest = points.iter().map(|(_, megabytes)| *megabytes).fold(0.0, f64::max);
        let (slope, minutes) = (slope(&points), seen.seconds / 120.0);
        note("highest of the second half", highest, "MB", Goal::None);
        note("slope of the second half", slope, "MB/minute", Goal::None);
        note("the slope's share of it, over that half", slope * minutes / highest, "", Goal::AtMost(FLAT));
    }
}
