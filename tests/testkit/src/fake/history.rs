//! The past of a made-up fleet, as the API tells it: 300 days with a daily rhythm, two gaps and two bursts.

use std::f64::consts::TAU;

use anyhow::Context;
use tidemap_wire::{
    Bps, Series,
    http::{HistoryJson, HistoryStatusJson, TopJson, TopNodeJson},
};

use super::{FakeFleet, request::Request};

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;
const DAY_MS: i64 = 24 * HOUR_MS;
/// How long ago the first minute was.
const REACH_MS: i64 = 300 * DAY_MS;
/// How long ago nobody was heard: from, to, and the bytes that moved meanwhile.
const GAPS: [(i64, i64, u64); 2] =
    [(4 * DAY_MS, 2 * DAY_MS, 3_200_000_000), (33 * MINUTE_MS, 28 * MINUTE_MS, 12_000_000)];
/// How long ago there were ten seconds at a high rate, and the rate.
const BURSTS: [(i64, u64); 2] = [(100 * DAY_MS, 812_000_000), (20 * MINUTE_MS, 600_000_000)];
const BURST_S: u64 = 10;
/// The node of whose host nothing is known.
const WITHOUT_HOST: &str = "db-02";
/// The node whose bursts they are.
const CULPRIT: &str = "web-01";
/// Steps in minutes of which the shortest with few enough points is taken.
const STEPS: [i64; 9] = [1, 2, 5, 10, 15, 30, 60, 180, 360];
const MOST_STEPS: i64 = 1_500;

/// For how long the API has kept the fleet's totals at first: longer than the history is behind, and less
/// than the page shows.
pub(super) const KEPT_MS: i64 = 150_000;

/// What one minute of download came to, bytes and bytes per second.
struct Minute {
    bytes: u64,
    most: u64,
    least: u64,
}

/// The answer to a request for the history of the fleet or of a node; `None` where there is no such node.
pub(super) fn history(
    fleet: &FakeFleet,
    request: &Request,
    node: Option<&str>,
) -> anyhow::Result<Option<HistoryJson>> {
    let mean = match node {
        None => fleet.nodes().iter().filter_map(|node| node.rate).sum(),
        Some(name) => {
            let Some(node) = fleet.nodes().iter().find(|node| node.name == name) else { return Ok(None) };
            node.rate.unwrap_or_default()
        }
    };
    let (from_ms, to_ms) = range(fleet, request)?;
    let minutes = (to_ms - from_ms) / MINUTE_MS;
    let step =
        STEPS.into_iter().find(|step| minutes / step < MOST_STEPS).context("a range that is too long")?;
    let step_ms = step * MINUTE_MS;
    let (from_ms, end_ms) = (from_ms.div_euclid(step_ms) * step_ms, fleet.at_ms());
    let bursts = node.is_none_or(|node| node == CULPRIT);
    let mut json = HistoryJson {
        from_ms,
        step_ms: step_ms.unsigned_abs(),
        tier_ms: 60_000,
        complete_until_ms: complete_until_ms(fleet),
        ..HistoryJson::default()
    };
    let mut begin_ms = from_ms;
    while begin_ms < to_ms {
        let minutes = (begin_ms..begin_ms + step_ms).step_by(60_000);
        let known: Vec<Minute> = minutes.filter_map(|at| minute(at, end_ms, mean, bursts)).collect();
        let unplaced =
            GAPS.into_iter().filter(|(_, to, _)| (begin_ms..begin_ms + step_ms).contains(&(end_ms - to)));
        push(&mut json, &known, unplaced.map(|(.., bytes)| bytes).sum());
        begin_ms += step_ms;
    }
    let is_of_host = request.query("columns").is_some_and(|columns| columns.contains("host"));
    // One node's agent is of a time before the history knew of hosts.
    if is_of_host && node != Some(WITHOUT_HOST) {
        add_host(&mut json);
    }
    json.to_ms = begin_ms;
    json.partial = begin_ms > json.complete_until_ms;
    Ok(Some(json))
}

