//! The headline: a hundred thousand nodes, every second, for minutes.

use std::time::Duration;

use tidemap_bench::table::{Goal, Table};
use tokio::time::sleep;

use crate::{
    FEW_LOOKS, MANY, REPORTING,
    services::{Services, Way},
    slope::slope,
    watch::{Look, PROCESSES, Seen, watch},
};

/// Until all nodes have sent their hello and buffers have reached their size.
const WARMING: Duration = Duration::from_secs(20);
/// The measured time is reported in this many parts.
const PARTS: usize = 10;
/// The process whose live heap is judged.
const BROKER: &str = "nats-server";
/// Memory counts as flat if it grows by less than this share of itself in the second half of the time.
const FLAT: f64 = 0.03;

pub(crate) async fn measure(lasting: Duration, table: &mut Table) -> anyhow::Result<()> {
    let services = Services::start().await?;
    let fleet = services.fleet(MANY, 1.0, Way::Packed).await?;
    sleep(WARMING).await;
    let seen = watch(&services, &fleet, lasting).await?;
    let account = services.settle(fleet, 0).await?;

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
    table.note("looks that failed", seen.failed as f64, "", Goal::AtMost(FEW_LOOKS));
    table.note("samples acknowledged", account.published as f64, "", Goal::None);
    table.note("samples applied in all", account.applied as f64, "", Goal::None);
    table.note("samples lost", account.lost() as f64, "", Goal::AtMost(0.0));
    table.note("messages refused", seen.refused as f64, "", Goal::AtMost(0.0));
    note_processes(&seen, table);
    Ok(())
}

fn note_processes(seen: &Seen, table: &mut Table) {
    for (number, process) in PROCESSES.iter().enumerate() {
        table.note(format!("processor, {process}"), seen.cores[number], "cores", Goal::None);
    }
    // By then buffers, lists and the allocator have reached their size.
    let half = &seen.looks[seen.looks.len() / 2..];
    for (number, process) in PROCESSES.iter().enumerate().take(4) {
        let resident = |look: &Look| Some((look.at_s / 60.0, look.resident_bytes[number] as f64 / 1e6));
        let goal = if *process == BROKER { Goal::None } else { Goal::AtMost(FLAT) };
        note_memory(&format!("memory, {process}"), seen, half, resident, goal, table);
    }
    let heap = |look: &Look| Some((look.at_s / 60.0, look.kept?.heap_bytes as f64 / 1e6));
    note_memory(&format!("live heap, {BROKER}"), seen, half, heap, Goal::AtMost(FLAT), table);
    let kept: Vec<_> = half.iter().filter_map(|look| look.kept).collect();
    let by_message: Vec<_> = kept.iter().map(|kept| (kept.messages as f64, kept.heap_bytes as f64)).collect();
    for (when, kept) in [("in the middle", kept.first()), ("at the end", kept.last())] {
        let log = kept.map_or(0, |kept| kept.messages);
        table.note(format!("log, {when}"), log as f64, "messages", Goal::None);
        let bytes = kept.map_or(0, |kept| kept.stored_bytes);
        table.note(format!("log, {when}"), bytes as f64 / 1e6, "MB", Goal::None);
    }
    let what = "live heap, nats-server: for each message that was added in the second half";
    table.note(what, slope(&by_message), "bytes", Goal::None);
}

/// Notes a process's memory at the start, in the middle and at the end, and whether it grew in the second
/// half. `of` returns a look's time in minutes and the memory in MB.
fn note_memory(
    name: &str,
    seen: &Seen,
    half: &[Look],
    of: impl Fn(&Look) -> Option<(f64, f64)>,
    goal: Goal,
    table: &mut Table,
) {
    let mut note = |when: &str, figure, unit, goal| table.note(format!("{name}: {when}"), figure, unit, goal);
    let points: Vec<_> = half.iter().filter_map(&of).collect();
    for (when, point) in [
        ("at the start", seen.looks.iter().find_map(&of)),
        ("in the middle", points.first().copied()),
        ("at the end", points.last().copied()),
    ] {
        note(when, point.map_or(0.0, |(_, megabytes)| megabytes), "MB", Goal::None);
    }
    let highest = points.iter().map(|(_, megabytes)| *megabytes).fold(0.0, f64::max);
    let (slope, minutes) = (slope(&points), seen.seconds / 120.0);
    note("highest of the second half", highest, "MB", Goal::None);
    note("slope of the second half", slope, "MB/minute", Goal::None);
    note("the slope's share of it, over that half", slope * minutes / highest, "", goal);
}
