//! A notice in words.

use tidemap_traffic::Zone;
use tidemap_wire::{Alert, AlertChange, AlertNotice, Severity, TargetKind};
use url::Url;

use super::{
    Style,
    wording::{amount, clean, duration, names},
};

/// A notice as people read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// One line.
    pub title: String,
    /// One line for one alert; a line for each when they differ.
    pub body: String,
    /// Where the page shows it.
    pub link: Option<String>,
}

impl Message {
    /// Writes a notice.
    pub fn of(notice: &AlertNotice, style: &Style) -> Self {
        let (line, more) = match notice.alerts.as_slice() {
            [alert] if notice.count <= 1 => (one(notice, alert, &style.zone), Vec::new()),
            alerts => many(notice, alerts, &style.zone),
        };
        let body: Vec<_> = [line.text()].into_iter().chain(more).collect();
        let link = style.page_url.as_ref().map(|page| link(page, notice));
        Self { title: format!("[{}] {}", mark(notice), line.short()), body: body.join("\n"), link }
    }

    /// The body, and the link below it.
    pub fn with_link(&self) -> String {
        match &self.link {
            Some(link) => format!("{}\n{link}\n", self.body),
            None => format!("{}\n", self.body),
        }
    }
}

/// The parts of a line between dots.
struct Line {
    parts: Vec<String>,
    /// What a title leaves out.
    since: Option<String>,
}

impl Line {
    fn short(&self) -> String {
        self.parts.join(" · ")
    }

    fn text(&self) -> String {
        let parts: Vec<_> = self.parts.iter().chain(&self.since).map(String::as_str).collect();
        parts.join(" · ")
    }
}

/// What begins a title.
fn mark(notice: &AlertNotice) -> &'static str {
    match (notice.change, notice.severity) {
        (AlertChange::Test, _) => "test",
        (AlertChange::Resolved, _) => "resolved",
        (_, Severity::Info) => "info",
        (_, Severity::Warning) => "warning",
        (_, Severity::Critical) => "critical",
    }
}

fn one(notice: &AlertNotice, alert: &Alert, zone: &Zone) -> Line {
    let mut summary = clean(&alert.summary);
    if let Some(resets_ms) = alert.resets_ms.filter(|resets_ms| *resets_ms > notice.at_ms) {
        summary.push_str(&format!(", in {}", duration(resets_ms - notice.at_ms)));
    }
    let since = Some(format!("since {}", clock(zone, alert.since_ms, notice.at_ms)));
    let lasted = |until_ms: i64| duration(until_ms.saturating_sub(alert.since_ms));
    match notice.change {
        AlertChange::Fired => Line { parts: vec![name(alert), summary], since },
        AlertChange::Repeated => {
            Line { parts: vec![name(alert), format!("still, for {}", lasted(notice.at_ms)), summary], since }
        }
        AlertChange::Resolved => {
            let mut resolved =
                format!("resolved after {}", lasted(alert.resolved_ms.unwrap_or(notice.at_ms)));
            if let Some(peak) = alert.peak {
                resolved.push_str(&format!(", peak {}", amount(peak, &alert.unit)));
            }
            Line { parts: vec![name(alert), resolved, summary], since: None }
        }
        AlertChange::Test => Line { parts: vec![name(alert), summary], since: None },
    }
}

