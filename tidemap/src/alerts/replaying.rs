//! `tidemap alerts test RULE --replay 24h`.

use std::{fmt::Write, sync::Arc};

use anyhow::{Context, bail};
use tidemap_alert::{PastRates, Replay, ReplayHello, ReplayNode, ReplayStep, Rule, replay};
use tidemap_service::{
    cli::{self, UsageError},
    clock,
    moment::duration_ms,
};
use tidemap_traffic::Zone;
use tidemap_wire::{
    Alert, Capacity, Hello, NodeId,
    http::{HistoryJson, NodeDetailJson, NodeJson},
};

use super::TestArgs;
use crate::api_answer::{self, ApiAddressArgs};

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;
/// The history keeps minutes for 35 days.
const MAX_REPLAY_MS: i64 = 31 * 24 * HOUR_MS;
/// The most steps of one answer of the API.
const MAX_STEPS: i64 = 20_000;
/// Each node is a question to the API.
const MAX_NODES: usize = 1_000;

pub(super) async fn run(args: TestArgs) -> anyhow::Result<()> {
    let file = super::read(&args.alerts)?;
    let name = &args.rule;
    let path = args.alerts.display();
    let rule = file.rules.named(name).ok_or_else(|| {
        let names: Vec<&str> = file.rules.iter().map(|rule| rule.name.as_str()).collect();
        UsageError(format!("{path} has no rule {name}; it has {}", names.join(", ")))
    })?;
    if let Some(why) = rule.not_in_history() {
        return Err(UsageError(format!("rule {name} cannot be tried against the past: {why}")).into());
    }
    let replay_ms = duration_ms(&args.replay).filter(|ms| (MINUTE_MS..=MAX_REPLAY_MS).contains(ms));
    let replay_ms = replay_ms
        .ok_or_else(|| UsageError("--replay must be a time such as 24h or 7d, at most 31d".to_owned()))?;
    let rule = rule.clone();
    let api = args.api.clone();
    let now_ms = clock::unix_ms();
    let past = api_answer::asked(move || Past::ask(&api, &rule, now_ms, replay_ms)).await?;
    let rules = file.rules.only(name).context("the rule is there")?;
    let found = replay(rules, &past.nodes, past.from_ms, past.step_ms, past.shown_from_ms);
    Ok(cli::print(report(name, &past, &found, &file.zone))?)
}

/// What the API said of the past.
struct Past {
    nodes: Vec<ReplayNode>,
    from_ms: i64,
    to_ms: i64,
    step_ms: i64,
    shown_from_ms: i64,
    /// Minutes that end later may still come.
    complete_until_ms: i64,
}

impl Past {
    fn ask(api: &ApiAddressArgs, rule: &Rule, now_ms: i64, replay_ms: i64) -> anyhow::Result<Self> {
        let nodes: Vec<NodeJson> = api.read("/api/nodes")?;
        let known = nodes.into_iter().filter_map(|node| Some((NodeId::from_text(&node.name).ok()?, node)));
        let known = known.map(|(id, node)| {
            let hello = ReplayHello {
                display_name: node.display_name.clone(),
                location: node.location.clone(),
                provider: node.provider.clone(),
                labels: node.labels.clone(),
                capacity: None,
            };
            (id, hello)
        });
        let those: Vec<_> =
            known.filter(|(id, hello)| rule.is_about(id, &Hello::from(hello.clone()))).collect();
        if those.is_empty() {
            bail!("rule {} is about no node that the API knows", rule.name);
        }
        if those.len() > MAX_NODES {
            bail!("rule {} is about {} nodes; at most {MAX_NODES} are tried at once", rule.name, those.len());
        }
        let shown_from_ms = now_ms - replay_ms;
        let from_ms = shown_from_ms - rule.lead_ms();
        let (step, minutes) = step(now_ms - from_ms);
        let step_ms = minutes * MINUTE_MS;
        let from_ms = from_ms - from_ms.rem_euclid(step_ms);
        let to_ms = now_ms - now_ms.rem_euclid(step_ms);
        let mut past =
            Self { nodes: Vec::new(), from_ms, to_ms, step_ms, shown_from_ms, complete_until_ms: i64::MAX };
        for (id, mut hello) in those {
            let name = percent_encoded(&id.text());
            if rule.needs_capacity() {
                let node: NodeDetailJson = api.read(&format!("/api/nodes/{name}"))?;
                let rates =
                    node.network_rx_capacity_bytes_per_sec.zip(node.network_tx_capacity_bytes_per_sec);
                hello.capacity = rates.map(|(rx_bps, tx_bps)| Capacity { rx_bps, tx_bps });
            }
            let history: HistoryJson =
                api.read(&format!("/api/nodes/{name}/history?from={from_ms}&to={to_ms}&step={step}"))?;
            past.complete_until_ms = past.complete_until_ms.min(history.complete_until_ms);
            past.nodes.push(ReplayNode { id, hello: Arc::new(hello.into()), steps: steps(&history) });
        }
        // What has not come yet is no outage.
        let known = (past.complete_until_ms.min(to_ms) - from_ms).max(0) / step_ms;
        for node in &mut past.nodes {
            node.steps.truncate(usize::try_from(known).unwrap_or(usize::MAX));
        }
        past.to_ms = from_ms + known * step_ms;
        Ok(past)
    }
}

