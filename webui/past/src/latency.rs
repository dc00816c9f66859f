//! Round trips of the node whose details are open, minute by minute, as far as they were heard.
//!
//! The history has no minutes of them, so this is what the page has heard since the node was first opened.

use tidemap_format as format;
use tidemap_parts::chart::{PlotArea, nice_ceiling, svg};
use tidemap_parts::value::{Invalid, Text, Value};

/// How many minutes are kept and drawn.
pub const MINUTES: i64 = 60;
/// The height of a strip.
pub const HEIGHT: i64 = 48;

/// What the round trips to one target came to in a minute. What was lost has no time.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Trip {
    /// The median, milliseconds.
    pub median_ms: Option<f64>,
    /// The shortest; of the broker the median.
    pub least_ms: Option<f64>,
    /// The longest; of the broker what 99 % stay below.
    pub most_ms: Option<f64>,
    /// What was lost, percent; absent when nothing was sent.
    pub loss_percent: Option<f64>,
}

/// Where to, and each minute that was heard, oldest first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Strip {
    /// The target.
    pub target: String,
    minutes: Vec<(i64, Trip)>,
}

/// A node's strips.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Strips {
    /// One for each target; the broker comes first.
    pub of: Vec<Strip>,
    /// The newest minute that was heard.
    newest: i64,
}

impl Strips {
    /// Takes the API's answer about the node. A node that is silent says nothing of now.
    ///
    /// # Errors
    ///
    /// When it is not such an answer.
    pub fn hear(&mut self, text: &Text) -> Result<(), Invalid> {
        let answer = Value::parse(text)?;
        let minute = (answer.get("last_seen_timestamp").number()? / 60.0) as i64;
        if answer.get("status").text()? != "online" || minute < self.newest {
            return Ok(());
        }
        self.newest = minute;
        let heard = trips(&answer)?;
        // Whatever is no longer probed goes when its last minute does.
        for (target, trip) in heard {
            let at = self.of.iter().position(|strip| strip.target == target).unwrap_or_else(|| {
                self.of.push(Strip { target, minutes: Vec::new() });
                self.of.len() - 1
            });
            let minutes = &mut self.of[at].minutes;
            // The newest of a minute replaces what came before.
            minutes.retain(|(of, _)| *of != minute);
            minutes.push((minute, trip));
        }
        for strip in &mut self.of {
            strip.minutes.retain(|(of, _)| *of > minute - MINUTES);
        }
        self.of.retain(|strip| !strip.minutes.is_empty());
        Ok(())
    }

    /// For how long something was heard, in words; empty when nothing was.
    pub fn span(&self) -> String {
        let first = self.of.iter().filter_map(|strip| Some(strip.minutes.first()?.0)).min();
        match first.map(|first| self.newest - first + 1) {
            None => String::new(),
            Some(1) => "this minute".to_owned(),
            Some(minutes) => ["last ", &minutes.to_string(), " min"].concat(),
        }
    }

