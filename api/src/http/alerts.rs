//! What alert rules have found.

use tidemap_wire::{
    Alert, NodeId, Severity, TargetKind,
    http::{AlertCountsJson, AlertsJson, EvaluatorJson},
};
use warp::reply::Response;

use crate::{
    alerts::AlertsView,
    answers::Encoded,
    http::{Asked, Site, bodies, errors::ApiError, history::parameters::each},
    json,
};

/// The most alerts of a list, unless another number is asked for.
const USUAL_LIMIT: usize = 200;
const MAX_LIMIT: usize = 1_000;
const PARAMETERS: &str = "there are state, rule, node, severity and limit";

/// Which alerts.
#[derive(Debug, Default, PartialEq)]
struct AlertsQuery {
    state: Option<State>,
    rule: Option<String>,
    /// Ids that the named node may have; none where no node was named.
    node: Option<Vec<NodeId>>,
    severity: Option<Severity>,
    limit: Option<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    Firing,
    Pending,
    Resolved,
}

/// `GET /api/alerts?state=&rule=&node=&severity=&limit=`
pub(super) async fn read(asked: &Asked, site: &Site) -> Result<Response, ApiError> {
    let query = AlertsQuery::parse(&asked.query)?;
    let shown = site.alerts.borrow().clone();
    let shown = shown.ok_or_else(|| ApiError::NotFound("alerts: no alert station has run".to_owned()))?;
    let stats = site.fleet.stats().await?;
    let at_ms = (stats.values.timestamp * 1_000.0) as i64;
    let body = json::encode(&query.answer(&shown, at_ms));
    let (tag, body) = (bodies::tag(&body), Encoded::long(body, &site.budget)?);
    bodies::encoded(&asked.headers, &tag, bodies::JSON, &body).await
}

impl AlertsQuery {
    fn parse(query: &str) -> Result<Self, ApiError> {
        let mut parsed = Self::default();
        each(query, |name, value| parsed.take(name, value))?;
        Ok(parsed)
    }

    fn take(&mut self, name: &str, value: &str) -> Result<(), String> {
        match name {
            "state" => {
                self.state = Some(match value {
                    "firing" => State::Firing,
                    "pending" => State::Pending,
                    "resolved" => State::Resolved,
                    _ => return Err("must be firing, pending or resolved".to_owned()),
                });
            }
            "rule" => self.rule = Some(value.to_owned()),
            "node" => self.node = Some(NodeId::possible(value)),
            "severity" => {
                self.severity = Some(match value {
                    "info" => Severity::Info,
                    "warning" => Severity::Warning,
                    "critical" => Severity::Critical,
                    _ => return Err("must be info, warning or critical".to_owned()),
                });
            }
            "limit" => {
                let limit = value.parse().ok().filter(|limit| (1..=MAX_LIMIT).contains(limit));
                self.limit = Some(limit.ok_or_else(|| format!("must be a number from 1 to {MAX_LIMIT}"))?);
            }
            _ => return Err(format!("no such parameter; {PARAMETERS}")),
        }
        Ok(())
    }

    fn answer(&self, shown: &AlertsView, at_ms: i64) -> AlertsJson {
        let (mut firing, firing_count) = self.some(&shown.firing);
        let (mut pending, pending_count) = self.some(&shown.pending);
        for alert in firing.iter_mut().chain(&mut pending) {
            alert.silenced_until_ms = alert.silenced_until_ms.filter(|until_ms| *until_ms > at_ms);
        }
        let (log, log_count) = self.some(&shown.log);
        let is_asked = |state| self.state.is_none_or(|asked| asked == state);
        AlertsJson {
            at_ms,
            evaluator: shown.evaluator.as_ref().map(|lease| EvaluatorJson {
                id: lease.owner.clone(),
                since_ms: lease.since_ms,
                rules: lease.rules,
                is_hearing: lease.is_hearing,
            }),
            warnings: shown.evaluator.as_ref().map(|lease| lease.warnings.clone()).unwrap_or_default(),
            counts: AlertCountsJson { firing: firing_count, pending: pending_count, log: log_count },
            firing: if is_asked(State::Firing) { firing } else { Vec::new() },
            pending: if self.state == Some(State::Pending) { pending } else { Vec::new() },
            log: if is_asked(State::Resolved) { log } else { Vec::new() },
        }
    }

    /// The first alerts that are asked for, and how many there are.
    fn some(&self, alerts: &[Alert]) -> (Vec<Alert>, u64) {
        let limit = self.limit.unwrap_or(USUAL_LIMIT);
        let (mut first, mut count) = (Vec::new(), 0);
        for alert in alerts.iter().filter(|alert| self.matches(alert)) {
            if first.len() < limit {
                first.push(alert.clone());
            }
            count += 1;
        }
        (first, count)
    }

    fn matches(&self, alert: &Alert) -> bool {
        let is_of = |ids: &Vec<NodeId>| {
            alert.target.kind == TargetKind::Node && ids.iter().any(|id| id.text() == alert.target.id)
        };
        self.rule.as_ref().is_none_or(|rule| *rule == alert.rule)
            && self.severity.is_none_or(|severity| severity == alert.severity)
            && self.node.as_ref().is_none_or(is_of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_parameters_are_named() {
        for (query, said) in [
            ("state=over", "state: must be firing, pending or resolved"),
            ("severity=high", "severity: must be info, warning or critical"),
            ("limit=0", "limit: must be a number from 1 to 1000"),
            ("rules=x", "rules: no such parameter; there are state, rule, node, severity and limit"),
        ] {
            let refused = AlertsQuery::parse(query).unwrap_err();
            assert!(refused.to_string().contains(said), "{refused}");
        }
        let parsed =
            AlertsQuery::parse("state=firing&rule=offline&severity=critical&limit=7&node=web-01").unwrap();
        assert_eq!((parsed.state, parsed.limit), (Some(State::Firing), Some(7)));
    }
}
