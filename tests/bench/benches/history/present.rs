//! The last minutes of a fleet, of which the hour is not over, and a day that was missed.

use std::fmt::Display;

use anyhow::ensure;
use tidemap_bench::table::{Goal, Table};
use tidemap_service::clock::unix_ms;
use tidemap_testkit::{
    http::{get, get_json},
    usage,
};
use tidemap_wire::http::HistoryJson;

use crate::{DAY, MINUTE_MS, Plan, ask, rows::Fleet, services::Services};

/// Rows of a hundred thousand nodes that come in a second of real time.
const ROWS_A_SECOND: f64 = 100_000.0 / 60.0;

/// Memory, processor and disk while the last minutes are taken, and answers about all nodes.
pub(crate) async fn measure(plan: &Plan, table: &mut Table, nodes: u32, minutes: u32) -> anyhow::Result<()> {
    eprintln!("{nodes} nodes, their last {minutes} minutes");
    let now = u32::try_from(unix_ms() / MINUTE_MS)?;
    let fleet = Fleet { nodes, from: now - minutes, minutes };
    let mut services = Services::start().await?;
    services.publish(&fleet, 1).await?;
    let taken = services.take_all().await?;
    let name = |what: &str| format!("{nodes} nodes, {minutes} min of the present: {what}");
    let most = if nodes > 10_000 { 400.0 } else { 120.0 };
    table.note(name("memory"), taken.resident_bytes as f64 / 1e6, "MB", Goal::AtMost(most));
    let share = taken.cpu.as_secs_f64() / (f64::from(minutes) * 60.0);
    table.note(name("processor in real time"), share, "cores", plan.goal(Goal::AtMost(0.05)));
    let faster = f64::from(minutes) * 60.0 / taken.seconds;
    table.note(name("catching up"), faster, "x real time", plan.goal(Goal::AtLeast(20.0)));
    let written = taken.written_bytes as f64 / taken.file_bytes as f64;
    table.note(name("written, of the file"), written, "", plan.goal(Goal::AtMost(3.5)));
    // The first question waits until what has just come is added up.
    let to = i64::from(now) * MINUTE_MS;
    let month = to - i64::from(30 * DAY) * MINUTE_MS;
    let hour = to - 40 * MINUTE_MS;
    for (what, question, goal) in [
        ("the first ten of 30 d until now", format!("top?from={month}&to={to}"), Goal::AtMost(100.0)),
        ("the first ten of 40 min until now", format!("top?from={hour}&to={to}"), Goal::None),
        (
            "the fleet in 30 d until now",
            format!("history?by=fleet&from={month}&to={to}"),
            Goal::AtMost(100.0),
        ),
        ("the fleet in 40 min until now", format!("history?by=fleet&from={hour}&to={to}"), Goal::None),
    ] {
        let question = format!("{}/api/{question}", services.url);
        ensure!(get(question.clone()).await?.status == 200, "{question}");
        let took = ask(plan, |_| vec![question.clone()]).await?;
        table.note(name(&format!("{what}, p50")), took.0, "ms", Goal::None);
        table.note(name(&format!("{what}, p99")), took.1, "ms", plan.goal(goal));
    }
    let question = format!("{}/api/history?by=fleet&from={hour}&to={to}&step=1m", services.url);
    all_of(&fleet, &get_json(question).await?, minutes.min(40))?;
    let resident = usage::resident_bytes(services.station()?.pid())? as f64 / 1e6;
    table.note(name("memory after these questions"), resident, "MB", Goal::AtMost(most));
    Ok(())
}

/// Checks that the fleet has its newest minutes, and that these are whole.
fn all_of(fleet: &Fleet, answer: &HistoryJson, minutes: u32) -> anyhow::Result<()> {
    let known = answer.rx_bytes.iter().flatten().count();
    ensure!(known as u32 == minutes, "{known} of {minutes} minutes of {} nodes", fleet.nodes);
    Ok(())
}

/// A station that was away for a day: its nodes' rows of the day wait in the stream.
pub(crate) async fn a_day_later(plan: &Plan, table: &mut Table) -> anyhow::Result<()> {
    let nodes = plan.pause;
    eprintln!("{nodes} nodes, a day that was missed");
    let now = u32::try_from(unix_ms() / MINUTE_MS)?;
    let fleet = Fleet { nodes, from: now - DAY, minutes: DAY };
    let mut services = Services::start().await?;
    services.date_back(&fleet).await?;
    services.publish(&fleet, 1).await?;
    let taken = services.take_all().await?;
    let rows = f64::from(nodes) * f64::from(DAY);
    let name = |what: &dyn Display| format!("{nodes} nodes after a day's pause: {what}");
    table.note(name(&"until all is stored"), taken.seconds, "s", Goal::None);
    table.note(name(&"processor"), taken.cpu.as_secs_f64() * 1e6 / rows, "us/row", Goal::None);
    // The broker stamps these rows with the present, so their hours are over when they come: each is joined
    // into a tile of its node's hour. After a real pause they come into tiles of many nodes' minutes, as
    // those of the present do, which takes less.
    let faster = rows / taken.seconds / ROWS_A_SECOND;
    table.note(name(&"catching up, of 100,000 nodes"), faster, "x real time", plan.goal(Goal::AtLeast(20.0)));
    let written = taken.written_bytes as f64 / taken.file_bytes as f64;
    table.note(name(&"written, of the file"), written, "", Goal::None);
    Ok(())
}
