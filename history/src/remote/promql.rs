//! Questions in PromQL, and their answers. Pure.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;

use super::metrics::{self, METRICS};
use crate::point::Point;

/// What of each step of a node is asked for, in one expression. A step's minutes stand at their ends, so the
/// range ends with the step and begins half a minute after the step does: whether a range includes its
/// begin differs from one receiver to the next.
pub(super) fn expression(node: &str, step_minutes: u32) -> String {
    let seconds = u64::from(step_minutes) * 60 - 30;
    let node = quoted(node);
    let one = |metric: &metrics::Metric| {
        let metrics::Metric { column, name, over, .. } = metric;
        format!(
            "label_replace({over}({name}{{node=\"{node}\"}}[{seconds}s]), \"column\", \"{column}\", \"\", \"\")"
        )
    };
    METRICS.iter().map(one).collect::<Vec<_>>().join(" or ")
}

fn quoted(text: &str) -> String {
    let mut quoted = String::new();
    for letter in text.chars() {
        match letter {
            '\\' | '"' => quoted.extend(['\\', letter]),
            '\n' => quoted.push_str("\\n"),
            letter => quoted.push(letter),
        }
    }
    quoted
}

/// What steps came to, by the minutes that they end with; or what the receiver says is wrong.
pub(super) fn points(body: &str) -> Result<BTreeMap<u32, Point>, String> {
    let unreadable = || "its answer cannot be read".to_owned();
    let answer: Value = serde_json::from_str(body).map_err(|_| unreadable())?;
    if answer["status"] != "success" {
        let said = answer["error"].as_str().unwrap_or_default();
        return Err(said.chars().filter(|letter| !letter.is_control()).take(200).collect());
    }
    let mut columns: BTreeMap<u32, BTreeMap<&str, u64>> = BTreeMap::new();
    for series in answer["data"]["result"].as_array().ok_or_else(unreadable)? {
        let column = series["metric"]["column"].as_str().ok_or_else(unreadable)?;
        for value in series["values"].as_array().ok_or_else(unreadable)? {
            let end = value[0].as_f64().and_then(minute).ok_or_else(unreadable)?;
            let number = value[1].as_str().and_then(number).ok_or_else(unreadable)?;
            columns.entry(end).or_default().insert(column, number);
        }
    }
    Ok(columns.into_iter().map(|(end, of)| (end, metrics::point(|column| of.get(column).copied()))).collect())
}

fn minute(seconds: f64) -> Option<u32> {
    let is_one = (0.0..f64::from(u32::MAX) * 60.0).contains(&seconds) && seconds % 60.0 == 0.0;
    is_one.then(|| (seconds / 60.0) as u32)
}

/// Whole numbers up to 2^53 are exact, and larger ones are as near as the receiver has them.
fn number(text: &str) -> Option<u64> {
    let number: f64 = text.parse().ok()?;
    (number.is_finite() && number >= 0.0).then(|| number.round() as u64)
}

/// A minute as people read it.
pub(super) fn time(minute: u32) -> String {
    Timestamp::from_second(i64::from(minute) * 60).map(|time| time.to_string()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_leave_its_quotes() {
        let expression = expression("a\"} or \\\n{x=\"", 15);
        assert!(expression.contains(r#"{node="a\"} or \\\n{x=\""}[870s]"#), "{expression}");
        assert_eq!(expression.matches("label_replace(").count(), METRICS.len());
        assert!(expression.contains("min_over_time(tidemap_minute_rx_min_bps{"), "{expression}");
    }

    #[test]
    fn answers_become_points_or_say_what_is_wrong() {
        let body = r#"{"status":"success","data":{"resultType":"matrix","result":[
            {"metric":{"node":"a","column":"covered_ms"},"values":[[120,"60000"],[180.0,"6e4"]]},
            {"metric":{"column":"rx_bytes"},"values":[[180,"9007199254740992"]]}]}}"#;
        let covered = Point { covered_ms: 60_000, ..Point::default() };
        let expected = [(2, covered), (3, Point { rx_bytes: 1 << 53, ..covered })];
        assert_eq!(points(body).unwrap(), expected.into());
        assert_eq!(points(r#"{"status":"error","error":"too many"}"#).unwrap_err(), "too many");
        for bad in ["", "<html>", "{}", r#"{"status":"success"}"#] {
            points(bad).unwrap_err();
        }
        for value in [r#"[61,"1"]"#, r#"[120,"NaN"]"#, r#"[120,"-1"]"#, r#"[120,1]"#, "[]"] {
            let body = format!(
                r#"{{"status":"success","data":{{"result":[{{"metric":{{"column":"x"}},"values":[{value}]}}]}}}}"#
            );
            assert_eq!(points(&body).unwrap_err(), "its answer cannot be read", "{value}");
        }
    }

    #[test]
    fn minutes_are_times_of_the_calendar() {
        assert_eq!(time(28_000_000), "2023-03-28T10:40:00Z");
    }
}
