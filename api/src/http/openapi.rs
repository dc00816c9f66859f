//! The OpenAPI description.

use std::sync::LazyLock;

use bytes::Bytes;
use serde_json::{Value, json};
use tidemap_wire::{METRICS, Metric, MetricUnit, SECOND_NAMES};
use warp::{
    http::{HeaderValue, header},
    reply::Response,
};

use crate::http::{Asked, bodies::JSON, query};

/// Written by hand, except for the fields of host metrics and the sort fields. Tests compare it with the
/// answers.
pub(super) static DESCRIPTION: LazyLock<String> = LazyLock::new(|| {
    let second_names = SECOND_NAMES.iter().map(|(name, _)| *name);
    let names = METRICS.iter().map(|metric| metric.json_name).chain(second_names);
    let names: Vec<String> = names.map(|name| Value::from(name).to_string()).collect();
    let second_name =
        |name: &str| SECOND_NAMES.iter().find(|(_, first)| *first == name).map(|(second, _)| *second);
    let properties = METRICS.iter().flat_map(|metric| {
        let names = [Some(metric.json_name), second_name(metric.json_name)];
        names.into_iter().flatten().map(|name| format!("{}: {}", Value::from(name), property(metric)))
    });
    let properties: Vec<String> = properties.collect();
    let sort = query::sort_fields().flat_map(|name| [format!("\"{name}\""), format!("\"-{name}\"")]);
    include_str!("openapi.json")
        .replace("\"{sort}\"", &sort.collect::<Vec<_>>().join(", "))
        .replace("\"{host}\": {}", &properties.join(",\n          "))
        .replace("\"{host}\"", &names.join(", "))
});

fn property(metric: &Metric) -> Value {
    let unit = match metric.unit {
        MetricUnit::Percent => ", 0 to 100",
        MetricUnit::Megahertz => " in megahertz",
        MetricUnit::Milliseconds => ", in milliseconds",
        _ => "",
    };
    let kind = if metric.is_whole { "integer" } else { "number" };
    let description = [metric.help, unit, "."].concat();
    let mut property = json!({ "type": [kind, "null"], "description": description });
    if metric.is_whole || metric.unit == MetricUnit::BytesPerSecond {
        property["minimum"] = 0.into();
    }
    property
}

/// `GET /api/openapi.json`
pub(super) fn read(_: &Asked) -> Response {
    let mut response = Response::new(Bytes::from_static(DESCRIPTION.as_bytes()).into());
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(JSON));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}