/// The shortest step of which one answer holds enough, as the API reads it, and its minutes.
fn step(range_ms: i64) -> (&'static str, i64) {
    let steps = [("1m", 1), ("5m", 5), ("15m", 15)];
    let fits = |minutes: i64| range_ms / (minutes * MINUTE_MS) + 2 < MAX_STEPS;
    steps.into_iter().find(|(_, minutes)| fits(*minutes)).unwrap_or(("1h", 60))
}

fn steps(history: &HistoryJson) -> Vec<ReplayStep> {
    let at = |column: &[Option<u64>], step: usize| column.get(step).copied().flatten().map(|bps| bps as f64);
    let rates = |step: usize| {
        let (rx_bps, tx_bps) = (at(&history.rx_bps, step)?, at(&history.tx_bps, step)?);
        Some(PastRates {
            rx_bps,
            tx_bps,
            rx_max_bps: at(&history.rx_max_bps, step).unwrap_or(rx_bps),
            tx_max_bps: at(&history.tx_max_bps, step).unwrap_or(tx_bps),
            rx_min_bps: at(&history.rx_min_bps, step).unwrap_or(rx_bps),
            tx_min_bps: at(&history.tx_min_bps, step).unwrap_or(tx_bps),
        })
    };
    (0..history.rx_bps.len()).map(|step| ReplayStep { rates: rates(step) }).collect()
}

/// A name as a part of a path.
pub(super) fn percent_encoded(name: &str) -> String {
    let mut path = url::Url::parse("http://localhost/").ok();
    if let Some(Ok(mut parts)) = path.as_mut().map(url::Url::path_segments_mut) {
        parts.clear().push(name);
    }
    path.map(|path| path.path().trim_start_matches('/').to_owned()).unwrap_or_default()
}

fn report(name: &str, past: &Past, found: &Replay, zone: &Zone) -> String {
    let mut out = String::new();
    let mut put = |line: String| {
        // A name may hold what a terminal obeys.
        out.extend(line.chars().map(|letter| if letter.is_control() { ' ' } else { letter }));
        out.push('\n');
    };
    let shown = |ms: i64| minute(&zone.show(ms));
    put(format!(
        "rule {name}, {} nodes, from {} to {}",
        past.nodes.len(),
        shown(past.shown_from_ms),
        shown(past.to_ms)
    ));
    for alert in &found.firings {
        put(line(alert, &shown));
    }
    put(match found.firings.len() {
        0 => "it would not have fired".to_owned(),
        1 => "it would have fired once".to_owned(),
        count => format!("it would have fired {count} times"),
    });
    for caveat in &found.caveats {
        put(format!("({caveat})"));
    }
    out.truncate(out.trim_end().len());
    out
}

fn line(alert: &Alert, shown: &impl Fn(i64) -> String) -> String {
    let fired_ms = alert.fired_ms.unwrap_or(alert.since_ms);
    let mut line = format!("  {}  {} · {}", shown(fired_ms), alert.target.name, alert.summary);
    let over = match alert.resolved_ms {
        Some(resolved_ms) => {
            format!(" · until {}, {} min", shown(resolved_ms), (resolved_ms - fired_ms) / MINUTE_MS)
        }
        None => " · it still fires".to_owned(),
    };
    // Writing to a string cannot fail.
    write!(line, "{over}").ok();
    line
}

/// `2026-11-01T00:00:00+01:00` to the minute, with its offset.
fn minute(moment: &str) -> String {
    match (moment.get(..16), moment.get(19..)) {
        (Some(minute), Some(offset)) => format!("{} {offset}", minute.replace('T', " ")),
        _ => moment.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_part_of_a_path() {
        assert_eq!(percent_encoded("web-01.example"), "web-01.example");
        assert_eq!(percent_encoded("a/b ü?"), "a%2Fb%20%C3%BC%3F");
    }

    #[test]
    fn a_long_past_has_longer_steps() {
        assert_eq!(step(24 * HOUR_MS), ("1m", 1));
        assert_eq!(step(31 * 24 * HOUR_MS).1, 5);
    }

    #[test]
    fn a_report_says_when_and_how_long() {
        let history = HistoryJson {
            rx_bps: vec![Some(1_000_000), Some(112_500_001), Some(112_500_001), Some(0), None],
            tx_bps: vec![Some(0); 5],
            ..HistoryJson::default()
        };
        let text = "[[rule]]\nname = \"busy\"\nmetric = \"rate\"\ndirection = \"in\"\nabove = \"900 Mbit/s\"";
        let file = tidemap_alert::AlertFile::parse(text).unwrap();
        let hello = ReplayHello { display_name: "web\u{1b}".to_owned(), ..ReplayHello::default() };
        let node = ReplayNode {
            id: NodeId::from_name("web").unwrap(),
            hello: Arc::new(hello.into()),
            steps: steps(&history),
        };
        let past = Past {
            nodes: vec![node],
            from_ms: 0,
            to_ms: 5 * MINUTE_MS,
            step_ms: MINUTE_MS,
            shown_from_ms: 0,
            complete_until_ms: 0,
        };
        let found = replay(file.rules, &past.nodes, 0, MINUTE_MS, 0);
        let text = report("busy", &past, &found, &Zone::UTC);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "rule busy, 1 nodes, from 1970-01-01 00:00 +00:00 to 1970-01-01 00:05 +00:00");
        assert_eq!(
            lines[1],
            "  1970-01-01 00:02 +00:00  web  · download 900 Mbit/s (limit 900 Mbit/s) · until 1970-01-01 00:04 +00:00, 2 min"
        );
        assert_eq!(lines[2], "it would have fired once");
        assert!(lines.iter().any(|line| line.contains("1 min")), "{text}");
    }
}
