//! Host metrics as the API's JSON has them: all of them, null when unknown.

use std::{borrow::Cow, fmt};

use serde::{Deserializer, Serializer, de};

use super::{Host, METRICS, MetricValue};

pub(crate) fn serialize<S: Serializer>(host: &Host, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(METRICS.map(|metric| metric.json_name).into_iter().zip(host.values()))
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