fn many(notice: &AlertNotice, alerts: &[Alert], zone: &Zone) -> (Line, Vec<String>) {
    let count = usize::try_from(notice.count).unwrap_or(usize::MAX).max(alerts.len());
    let who = format!("{count} {}{}", things(alerts, count), place(alerts));
    let list = named(alerts);
    let list = names(&list, count - (alerts.len() - list.len()));
    let first_ms = alerts.iter().map(|alert| alert.since_ms).min().unwrap_or(notice.at_ms);
    let summary = alerts.first().map(|alert| clean(&alert.summary));
    let same = summary.filter(|first| alerts.iter().all(|alert| clean(&alert.summary) == *first));
    let is_offline = same.as_ref().is_some_and(|same| same.starts_with("offline"));
    // Nodes that were forgotten are not back, and the summary says so.
    let is_back = is_offline && same.as_ref().is_some_and(|same| !same.contains(" · "));
    let what = match (&same, notice.change) {
        (Some(same), AlertChange::Fired | AlertChange::Test) if is_offline => {
            format!("{who} are {same}: {list}")
        }
        (Some(same), AlertChange::Repeated) if is_offline => format!("{who} are still {same}: {list}"),
        (Some(_), AlertChange::Resolved) if is_back => format!("{who} are back: {list}"),
        (Some(same), AlertChange::Resolved) => format!("{who} · resolved: {same}: {list}"),
        (None, AlertChange::Resolved) => format!("{who} · resolved: {}: {list}", clean(&notice.rule)),
        (Some(same), _) => format!("{who} · {same}: {list}"),
        (None, _) => format!("{who} · {}: {list}", clean(&notice.rule)),
    };
    let mut parts = vec![what];
    if notice.change == AlertChange::Repeated {
        parts.push(format!("still, for {}", duration(notice.at_ms.saturating_sub(first_ms))));
    }
    let since = (notice.change != AlertChange::Resolved)
        .then(|| format!("since {}", clock(zone, first_ms, notice.at_ms)));
    let mut lines = Vec::new();
    if same.is_none() || notice.change == AlertChange::Resolved {
        lines.extend(alerts.iter().map(|alert| format!("• {}", one(notice, alert, zone).text())));
        let more = count - alerts.len();
        if more > 0 {
            lines.push(format!("• and {more} more"));
        }
    }
    (Line { parts, since }, lines)
}

/// The names of targets; a plan that has reached several thresholds is named once.
fn named(alerts: &[Alert]) -> Vec<String> {
    let mut list: Vec<String> = alerts.iter().map(name).collect();
    if alerts.iter().all(|alert| alert.target.kind == TargetKind::Plan) {
        list.dedup();
    }
    list
}

fn name(alert: &Alert) -> String {
    let target = &alert.target;
    match (clean(target.name.trim()), target.kind) {
        (name, _) if !name.is_empty() => name,
        (_, TargetKind::Fleet) => "fleet".to_owned(),
        (_, TargetKind::Broker) => "broker".to_owned(),
        _ => clean(&target.id),
    }
}

fn things(alerts: &[Alert], count: usize) -> &'static str {
    let kind = alerts.first().map(|alert| alert.target.kind);
    let is_same = alerts.iter().all(|alert| Some(alert.target.kind) == kind);
    match kind.filter(|_| is_same) {
        Some(TargetKind::Node) if count == 1 => "node",
        Some(TargetKind::Node) => "nodes",
        Some(TargetKind::Group) => "groups",
        Some(TargetKind::Partition) => "partitions",
        Some(TargetKind::Worker) => "workers",
        // A plan may have reached several thresholds at once.
        Some(TargetKind::Plan) => "alerts about plans",
        Some(TargetKind::Fleet | TargetKind::Broker) | None => "alerts",
    }
}

/// The place that all have in common, or the provider.
fn place(alerts: &[Alert]) -> String {
    let common = |label: &str| {
        let first = alerts.first()?.target.labels.get(label).filter(|value| !value.is_empty())?;
        alerts.iter().all(|alert| alert.target.labels.get(label) == Some(first)).then_some(first)
    };
    let place = common("location").or_else(|| common("provider"));
    place.map(|place| format!(" of {}", clean(place))).unwrap_or_default()
}

/// What clocks show, with the date if it is not today's.
fn clock(zone: &Zone, ms: i64, now_ms: i64) -> String {
    let day = |ms| zone.show_as(ms, "%F");
    zone.show_as(ms, if day(ms) == day(now_ms) { "%H:%M %Z" } else { "%-d %b %H:%M %Z" })
}

/// The page, with the node if it is about one.
fn link(page: &Url, notice: &AlertNotice) -> String {
    let mut url = page.clone();
    if let [alert] = notice.alerts.as_slice()
        && alert.target.kind == TargetKind::Node
    {
        url.query_pairs_mut().append_pair("node", &alert.target.id);
    }
    url.to_string()
}