/// Metrics of the host in the steps of which anything is known.
fn add_host(json: &mut HistoryJson) {
    let known: Vec<bool> = json.covered_ms.iter().map(|covered| *covered > 0).collect();
    let column = |of: &dyn Fn(f64) -> f64| -> Vec<Option<f64>> {
        known.iter().enumerate().map(|(at, is_known)| is_known.then(|| of((at as f64 / 9.0).sin()))).collect()
    };
    json.cpu_percent = column(&|wave| 25.0 + 10.0 * wave);
    json.cpu_max_percent = column(&|wave| 50.0 + 30.0 * wave);
    json.memory_max_percent = column(&|wave| 61.0 + wave);
    json.disk_max_percent = column(&|_| 82.7);
    json.load_1_max = column(&|wave| 2.0 + 1.5 * wave);
}

/// The fleet's totals since this time, as the API has heard them.
pub(super) fn recent(fleet: &FakeFleet, since_ms: i64) -> Series {
    const STEP_MS: i64 = 4_000;
    let end_ms = fleet.at_ms().div_euclid(STEP_MS) * STEP_MS + STEP_MS;
    let rate: f64 = fleet.nodes().iter().filter_map(|node| node.rate).sum();
    let steps = |rate: f64| {
        let begins = (1..=75).rev().map(|ago| end_ms - ago * STEP_MS);
        begins.map(|begin_ms| Bps::new(rate).filter(|_| begin_ms + STEP_MS > since_ms)).collect()
    };
    Series { step_ms: 4_000, end_ms, rx_bps: steps(rate), tx_bps: steps(rate / 2.0) }
}

/// What the history says of itself, as far as the page reads it.
pub(super) fn status(fleet: &FakeFleet) -> HistoryStatusJson {
    HistoryStatusJson { complete_until_ms: Some(complete_until_ms(fleet)), ..HistoryStatusJson::default() }
}

fn complete_until_ms(fleet: &FakeFleet) -> i64 {
    fleet.at_ms() - 2 * MINUTE_MS
}

fn minute(at_ms: i64, end_ms: i64, mean: f64, bursts: bool) -> Option<Minute> {
    let ago_ms = end_ms.div_euclid(MINUTE_MS) * MINUTE_MS - at_ms;
    let is_gap = GAPS.iter().any(|(from, to, _)| (*to + 1..=*from).contains(&ago_ms));
    if !(0..REACH_MS).contains(&ago_ms) || is_gap {
        return None;
    }
    let daily = (at_ms.rem_euclid(DAY_MS) as f64 / DAY_MS as f64 * TAU).sin();
    let weekly = (at_ms.rem_euclid(7 * DAY_MS) as f64 / (7 * DAY_MS) as f64 * TAU).cos();
    let rate = mean * (1.0 + 0.4 * daily + 0.2 * weekly);
    let mut minute =
        Minute { bytes: (rate * 60.0) as u64, most: (rate * 1.3) as u64, least: (rate * 0.7) as u64 };
    if let Some((_, rate)) = BURSTS.iter().find(|(ago, _)| bursts && *ago == ago_ms) {
        minute.bytes += rate * BURST_S;
        minute.most = *rate;
    }
    Some(minute)
}

