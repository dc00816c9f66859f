//! The first ten of many nodes, and the live view beside those who ask for a year.

use anyhow::ensure;
use tidemap_bench::table::{Goal, Table};
use tidemap_service::nats::NatsArgs;
use tidemap_testkit::{
    client::{self, quantile},
    http::{get, get_json},
    probe,
};
use tidemap_wire::http::TopJson;
use tokio::task::JoinSet;

use crate::{DAY, MINUTE_MS, Plan, ask, days_ago, rows::Fleet, services::Services};

/// Those who ask for a year.
const ASKERS: usize = 20;

/// Whole days of many nodes, of which each has a row a day: boards are the same as with all minutes.
pub(crate) async fn measure(plan: &Plan, table: &mut Table) -> anyhow::Result<()> {
    let (nodes, days) = plan.top;
    eprintln!("{nodes} nodes, {days} days");
    let fleet = Fleet { nodes, from: days_ago(days), minutes: days * DAY };
    let mut services = Services::start().await?;
    services.date_back(&fleet).await?;
    services.publish(&fleet, DAY).await?;
    services.take_all().await?;
    let name = |what: &str| format!("the first ten of {nodes} nodes x {days} d: {what}");
    let (begin, end) = fleet.range_ms();
    for (what, from, to) in [
        ("whole days", begin, end),
        ("to the minute", begin + 7 * MINUTE_MS, end - 11 * 60 * MINUTE_MS - 13 * MINUTE_MS),
    ] {
        let question = format!("{}/api/top?from={from}&to={to}", services.url);
        let top: TopJson = get_json(question.clone()).await?;
        ensure!((top.from_ms, top.to_ms, top.nodes.len()) == (from, to, 10), "{top:?}");
        let most = u64::from(days - 1) * 60_000;
        ensure!(top.nodes.iter().all(|node| node.covered_ms > most - 60_000), "{top:?}");
        let took = ask(plan, |_| vec![question.clone()]).await?;
        table.note(name(&format!("{what}, p50")), took.0, "ms", Goal::None);
        table.note(name(&format!("{what}, p99")), took.1, "ms", plan.goal(Goal::AtMost(100.0)));
    }
    beside_askers(plan, table, &services, &fleet).await
}

/// The time from a sample to its event, while nobody asks and while many ask for a year, in turns.
async fn beside_askers(
    plan: &Plan,
    table: &mut Table,
    services: &Services,
    fleet: &Fleet,
) -> anyhow::Result<()> {
    let (nodes, samples) = plan.watched;
    let _reporting = services.broker.known_fleet(nodes, &services.url).await?;
    let (mut alone_us, mut beside_us) = (Vec::new(), Vec::new());
    for _ in 0..2 {
        alone_us.extend(latencies(services, samples / 2).await?);
        let mut asking = JoinSet::new();
        for number in 0..ASKERS {
            asking.spawn(ask_for_a_year(services.url.clone(), fleet.name(number as u32), fleet.range_ms().1));
        }
        beside_us.extend(latencies(services, samples / 2).await?);
        ensure!(asking.try_join_next().is_none(), "nobody has stopped asking");
        asking.abort_all();
        while asking.join_next().await.is_some() {}
    }
    let name = |what: &str| format!("sample to event of {nodes} nodes, {ASKERS} ask for a year: {what}");
    let ms = |latencies: &[u64], share| quantile(latencies, share) as f64 / 1_000.0;
    table.note(name("p50 while nobody asks"), ms(&alone_us, 0.5), "ms", Goal::None);
    table.note(name("p99 while nobody asks"), ms(&alone_us, 0.99), "ms", Goal::None);
    table.note(name("p50"), ms(&beside_us, 0.5), "ms", Goal::None);
    table.note(name("p99"), ms(&beside_us, 0.99), "ms", Goal::None);
    let share = ms(&beside_us, 0.99) / ms(&alone_us, 0.99);
    table.note(name("p99, of that while nobody asks"), share, "", plan.goal(Goal::AtMost(1.1)));
    Ok(())
}

async fn latencies(services: &Services, samples: u64) -> anyhow::Result<Vec<u64>> {
    let key = services.broker.keys.simulator_seed_path();
    let access = NatsArgs::new(&services.broker.url, Some(&key));
    let client = access.connect("probe", Some("_INBOX.simulator")).await?;
    let probed = probe::measure(client, client::address(&services.url)?, samples).await?;
    ensure!(probed.lost == 0, "{} samples without an event", probed.lost);
    Ok(probed.latencies_us)
}

/// Asks for a node's year, the fleet's and the first ten, again and again. One that has to wait for too long
/// asks again, too.
async fn ask_for_a_year(url: String, node: String, end: i64) -> anyhow::Result<()> {
    let range = format!("from={}&to={end}", end - 365 * i64::from(DAY) * MINUTE_MS);
    loop {
        for question in [
            format!("{url}/api/nodes/{node}/history?{range}"),
            format!("{url}/api/history?by=fleet&{range}"),
            format!("{url}/api/top?{range}"),
        ] {
            let answer = get(question).await?;
            ensure!([200, 429, 503].contains(&answer.status), "{}: {}", answer.status, answer.body);
        }
    }
}
