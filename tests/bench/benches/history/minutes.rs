//! Every minute of some nodes, and of groups: disk, and the time of answers.

use anyhow::ensure;
use tidemap_bench::table::{Goal, Table};
use tidemap_testkit::http::get_json;
use tidemap_wire::http::HistoryJson;

use crate::{
    DAY, MINUTE_MS, Plan, ask, days_ago,
    peers::{Victoria, prometheus_bytes},
    rows::{Fleet, PLACE},
    services::Services,
};

/// The most steps of one answer of the API.
const MOST_STEPS: i64 = 20_000;

pub(crate) async fn measure(plan: &Plan, table: &mut Table) -> anyhow::Result<()> {
    let Plan { nodes, days, .. } = *plan;
    eprintln!("{nodes} nodes, {days} days by the minute");
    let fleet = Fleet { nodes, from: days_ago(days), minutes: days * DAY };
    let rows = f64::from(nodes) * f64::from(days * DAY);
    let mut services = Services::start().await?;
    services.date_back(&fleet).await?;
    services.publish(&fleet, 1).await?;
    let taken = services.take_all().await?;
    let name = |what: &str| format!("{nodes} nodes x {days} d by the minute: {what}");
    table.note(name("rows"), rows, "", Goal::None);
    table.note(name("rows read and stored"), rows / taken.seconds, "rows/s", Goal::None);
    table.note(name("processor"), taken.cpu.as_secs_f64() * 1e6 / rows, "us/row", Goal::None);
    table.note(name("file"), taken.file_bytes as f64 / rows, "B a minute", plan.goal(Goal::AtMost(18.0)));
    table.say(
        "Rows have the 12 columns that the others get (time covered, two sums, four extremes, the mean and the \
         highest use of processors, shares of memory and disk, load), and numbers of samples and the runs' \
         counters."
            .to_owned(),
    );

    let victoria = Victoria::start(&fleet).await?;
    if let Some(victoria) = &victoria {
        let share = taken.file_bytes as f64 / victoria.bytes as f64;
        table.note(name("VictoriaMetrics"), victoria.bytes as f64 / rows, "B a minute", Goal::None);
        // Its rows are minutes alone; the file has quarters of an hour, hours, days and boards as well.
        table.note(name("file, of VictoriaMetrics'"), share, "", plan.goal(Goal::AtMost(1.1)));
    }
    let (some, few) = plan.prometheus;
    let part = Fleet { nodes: some, from: fleet.from, minutes: few * DAY };
    if let Some(bytes) = prometheus_bytes(&part).await? {
        let each = bytes as f64 / (f64::from(some) * f64::from(few * DAY));
        table.note(name("Prometheus"), each, "B a minute", Goal::None);
        let share = taken.file_bytes as f64 / rows / each;
        table.note(name("file, of Prometheus'"), share, "", plan.goal(Goal::AtMost(0.6)));
    }

    for question in by_the_minute(&fleet, &format!("{}/api/nodes/{}", services.url, fleet.name(0)), "?") {
        whole(question).await?;
    }
    let of_node = |number: usize| {
        let node = fleet.name(number as u32 % fleet.nodes);
        by_the_minute(&fleet, &format!("{}/api/nodes/{node}", services.url), "?columns=traffic,host&")
    };
    let ours = ask(plan, of_node).await?;
    table.note(name("one node, p50"), ours.0, "ms", Goal::None);
    table.note(name("one node, p99"), ours.1, "ms", plan.goal(Goal::AtMost(50.0)));
    if let Some(victoria) = &victoria {
        let theirs = ask(plan, |number| vec![victoria.question(&fleet, number)]).await?;
        table.note(name("one node, VictoriaMetrics' export, p50"), theirs.0, "ms", Goal::None);
        table.note(name("one node, VictoriaMetrics' export, p99"), theirs.1, "ms", Goal::None);
        let share = ours.0 / theirs.0;
        table.note(name("one node, p50, of VictoriaMetrics'"), share, "", plan.goal(Goal::AtMost(1.0)));
        let share = ours.1 / theirs.1;
        table.note(name("one node, p99, of VictoriaMetrics'"), share, "", plan.goal(Goal::AtMost(1.0)));
    }
    drop((services, victoria));
    of_groups(plan, table, days_ago(days)).await
}

/// The fleet, and the nodes of one place: of few nodes, because groups have rows of their own, and these
/// would be a large share of so small a fleet's file.
async fn of_groups(plan: &Plan, table: &mut Table, from: u32) -> anyhow::Result<()> {
    let fleet = Fleet { nodes: plan.grouped, from, minutes: plan.days * DAY };
    let mut services = Services::start().await?;
    services.date_back(&fleet).await?;
    services.introduce(&fleet).await?;
    services.publish(&fleet, 1).await?;
    services.take_all().await?;
    let (from, to) = fleet.range_ms();
    for (who, by) in [("the fleet", "fleet".to_owned()), ("a place", format!("location&key={PLACE}"))] {
        let name = |what: &str| format!("{who} x {} d: {what}", plan.days);
        let chart = format!("{}/api/history?by={by}&from={from}&to={to}", services.url);
        whole(chart.clone()).await?;
        let took = ask(plan, |_| vec![chart.clone()]).await?;
        table.note(name("as a chart, p50"), took.0, "ms", Goal::None);
        table.note(name("as a chart, p99"), took.1, "ms", plan.goal(Goal::AtMost(100.0)));
        let api = format!("{}/api", services.url);
        let took = ask(plan, |_| by_the_minute(&fleet, &api, &format!("?by={by}&"))).await?;
        table.note(name("by the minute, p50"), took.0, "ms", Goal::None);
        table.note(name("by the minute, p99"), took.1, "ms", plan.goal(Goal::AtMost(100.0)));
    }
    Ok(())
}

/// Every minute, in as many questions as they need.
fn by_the_minute(fleet: &Fleet, of: &str, query: &str) -> Vec<String> {
    let (begin, end) = fleet.range_ms();
    let step = usize::try_from(MOST_STEPS * MINUTE_MS).unwrap();
    let parts = (begin..end).step_by(step).map(|from| (from, end.min(from + MOST_STEPS * MINUTE_MS)));
    let part = |(from, to)| format!("{of}/history{query}from={from}&to={to}&step=1m");
    parts.map(part).collect()
}

/// Checks that an answer knows every step.
async fn whole(question: String) -> anyhow::Result<()> {
    let answer: HistoryJson = get_json(question.clone()).await?;
    let known = answer.rx_bytes.iter().flatten().count();
    ensure!(known > 0 && known == answer.rx_bytes.len(), "{question}: {known} of {}", answer.rx_bytes.len());
    Ok(())
}
