//! Prometheus' text format.

use std::fmt::Write;

/// What a series is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    Counter,
    Gauge,
}

/// A text that grows by families of samples.
#[derive(Debug, Default)]
pub(super) struct Exposition(String);

/// A family that is being written; one without samples is left out.
#[derive(Debug)]
pub(super) struct Family<'a> {
    text: &'a mut String,
    name: String,
    /// Written before the first sample.
    head: Option<String>,
}

impl Exposition {
    /// Begins a family. Names and helps are ours, so they need no escapes.
    pub(super) fn family(&mut self, kind: Kind, name: &str, help: &str) -> Family<'_> {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
        };
        let head = Some(format!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
        Family { text: &mut self.0, name: name.to_owned(), head }
    }

    pub(super) fn finish(self) -> String {
        self.0
    }
}

impl Family<'_> {
    pub(super) fn sample(&mut self, labels: &[(&str, &str)], value: f64) {
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
