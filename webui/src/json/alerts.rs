//! Alerts of the node whose details are open, from the program that asks for them.

use tidemap_parts::chart::AlertSpan;
use tidemap_parts::value::{Invalid, Value};

pub(super) fn alerts(value: &Value) -> Result<Vec<AlertSpan>, Invalid> {
    value.list(|alert| match alert.list(|number| number.or_null(Value::number))?[..] {
        [Some(since), fired, over, down, up] => Ok(AlertSpan {
            since_ms: since as i64,
            fired_ms: fired.map(|ms| ms as i64),
            over_ms: over.map(|ms| ms as i64),
            limits: [down, up],
        }),
        _ => Err(Invalid),
    })
}
