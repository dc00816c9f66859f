//! The OpenAPI description, compared with the answers.

use std::collections::BTreeSet;

use tidemap_wire::{
    Silence,
    history_query::{HOST_COLUMNS, HostSteps, RangeAnswer},
    http::{
        HistoryJson, HistoryStatusJson, P95Json, PlanJson, PlansJson, QuotaJson, SilenceJson, SilencesJson,
        TRAFFIC_COLUMNS, TierJson, TopJson, TopNodeJson, TrafficJson, TrafficPeriodJson,
    },
};

use super::*;

async fn description() -> Value {
    json(&get("/api/openapi.json").await)
}

fn keys(value: &Value) -> BTreeSet<&str> {
    value.as_object().unwrap_or_else(|| panic!("not an object: {value}")).keys().map(String::as_str).collect()
}

/// Checks that `value` has exactly the properties of the schema, with values of their types.
fn check(description: &Value, schema: &Value, value: &Value, place: &str) {
    if let Some(reference) = schema["$ref"].as_str() {
        let name = reference.strip_prefix("#/components/schemas/").unwrap();
        return check(description, &description["components"]["schemas"][name], value, place);
    }
    if let Some(choices) = schema["oneOf"].as_array() {
        let choice = usize::from(value.is_null());
        return check(description, &choices[choice], value, place);
    }
    let types: Vec<&str> = match &schema["type"] {
        Value::Array(types) => types.iter().map(|name| name.as_str().unwrap()).collect(),
        name => vec![name.as_str().unwrap_or_else(|| panic!("{place} has no type"))],
    };
    let whole_number = value.is_u64() && types.contains(&"number");
    assert!(whole_number || types.contains(&type_of(value)), "{place}: {value} is none of {types:?}");
    match value {
        Value::Object(members) if !schema["properties"].is_null() => {
            let (required, described) = (required(schema), keys(&schema["properties"]));
            assert!(required.is_subset(&keys(value)), "{place}: {value} lacks some of {required:?}");
            assert!(keys(value).is_subset(&described), "{place}: {value} has more than {described:?}");
            for (name, member) in members {
                check(description, &schema["properties"][name], member, &format!("{place}.{name}"));
            }
        }
        Value::Array(items) => {
            for item in items {
                check(description, &schema["items"], item, place);
            }
        }
        _ => {}
    }
}

fn required(schema: &Value) -> BTreeSet<&str> {
    schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn answer_schema<'a>(description: &'a Value, path: &str) -> &'a Value {
    &description["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
}

#[tokio::test]
async fn answers_have_the_described_properties() {
    let description = description().await;
    for path in
        ["/api/nodes", "/api/stats", "/api/stats?by=provider", "/api/stats/recent", "/healthz", "/readyz"]
    {
        let answer: Value = json(&get(path).await);
        let described = path.split('?').next().unwrap();
        check(&description, answer_schema(&description, described), &answer, path);
    }
    let error: Value = json(&get("/nope").await);
    check(&description, &description["components"]["schemas"]["Error"], &error, "error");
}

#[tokio::test]
async fn a_node_alone_has_the_described_properties() {
    let description = description().await;
    let mut detail: Value = json(&get("/api/nodes/web-01.example").await);
    let series = serde_json::json!({"step_ms": 1000, "end_ms": 1, "rx_bps": [1.5, null], "tx_bps": [null]});
    detail["last_60s"] = series;
    let parts = description["components"]["schemas"]["NodeDetail"]["allOf"].as_array().unwrap();
    let own = &parts[1];
    let (extra, node): (Vec<_>, Vec<_>) = detail
        .as_object()
        .unwrap()
        .clone()
        .into_iter()
        .partition(|(name, _)| !own["properties"][name].is_null());
    check(&description, &parts[0], &Value::Object(node.into_iter().collect()), "node");
    check(&description, own, &Value::Object(extra.into_iter().collect()), "detail");
}

#[tokio::test]
async fn the_history_has_the_described_properties() {
    let description = description().await;
    let host = HostSteps { cpu: vec![Some(1), None], ..HostSteps::unknown(2) };
    let answer = RangeAnswer {
        rx_bytes: vec![None, Some(1)],
        covered_ms: vec![0, 0],
        host: Some(Box::new(host)),
        ..RangeAnswer::default()
    };
    let steps = HistoryJson::from(answer);
    let node = TopNodeJson { display_name: None, ..TopNodeJson::default() };
    let status = HistoryStatusJson { tiers: vec![TierJson::default()], ..HistoryStatusJson::default() };
    for (path, value) in [
        ("/api/history", serde_json::to_value(&steps).unwrap()),
        ("/api/nodes/{name}/history", serde_json::to_value(&steps).unwrap()),
        ("/api/top", serde_json::to_value(TopJson { nodes: vec![node], ..TopJson::default() }).unwrap()),
        ("/api/history/status", serde_json::to_value(&status).unwrap()),
    ] {
        check(&description, answer_schema(&description, path), &value, path);
    }
}

