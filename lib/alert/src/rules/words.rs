//! Rules and what they found, in words.

use tidemap_traffic::Direction;

use super::{Aggregate, Comparison, Measure, NoData, Per, Repeat, Rule, Rules, Subject, Test};
use crate::{
    duration,
    quantity::{Quantity, Shown},
};

impl Rule {
    /// The rule in one line.
    pub(super) fn words(&self, rules: &Rules) -> String {
        let mut words = format!("{}: {}", self.name, self.condition());
        let of = match self.signal.measure.subject() {
            Subject::Nodes => self.whose(),
            Subject::Partitions => "of any partition".to_owned(),
            Subject::Broker => String::new(),
            Subject::Plans => {
                self.plan.as_ref().map_or("of any plan".to_owned(), |plan| format!("of plan {plan}"))
            }
        };
        let mut add = |text: String| {
            if !text.is_empty() {
                words = format!("{words} {text}");
            }
        };
        add(of);
        if self.for_ms > 0 {
            add(format!("for {}", duration::show(self.for_ms)));
        }
        let mut parts = vec![format!("{:?}", self.severity).to_lowercase()];
        if let Some(test) = self.test.filter(|test| test.clear != test.threshold) {
            parts.push(format!("over at {}", self.shown.show(test.clear)));
        }
        if self.keep_firing_ms > 0 {
            parts.push(format!("fires on for {}", duration::show(self.keep_firing_ms)));
        }
        match self.no_data {
            NoData::Ignore => {}
            NoData::Fire => parts.push("fires without data".to_owned()),
            NoData::Keep => parts.push("stays as it is without data".to_owned()),
        }
        match self.repeat {
            Repeat::Off => {}
            Repeat::Every(ms) => parts.push(format!("again every {}", duration::show(ms))),
            Repeat::Doubling(ms) => {
                parts.push(format!("again after {}, then at twice the distance", duration::show(ms)));
            }
        }
        let names: Vec<&str> =
            self.depends_on.iter().map(|other| rules.rules[*other].name.as_str()).collect();
        if !names.is_empty() {
            parts.push(format!("not while {} fires", names.join(" or ")));
        }
        format!("{words} ({})", parts.join(", "))
    }

    fn whose(&self) -> String {
        let those = self.filter.to_string();
        match (&self.per, those.is_empty()) {
            (Per::Node, true) => "of any node".to_owned(),
            (Per::Node, false) => format!("of any node of {those}"),
            (Per::Group(key), true) => format!("of the nodes of any {key} together"),
            (Per::Group(key), false) => format!("of the nodes of any {key} together, of {those}"),
            (Per::All, true) => "of the fleet".to_owned(),
            (Per::All, false) => format!("of the nodes of {those} together"),
        }
    }

    /// `download (mean of 10 s) above 900 Mbit/s`.
    fn condition(&self) -> String {
        let what = self.what();
        let window = match (self.signal.window_ms, self.signal.aggregate) {
            (0, _) => String::new(),
            (ms, _) if matches!(self.signal.measure, Measure::Counter(_)) => {
                format!(" within {}", duration::show(ms))
            }
            (ms, Aggregate::Mean) => format!(" (mean of {})", duration::show(ms)),
            (ms, Aggregate::Max) => format!(" (highest of {})", duration::show(ms)),
            (ms, Aggregate::Min) => format!(" (lowest of {})", duration::show(ms)),
        };
        let test = match (self.test, self.signal.measure) {
            (Some(_), Measure::Offline | Measure::Broker) if self.shown.quantity == Quantity::Truth => {
                String::new()
            }
            (Some(test), _) => format!(" {}", self.comparison(test)),
            (None, Measure::P95) => " above the agreed rate".to_owned(),
            (None, _) => " at the plan's thresholds".to_owned(),
        };
        if self.is_still() {
            return format!("no {what}{window}");
        }
        format!("{what}{window}{test}")
    }

    fn comparison(&self, test: Test) -> String {
        let threshold = self.shown.show(test.threshold);
        match test.comparison {
            Comparison::Above => format!("above {threshold}"),
            Comparison::AtLeast => format!("at least {threshold}"),
            Comparison::Below => format!("below {threshold}"),
            Comparison::AtMost => format!("at most {threshold}"),
        }
    }

    /// Whether it is about links that stand still.
    fn is_still(&self) -> bool {
        self.test == Some(Test::new(Comparison::AtMost, 0.0)) && self.signal.measure == Measure::Rate
    }

    /// What is measured: `download`.
    fn what(&self) -> String {
        let measure = self.signal.measure;
        let direction = match (measure.has_direction(), self.signal.direction) {
            (false, _) => return measure.label(),
            (true, Direction::In) => "download",
            (true, Direction::Out) => "upload",
            (true, Direction::Both) => "download and upload",
            (true, Direction::Larger) => "traffic",
            (true, Direction::Smaller) => "smaller direction",
        };
        if measure == Measure::Utilisation {
            format!("{direction} of the link")
        } else {
            direction.to_owned()
        }
    }

    /// What an alert says, without its target: `download 941 Mbit/s for 5 min (limit 900 Mbit/s)`.
    pub(crate) fn summary(
        &self,
        value: Option<f64>,
        threshold: Option<f64>,
        for_ms: i64,
        shown: &Shown,
    ) -> String {
        let measure = self.signal.measure;
        let is_truth = self.shown.quantity == Quantity::Truth;
        let for_text =
            if for_ms >= 1_000 { format!(" for {}", duration::show(for_ms)) } else { String::new() };
        if is_truth {
            return format!("{}{for_text}", measure.label());
        }
        if self.is_still() {
            return format!("no {}{for_text}", self.what());
        }
        let value = value.map_or_else(|| "not known".to_owned(), |value| shown.show(value));
        let limit =
            threshold.map_or_else(String::new, |threshold| format!(" (limit {})", shown.show(threshold)));
        let (before, after) = match measure {
            Measure::Offline | Measure::OfflineShare => (String::new(), " of the nodes offline"),
            _ => (format!("{} ", self.what()), ""),
        };
        format!("{before}{value}{after}{for_text}{limit}")
    }
}