    /// The inside of a strip's SVG element of this width: the newest minute is at the right.
    pub fn drawing(&self, strip: &Strip, width: i64) -> String {
        let area = PlotArea { bottom: HEIGHT - 6, ..PlotArea::of_width(width) };
        let PlotArea { left, right, top, bottom } = area;
        let trips = strip.minutes.iter().map(|(_, trip)| trip);
        let end = nice_ceiling(trips.filter_map(|trip| trip.most_ms).fold(0.0, f64::max));
        let x = |minute: i64| left + (right - left) * (minute + MINUTES - 1 - self.newest) / MINUTES;
        let y = |ms: f64| bottom - ((bottom - top) as f64 * ms / end).round() as i64;
        let mut drawn = String::new();
        for (at, value) in [(top, end), (bottom, 0.0)] {
            let line = ["M", &left.to_string(), " ", &at.to_string(), "H", &right.to_string()].concat();
            svg::path(&mut drawn, "chart-grid", &line);
            let label = if value > 0.0 { format::milliseconds(value) } else { "0".to_owned() };
            svg::text(&mut drawn, "chart-label chart-label-end", left - 6, at + 4, &label);
        }
        let mut median = String::new();
        for (minute, trip) in &strip.minutes {
            let (from, to) = (x(*minute), x(minute + 1));
            let mut cover = |class: &str, upper: i64, lower: i64| {
                let place =
                    [("x", from), ("y", upper), ("width", to - from), ("height", (lower - upper).max(1))];
                svg::element(&mut drawn, &["rect class=\"", class, "\""].concat(), &place, "rect", "");
            };
            if let Some((least, most)) = trip.least_ms.zip(trip.most_ms) {
                cover("trip-band", y(most), y(least));
            }
            // From above, as high as the share that was lost: at 100 % the whole minute.
            if let Some(loss) = trip.loss_percent.filter(|loss| *loss > 0.0) {
                let height = ((bottom - top) as f64 * loss.min(100.0) / 100.0).ceil() as i64;
                cover("trip-loss", top, top + height.max(3));
            }
            if let Some(ms) = trip.median_ms {
                let part = ["M", &from.to_string(), " ", &y(ms).to_string(), "H", &to.to_string()].concat();
                median.push_str(&part);
            }
        }
        svg::path(&mut drawn, "trip-line", &median);
        drawn
    }
}

impl Strip {
    /// The median of what is typical, the longest, and the share that was lost:
    /// `9.50 ms, at most 31 ms, 3 % lost`. A time that is not known is none.
    pub fn words(&self) -> String {
        let trips = || self.minutes.iter().map(|(_, trip)| trip);
        let mut medians: Vec<f64> = trips().filter_map(|trip| trip.median_ms).collect();
        medians.sort_unstable_by(f64::total_cmp);
        let typical = medians.get(medians.len() / 2).map(|ms| format::milliseconds(*ms));
        let most = trips().filter_map(|trip| trip.most_ms).reduce(f64::max);
        let most = most.map(|ms| ["at most ", &format::milliseconds(ms)].concat());
        let losses: Vec<f64> = trips().filter_map(|trip| trip.loss_percent).collect();
        let loss = losses.iter().sum::<f64>() / losses.len().max(1) as f64;
        let decimals = u32::from(loss > 0.0 && loss < 9.95);
        let lost = (!losses.is_empty()).then(|| format::fixed(loss, decimals) + " % lost");
        let words: Vec<String> = [typical, most, lost].into_iter().flatten().collect();
        words.join(", ")
    }
}