#[tokio::test]
async fn traffic_has_the_described_properties() {
    let description = description().await;
    let known = TrafficPeriodJson {
        quota: Some(QuotaJson::default()),
        p95: Some(P95Json { direction: "larger".to_owned(), ..P95Json::default() }),
        ..TrafficPeriodJson::default()
    };
    let periods = vec![TrafficPeriodJson::default(), known];
    let traffic = TrafficJson { direction: "both".to_owned(), periods, ..TrafficJson::default() };
    let plan = PlanJson { name: "p".to_owned(), present: Some(traffic.clone()) };
    let plans = PlansJson { plans: vec![PlanJson::default(), plan], warning: None };
    for (path, value) in [
        ("/api/traffic", serde_json::to_value(&traffic).unwrap()),
        ("/api/traffic/plans", serde_json::to_value(&plans).unwrap()),
    ] {
        check(&description, answer_schema(&description, path), &value, path);
    }
}

#[tokio::test]
async fn silences_have_the_described_properties() {
    let description = description().await;
    let silence = Silence { all: true, label: Some("site=fra".to_owned()), ..Silence::default() };
    let silences = vec![SilenceJson { silence, ..SilenceJson::default() }, SilenceJson::default()];
    let value = serde_json::to_value(SilencesJson { at_ms: 1, silences }).unwrap();
    check(&description, answer_schema(&description, "/api/alerts/silences"), &value, "silences");
}

#[tokio::test]
async fn every_property_is_required_but_what_only_some_have() {
    let description = description().await;
    for (name, schema) in description["components"]["schemas"].as_object().unwrap() {
        let schema = schema["allOf"].get(1).unwrap_or(schema);
        let mut expected = if name == "Averages" { BTreeSet::new() } else { keys(&schema["properties"]) };
        if name == "Stats" {
            assert!(expected.remove("groups"));
        }
        if name == "History" {
            let columns = TRAFFIC_COLUMNS.iter().chain(&HOST_COLUMNS);
            columns.for_each(|column| assert!(expected.remove(column), "{column}"));
        }
        if name == "Silence" {
            let matchers = ["rule", "node", "location", "provider", "label", "alert", "all"];
            matchers.iter().for_each(|of| assert!(expected.remove(*of), "{of}"));
        }
        if name == "Alert" {
            let unknown_yet = [
                "value",
                "peak",
                "threshold",
                "unit",
                "fired_ms",
                "resolved_ms",
                "silenced_until_ms",
                "resets_ms",
            ];
            unknown_yet.iter().for_each(|of| assert!(expected.remove(*of), "{of}"));
        }
        assert_eq!(required(schema), expected, "{name}");
    }
}

#[tokio::test]
async fn every_described_path_and_sort_field_exists() {
    let description = description().await;
    for path in keys(&description["paths"]) {
        let reads = !description["paths"][path]["get"].is_null();
        if path != "/api/stream" && reads {
            let answer = get(&path.replace("{name}", "db")).await;
            // Nothing is asked of the stations that keep the history, because there is no broker.
            let asks = path.contains("history") || path == "/api/top" || path == "/api/traffic";
            // No alert station has ever run.
            let is_absent = path.starts_with("/api/alerts");
            assert_eq!(
                answer.status(),
                if asks {
                    503
                } else if is_absent {
                    404
                } else {
                    200
                },
                "{path}"
            );
            assert!(!asks || detail(&answer) == "the broker is not connected", "{path}");
        }
    }
    let parameters = description["paths"]["/api/nodes"]["get"]["parameters"].as_array().unwrap();
    let sort = parameters.iter().find(|parameter| parameter["name"] == "sort").unwrap();
    for value in sort["schema"]["enum"].as_array().unwrap() {
        let value = value.as_str().unwrap();
        assert_eq!(get(&format!("/api/nodes?sort={value}")).await.status(), 200, "{value}");
    }
}

#[tokio::test]
async fn the_description_says_where_the_api_is_relative_to_itself() {
    let description = description().await;
    let servers: Vec<&str> = description["servers"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|server| server["url"].as_str())
        .collect();
    let [server] = servers[..] else { panic!("{servers:?}") };
    for at in ["http://a:8080/api/openapi.json", "https://b/tidemap/api/openapi.json"] {
        let found = url::Url::parse(at).unwrap().join(server).unwrap();
        let prefix = at.strip_suffix("api/openapi.json").unwrap();
        assert_eq!(found.as_str(), prefix);
    }
}