fn push(json: &mut HistoryJson, known: &[Minute], unplaced: u64) {
    let is_known = !known.is_empty();
    let bytes: u64 = known.iter().map(|minute| minute.bytes).sum();
    let covered_ms = known.len() as u64 * 60_000;
    let mean = bytes * 1000 / covered_ms.max(1);
    let most = known.iter().map(|minute| minute.most).max().unwrap_or_default();
    let least = known.iter().map(|minute| minute.least).min().unwrap_or_default();
    // Nodes send half of what they receive.
    let columns = [
        (&mut json.rx_bytes, bytes),
        (&mut json.tx_bytes, bytes / 2),
        (&mut json.rx_bps, mean),
        (&mut json.tx_bps, mean / 2),
        (&mut json.rx_max_bps, most),
        (&mut json.tx_max_bps, most / 2),
        (&mut json.rx_min_bps, least),
        (&mut json.tx_min_bps, least / 2),
    ];
    for (column, value) in columns {
        column.push(is_known.then_some(value));
    }
    json.covered_ms.push(covered_ms);
    json.unplaced_rx_bytes.push(unplaced);
    json.unplaced_tx_bytes.push(0);
}

/// The answer to a request for the nodes that moved most.
pub(super) fn top(fleet: &FakeFleet, request: &Request) -> anyhow::Result<TopJson> {
    let (from_ms, to_ms) = range(fleet, request)?;
    let from_ms = from_ms.div_euclid(HOUR_MS) * HOUR_MS;
    let to_ms = (to_ms + HOUR_MS - 1).div_euclid(HOUR_MS) * HOUR_MS;
    let seconds = ((to_ms.min(fleet.at_ms()) - from_ms) / 1000).max(0);
    let bursts = || BURSTS.iter().filter(|(ago, _)| (from_ms..to_ms).contains(&(fleet.at_ms() - ago)));
    let burst: u64 = bursts().map(|(_, rate)| rate * BURST_S).sum();
    let node = |node: &super::FakeNode| {
        let is_culprit = node.name == CULPRIT;
        let bytes = (node.rate? * seconds as f64) as u64 + if is_culprit { burst } else { 0 };
        let height = bursts().map(|(_, rate)| *rate).filter(|_| is_culprit).max().unwrap_or_default();
        Some(TopNodeJson {
            node: node.name.clone(),
            display_name: Some(node.name.clone()),
            rx_bytes: bytes,
            tx_bytes: bytes / 2,
            covered_ms: seconds.unsigned_abs() * 1000,
            rx_max_bps: Some(height.max((node.rate? * 2.0) as u64)),
            tx_max_bps: Some(height.max((node.rate? * 2.0) as u64) / 2),
        })
    };
    let mut nodes: Vec<TopNodeJson> = fleet.nodes().iter().filter_map(node).collect();
    nodes.sort_by_key(|node| std::cmp::Reverse(node.rx_bytes));
    nodes.truncate(request.query("limit").context("a limit")?.parse()?);
    Ok(TopJson { from_ms, to_ms, complete_until_ms: fleet.at_ms(), nodes })
}

/// As much of what the API reads as the page asks.
fn range(fleet: &FakeFleet, request: &Request) -> anyhow::Result<(i64, i64)> {
    let end = |name: &str| {
        let text = request.query(name).with_context(|| format!("no {name}"))?;
        moment(&text, fleet.at_ms()).with_context(|| format!("{name}={text}"))
    };
    Ok((end("from")?, end("to")?))
}

fn moment(text: &str, now_ms: i64) -> Option<i64> {
    if text == "now" {
        return Some(now_ms);
    }
    if let Some(ago) = text.strip_prefix('-') {
        let unit_ms = if ago.ends_with('d') { DAY_MS } else { HOUR_MS };
        return Some(now_ms - ago.trim_end_matches(['d', 'h']).parse::<i64>().ok()? * unit_ms);
    }
    if let Ok(ms) = text.parse() {
        return Some(ms);
    }
    // `2026-01-01T00:00:00Z`
    let numbers: Vec<i64> =
        text.trim_end_matches('Z').split(['-', 'T', ':']).map(str::parse).collect::<Result<_, _>>().ok()?;
    let [year, month, day, hours, minutes, seconds] = numbers[..] else { return None };
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1 - 719_468;
    Some(days * DAY_MS + hours * HOUR_MS + minutes * MINUTE_MS + seconds * 1000)
}