/// What the answer tells: of the broker, then of each target that something was sent to.
fn trips(answer: &Value) -> Result<Vec<(String, Trip)>, Invalid> {
    let number = |value: &Value, name: &str| value.get(name).or_null(Value::number);
    let median_ms = number(answer, "broker_rtt_p50_ms")?;
    let broker = Trip {
        median_ms,
        least_ms: median_ms,
        most_ms: number(answer, "broker_rtt_p99_ms")?,
        loss_percent: number(answer, "broker_loss_percent")?,
    };
    let probe = |probe: &Value| {
        let trip = Trip {
            median_ms: number(probe, "median_ms")?,
            least_ms: number(probe, "min_ms")?,
            most_ms: number(probe, "max_ms")?,
            loss_percent: number(probe, "loss_percent")?,
        };
        Ok((probe.get("target").text()?, trip))
    };
    let probes = answer.get("probes").or_null(|probes| probes.list(probe))?.unwrap_or_default();
    let all = std::iter::once(("Broker".to_owned(), broker)).chain(probes);
    Ok(all.filter(|(_, trip)| *trip != Trip::default()).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn probe(median_ms: Option<f64>, loss_percent: Option<f64>) -> serde_json::Value {
        json!({
            "target": "icmp://fra", "sent": 6, "lost": 1, "loss_percent": loss_percent, "min_ms": median_ms,
            "median_ms": median_ms, "max_ms": median_ms.map(|ms| 2.0 * ms), "failure": null,
        })
    }

    fn heard(strips: &mut Strips, minute: i64, probes: &[serde_json::Value]) {
        let answer = json!({ "status": "online", "last_seen_timestamp": minute * 60 + 7, "probes": probes });
        strips.hear(&answer.to_string()).unwrap();
    }

    #[test]
    fn each_minute_is_kept_once_and_for_an_hour() {
        let mut strips = Strips::default();
        heard(&mut strips, 100, &[probe(Some(10.0), Some(0.0))]);
        heard(&mut strips, 100, &[probe(Some(12.0), Some(0.0))]);
        assert_eq!((strips.of.len(), strips.of[0].minutes.len(), &*strips.span()), (1, 1, "this minute"));
        heard(&mut strips, 102, &[probe(Some(8.0), Some(50.0))]);
        assert_eq!(strips.span(), "last 3 min");
        assert_eq!(strips.of[0].words(), "12 ms, at most 24 ms, 25 % lost");
        heard(&mut strips, 160, &[probe(Some(8.0), Some(1.0))]);
        assert_eq!(strips.of[0].minutes.len(), 2, "the first is more than an hour ago");
        // A late answer and a node that is silent change nothing.
        let before = strips.clone();
        heard(&mut strips, 99, &[probe(Some(1.0), None)]);
        strips.hear(&json!({ "status": "offline", "last_seen_timestamp": 9_999_999 }).to_string()).unwrap();
        assert_eq!(strips, before);
        heard(&mut strips, 300, &[]);
        assert_eq!((strips.of.len(), &*strips.span()), (0, ""));
    }

    #[test]
    fn the_broker_is_the_first_and_what_sends_nothing_is_none() {
        let mut strips = Strips::default();
        let answer = json!({
            "status": "online", "last_seen_timestamp": 600.5, "broker_rtt_p50_ms": 0.4, "broker_rtt_p99_ms": 3.0,
            "broker_loss_percent": 0, "probes": [probe(Some(9.5), Some(0.5)), json!({ "target": "tcp://x:1" })],
        });
        strips.hear(&answer.to_string()).unwrap();
        let lines: Vec<(&str, String)> =
            strips.of.iter().map(|strip| (&*strip.target, strip.words())).collect();
        assert_eq!(
            lines,
            [
                ("Broker", "0.40 ms, at most 3.00 ms, 0 % lost".to_owned()),
                ("icmp://fra", "9.50 ms, at most 19 ms, 0.5 % lost".to_owned()),
            ]
        );
        let mut none = Strips::default();
        none.hear(&json!({ "status": "online", "last_seen_timestamp": 600 }).to_string()).unwrap();
        assert_eq!(none.of, []);
        assert_eq!(none.hear(&"{}".to_owned()), Err(Invalid));
    }

    #[test]
    fn what_is_lost_is_marked_as_loss_and_never_as_no_time() {
        let mut strips = Strips::default();
        heard(&mut strips, 100, &[probe(Some(5.0), Some(0.0))]);
        heard(&mut strips, 101, &[probe(None, Some(100.0))]);
        heard(&mut strips, 102, &[probe(Some(5.0), Some(25.0))]);
        // Six pixels a minute: the newest three are at 410, 416 and 422; the axis ends at 10 ms.
        let svg = strips.drawing(&strips.of[0], 430);
        for part in [
            r#"<path class="trip-line" d="M410 25H416M422 25H428"/>"#,
            r#"<rect class="trip-loss" x="416" y="8" width="6" height="34">"#,
            r#"<rect class="trip-loss" x="422" y="8" width="6" height="9">"#,
            r#"<rect class="trip-band" x="410" y="8" width="6" height="17">"#,
            r#"<text class="chart-label chart-label-end" x="62" y="12">10 ms</text>"#,
        ] {
            assert!(svg.contains(part), "{part} in {svg}");
        }
        assert_eq!(svg.matches("trip-band").count(), 2, "{svg}");
        let lost = Strip {
            minutes: vec![(1, Trip { loss_percent: Some(100.0), ..Trip::default() })],
            ..Strip::default()
        };
        assert_eq!(lost.words(), "100 % lost");
    }
}
