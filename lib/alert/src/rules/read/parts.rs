//! The values of single keys.

use tidemap_traffic::document::{Checked, field, problem};
use tidemap_wire::{NodeId, Severity};
use toml::{Spanned, Value};

use super::super::{GroupKey, NoData, NoticeGroup, Per, Repeat};
use crate::{
    duration,
    quantity::{Quantity, Shown},
};

/// The most nodes that one rule names; a label has any number of them.
const MAX_NODES: usize = 100;
const MAX_NAME_BYTES: usize = 64;
const DAY_MS: i64 = 86_400_000;

/// The nodes of a list.
pub(in crate::rules) fn named_nodes(names: &Spanned<Vec<String>>) -> Checked<Vec<(NodeId, String)>> {
    let wrong = |error: String| problem(names, format!("nodes: {error}"));
    let ids = names.get_ref().iter().map(|name| {
        NodeId::from_name(name)
            .map(|id| (id, name.clone()))
            .map_err(|error| wrong(format!("{name}: {error}")))
    });
    let mut nodes = ids.collect::<Checked<Vec<_>>>()?;
    nodes.sort_unstable();
    nodes.dedup_by(|one, other| one.0 == other.0);
    if nodes.is_empty() || nodes.len() > MAX_NODES || nodes.len() < names.get_ref().len() {
        return Err(wrong(format!("must be 1 to {MAX_NODES} different names; a label may have more nodes")));
    }
    Ok(nodes)
}

/// `NAME=VALUE`.
pub(in crate::rules) fn label(text: &str) -> Result<(String, String), &'static str> {
    let parts = text.split_once('=').filter(|(name, _)| !name.is_empty());
    let parts = parts.map(|(name, value)| (name.to_owned(), value.to_owned()));
    parts.ok_or("must be NAME=VALUE, such as site=fra")
}

/// A name of a rule.
pub(in crate::rules) fn name(name: &str) -> Result<String, String> {
    // It is a token of a subject, so something of it must be visible.
    let is_name =
        name.len() <= MAX_NAME_BYTES && !name.contains(char::is_control) && NodeId::from_name(name).is_ok();
    let wrong =
        || format!("must have letters or digits, at most {MAX_NAME_BYTES} bytes, and no control characters");
    if is_name { Ok(name.to_owned()) } else { Err(wrong()) }
}

pub(in crate::rules) fn severity(text: &str) -> Result<Severity, &'static str> {
    match text {
        "info" => Ok(Severity::Info),
        "warning" => Ok(Severity::Warning),
        "critical" => Ok(Severity::Critical),
        _ => Err("must be info, warning or critical"),
    }
}

/// A time within bounds; none unless given.
pub(super) fn time(name: &str, text: Option<&Spanned<String>>, least_ms: i64, most_ms: i64) -> Checked<i64> {
    let Some(text) = text else { return Ok(0) };
    let bounds = format!("from {} to {}", duration::show(least_ms), duration::show(most_ms));
    field(name, text, |text| match duration::read(text) {
        Some(ms) if (least_ms..=most_ms).contains(&ms) => Ok(ms),
        _ => Err(format!("must be a time such as 90s, 5m or 1h 30m, {bounds}")),
    })
}

pub(super) fn per(text: &str) -> Result<Per, &'static str> {
    match text {
        "node" => Ok(Per::Node),
        "fleet" | "all" => Ok(Per::All),
        _ => {
            GroupKey::named(text).map(Per::Group).ok_or("must be node, location, provider, label:NAME or all")
        }
    }
}

pub(super) fn no_data(text: &str) -> Result<NoData, &'static str> {
    match text {
        "ignore" => Ok(NoData::Ignore),
        "fire" => Ok(NoData::Fire),
        "keep" => Ok(NoData::Keep),
        _ => Err("must be ignore, fire or keep"),
    }
}

pub(super) fn repeat(text: &str) -> Result<Repeat, &'static str> {
    let wrong = "must be off, a time from 1m to 7d such as 4h, or one that doubles such as 30m doubling";
    if text == "off" {
        return Ok(Repeat::Off);
    }
    let (time, is_doubling) = text.strip_suffix("doubling").map_or((text, false), |time| (time, true));
    let ms = duration::read(time).filter(|ms| (60_000..=7 * DAY_MS).contains(ms)).ok_or(wrong)?;
    Ok(if is_doubling { Repeat::Doubling(ms) } else { Repeat::Every(ms) })
}

pub(super) fn grouping(text: &str) -> Result<NoticeGroup, &'static str> {
    match text {
        "rule" => Ok(NoticeGroup::Rule),
        "none" => Ok(NoticeGroup::Alone),
        _ => GroupKey::named(text)
            .map(NoticeGroup::By)
            .ok_or("must be location, provider, label:NAME, rule or none"),
    }
}

/// A number as it is written, with quotes or without.
pub(super) fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Integer(number) => number.to_string(),
        Value::Float(number) => number.to_string(),
        _ => String::new(),
    }
}

pub(super) fn number(name: &str, value: &Spanned<Value>, quantity: Quantity) -> Checked<(f64, Shown)> {
    quantity.read(&text_of(value.get_ref())).map_err(|error| problem(value, format!("{name}: {error}")))
}
