//! Prometheus' text format, and the families about partitions that all stations share.

use std::fmt::Write;

use tidemap_wire::PartitionStats;

/// The content type of an exposition.
pub const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Kind, name, help, and how a sample is read from each subject.
pub type FamilyOf<Subject, Value> = (Kind, &'static str, &'static str, fn(&Subject) -> Value);

/// The kind of a family.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// Only rises, until its process restarts.
    Counter,
    /// Rises and falls.
    Gauge,
}

/// An exposition that is being written.
#[derive(Debug, Default)]
pub struct Exposition(String);

/// A family that is being written. A family without samples is left out.
#[derive(Debug)]
pub struct Family<'a> {
    text: &'a mut String,
    name: String,
    /// The HELP and TYPE lines, written before the first sample.
    head: Option<String>,
}

impl Exposition {
    /// Begins a family. Names and help texts are constants, so they need no escaping.
    pub fn family(&mut self, kind: Kind, name: &str, help: &str) -> Family<'_> {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
        };
        let head = Some(format!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
        Family { text: &mut self.0, name: name.to_owned(), head }
    }

    /// Writes the families about the owners of partitions.
    pub fn owners<'a>(&mut self, owners: impl Iterator<Item = &'a PartitionStats> + Clone) {
        let families: [FamilyOf<PartitionStats, f64>; 6] = [
            (
                Kind::Gauge,
                "tidemap_partition_lag_messages",
                "Messages that the owner has not applied yet.",
                |owner| owner.lag as f64,
            ),
            (
                Kind::Gauge,
                "tidemap_partition_lag_seconds",
                "Age of the newest message that the owner has applied, while it has not applied all.",
                |owner| owner.lag_ms as f64 / 1_000.0,
            ),
            (Kind::Gauge, "tidemap_partition_epoch", "Epoch of the owner's lease.", |owner| {
                owner.epoch as f64
            }),
            (Kind::Counter, "tidemap_partition_samples_total", "Samples applied by the owner.", |owner| {
                owner.samples as f64
            }),
            (
                Kind::Counter,
                "tidemap_partition_duplicates_total",
                "Samples dropped as duplicates.",
                |owner| owner.duplicates as f64,
            ),
            (Kind::Counter, "tidemap_partition_late_total", "Samples too old for any window.", |owner| {
                owner.late as f64
            }),
        ];
        for (kind, name, help, value) in families {
            let mut family = self.family(kind, name, help);
            for owner in owners.clone() {
                let partition = owner.partition.to_string();
                family.sample(&[("partition", &partition), ("owner", &owner.owner)], value(owner));
            }
        }
        let help = "Messages refused by the owner, by reason.";
        let mut refused = self.family(Kind::Counter, "tidemap_partition_refused_total", help);
        for owner in owners {
            for (reason, count) in &owner.refused {
                let partition = owner.partition.to_string();
                refused.sample(&[("partition", &partition), ("reason", reason)], *count as f64);
            }
        }
    }

    /// The whole text.
    pub fn finish(self) -> String {
        self.0
    }
}

impl Family<'_> {
    /// Writes one sample.
    pub fn sample(&mut self, labels: &[(&str, &str)], value: f64) {
        self.text.push_str(&self.head.take().unwrap_or_default());
        self.text.push_str(&self.name);
        for (place, (label, value)) in labels.iter().enumerate() {
            self.text.push_str(if place == 0 { "{" } else { "," });
            self.text.push_str(label);
            self.text.push_str("=\"");
            escape(self.text, value);
            self.text.push('"');
        }
        if !labels.is_empty() {
            self.text.push('}');
        }
        if writeln!(self.text, " {value}").is_err() {
            unreachable!("writing to memory cannot fail");
        }
    }
}

fn escape(text: &mut String, value: &str) {
    for character in value.chars() {
        match character {
            '\\' => text.push_str("\\\\"),
            '"' => text.push_str("\\\""),
            '\n' => text.push_str("\\n"),
            other => text.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn label_values_are_escaped_and_empty_families_left_out() {
        let mut text = Exposition::default();
        text.family(Kind::Gauge, "empty", "Nothing.");
        let mut family = text.family(Kind::Counter, "a_total", "Some.");
        family.sample(&[("node", "a\"b\\c\nd"), ("x", "y")], 1.5);
        family.sample(&[], 2.0);
        assert_eq!(
            text.finish(),
            "# HELP a_total Some.\n# TYPE a_total counter\na_total{node=\"a\\\"b\\\\c\\nd\",x=\"y\"} 1.5\na_total 2\n"
        );
    }
}
