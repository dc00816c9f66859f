//! The text formats of Prometheus and of OpenMetrics, and the families that all stations share.

mod history;
mod process;

use std::fmt::Write;

use tidemap_wire::PartitionStats;

/// Kind, name, help, and how a sample is read from each subject.
pub type FamilyOf<Subject, Value> = (Kind, &'static str, &'static str, fn(&Subject) -> Value);

/// How an exposition is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ExpositionFormat {
    /// Prometheus' text format 0.0.4, which every scraper reads.
    #[default]
    Text,
    /// OpenMetrics 1.0, for scrapers that name it.
    OpenMetrics,
}

/// The kind of a family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only rises, until its process restarts. Its name ends with `_total`.
    Counter,
    /// Rises and falls.
    Gauge,
    /// Always 1; its labels are what there is to know. Its name ends with `_info`.
    Info,
}

/// An exposition that is being written.
#[derive(Debug, Default)]
pub struct Exposition {
    text: String,
    format: ExpositionFormat,
}

/// A family that is being written. A family without samples is left out.
#[derive(Debug)]
pub struct Family<'a> {
    text: &'a mut String,
    name: String,
    /// The HELP, TYPE and UNIT lines, written before the first sample.
    head: Option<String>,
}

/// The units that end a family's name, the longer ones first.
const UNITS: [&str; 6] = ["bytes_per_second", "seconds", "bytes", "ratio", "celsius", "hertz"];

impl ExpositionFormat {
    /// The format that a request's `Accept` header prefers. One that does not name OpenMetrics gets the text
    /// format.
    pub fn preferred(accept: &str) -> Self {
        let quality = |name: &str| {
            let listed = accept.split(',').filter_map(|item| {
                let mut parts = item.split(';').map(str::trim);
                let is_named = parts.next().is_some_and(|listed| listed.eq_ignore_ascii_case(name));
                let parameter = |name: &str, part: &str| {
                    let (key, value) = part.split_once('=')?;
                    key.trim().eq_ignore_ascii_case(name).then(|| value.trim().trim_matches('"').to_owned())
                };
                let parts: Vec<&str> = parts.collect();
                let version = parts.iter().find_map(|part| parameter("version", part));
                // The next version may be written otherwise.
                let is_known = version.is_none_or(|version| version.starts_with("0.") || version == "1.0.0");
                let quality = parts.iter().find_map(|part| parameter("q", part));
                let quality = quality.map_or(1.0, |quality| quality.parse().unwrap_or(0.0));
                (is_named && is_known).then_some(quality)
            });
            listed.reduce(f32::max)
        };
        let openmetrics = quality("application/openmetrics-text").unwrap_or(0.0);
        let text = quality("text/plain").unwrap_or(0.0);
        if openmetrics > 0.0 && openmetrics >= text { Self::OpenMetrics } else { Self::Text }
    }

    /// The content type of an exposition.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

impl Exposition {
    /// An empty exposition.
    pub fn new(format: ExpositionFormat) -> Self {
        Self { text: String::new(), format }
    }

    /// Makes room for about this many bytes more.
    pub fn reserve(&mut self, bytes: usize) {
        self.text.reserve(bytes);
    }

    /// Begins a family. Names and help texts are constants, so they need no escaping.
    pub fn family(&mut self, kind: Kind, name: &str, help: &str) -> Family<'_> {
        let head = match self.format {
            ExpositionFormat::Text => {
                let kind = if kind == Kind::Counter { "counter" } else { "gauge" };
                format!("# HELP {name} {help}\n# TYPE {name} {kind}\n")
            }
            ExpositionFormat::OpenMetrics => openmetrics_head(kind, name, help),
        };
        Family { text: &mut self.text, name: name.to_owned(), head: Some(head) }
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
    pub fn finish(mut self) -> String {
        if self.format == ExpositionFormat::OpenMetrics {
            self.text.push_str("# EOF\n");
        }
        self.text
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

/// In OpenMetrics a family's name lacks the suffix that its samples have.
fn openmetrics_head(kind: Kind, name: &str, help: &str) -> String {
    let (family, kind) = match kind {
        Kind::Counter => (name.strip_suffix("_total").unwrap_or(name), "counter"),
        Kind::Info => (name.strip_suffix("_info").unwrap_or(name), "info"),
        Kind::Gauge => (name, "gauge"),
    };
    let mut head = format!("# HELP {family} {help}\n# TYPE {family} {kind}\n");
    let is_suffix = |unit: &&str| family.strip_suffix(unit).is_some_and(|stem| stem.ends_with('_'));
    if let Some(unit) = UNITS.iter().find(|unit| is_suffix(unit)) {
        head.push_str(&format!("# UNIT {family} {unit}\n"));
    }
    head
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

    #[test]
    fn openmetrics_names_families_without_suffixes_and_says_where_the_text_ends() {
        let mut text = Exposition::new(ExpositionFormat::OpenMetrics);
        text.family(Kind::Counter, "a_bytes_total", "Some.").sample(&[("node", "a\"b\\c\nd")], 1e21);
        text.family(Kind::Info, "b_info", "What it is.").sample(&[("version", "1")], 1.0);
        text.family(Kind::Gauge, "c_bytes_per_second", "A rate.").sample(&[], 0.5);
        text.family(Kind::Gauge, "megabytes", "No unit.").sample(&[], 2.0);
        assert_eq!(
            text.finish(),
            "# HELP a_bytes Some.\n# TYPE a_bytes counter\n# UNIT a_bytes bytes\n\
             a_bytes_total{node=\"a\\\"b\\\\c\\nd\"} 1000000000000000000000\n\
             # HELP b What it is.\n# TYPE b info\nb_info{version=\"1\"} 1\n\
             # HELP c_bytes_per_second A rate.\n# TYPE c_bytes_per_second gauge\n\
             # UNIT c_bytes_per_second bytes_per_second\nc_bytes_per_second 0.5\n\
             # HELP megabytes No unit.\n# TYPE megabytes gauge\nmegabytes 2\n# EOF\n"
        );
    }

    #[test]
    fn openmetrics_is_for_those_who_name_a_version_that_is_known() {
        let check = |accept: &str, expected: ExpositionFormat| {
            assert_eq!(ExpositionFormat::preferred(accept), expected, "{accept}");
        };
        // What Prometheus 2.42 and 3.5 send.
        let old = "application/openmetrics-text;version=1.0.0,\
                   application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        check(old, ExpositionFormat::OpenMetrics);
        let new = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,\
                   application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;q=0.3,*/*;q=0.2";
        check(new, ExpositionFormat::OpenMetrics);
        check("Application/OpenMetrics-Text; Version=\"1.0.0\"", ExpositionFormat::OpenMetrics);
        check("text/plain, application/openmetrics-text;q=0.5", ExpositionFormat::Text);
        check("application/openmetrics-text;version=2.0.0, text/plain;q=0.1", ExpositionFormat::Text);
        check("application/openmetrics-text;q=0", ExpositionFormat::Text);
        for accept in ["", "*/*", "text/html,*/*;q=0.8", "application/*", "application/openmetrics-text;q=x"]
        {
            check(accept, ExpositionFormat::Text);
        }
    }
}
