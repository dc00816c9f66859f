//! Host metrics as the API's JSON has them: all of them, null when unknown.

use std::{borrow::Cow, fmt};

use serde::{Deserializer, Serializer, de};

use super::{Host, METRICS, MetricType, MetricValue};

/// Second names of metrics, and the names that they repeat: homelab-map, which this system succeeds, has
/// them, and its pages and scripts go on working.
pub const SECOND_NAMES: [(&str, &str); 7] = [
    ("cpu_freq_mhz", "cpu_mhz"),
    ("cpu_temp_celsius", "temperature_c"),
    ("load_avg_1m", "load_1"),
    ("load_avg_5m", "load_5"),
    ("load_avg_15m", "load_15"),
    ("process_count", "processes"),
    ("uptime_seconds", "uptime_s"),
];

pub(crate) fn serialize<S: Serializer>(host: &Host, serializer: S) -> Result<S::Ok, S::Error> {
    let again = [
        host.cpu_mhz.map(MetricType::value),
        host.temperature_c.map(MetricType::value),
        host.load_1.map(MetricType::value),
        host.load_5.map(MetricType::value),
        host.load_15.map(MetricType::value),
        host.processes.map(MetricType::value),
        host.uptime_s.map(MetricType::value),
    ];
    let first = METRICS.map(|metric| metric.json_name).into_iter().zip(host.values());
    serializer.collect_map(first.chain(SECOND_NAMES.map(|(name, _)| name).into_iter().zip(again)))
}

/// Collects the metrics from among all fields of the JSON object.
pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Host, D::Error> {
    deserializer.deserialize_map(Fields)
}

struct Fields;

impl<'de> de::Visitor<'de> for Fields {
    type Value = Host;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("host metrics")
    }

    fn visit_map<A: de::MapAccess<'de>>(self, mut fields: A) -> Result<Host, A::Error> {
        let mut host = Host::default();
        while let Some(name) = fields.next_key::<Cow<'_, str>>()? {
            let Some(metric) = METRICS.iter().find(|metric| metric.json_name == name) else {
                fields.next_value::<de::IgnoredAny>()?;
                continue;
            };
            if let Some(value) = fields.next_value::<Option<MetricValue>>()?
                && !host.set(metric.id, value)
            {
                return Err(de::Error::custom(format_args!("{name} cannot be {}", value.as_f64())));
            }
        }
        Ok(host)
    }
}
