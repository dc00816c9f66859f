//! Round trips of the node whose details are open, minute by minute, as far as they were heard.
//!
//! The history has no minutes of them, so this is what the page has heard since the node was first opened.

use tidemap_format as format;
use tidemap_parts::chart::{PlotArea, nice_ceiling, svg};
use tidemap_parts::value::{Invalid, Text, Value};

use crate::calendar::{self, Zone};

/// How many minutes are kept and drawn.
pub const MINUTES: i64 = 60;
const MINUTE_MS: i64 = 60_000;
/// The height of a strip.
pub const HEIGHT: i64 = 48;

/// What was heard longer ago by the reader's clock is of the past: agents report once a minute.
const CURRENT_MS: i64 = 120_000;

/// What the broker is called among the targets.
const BROKER: &str = "Broker";

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
pub struct TripStrip {
    /// The target.
    pub target: String,
    /// The newest minute in words: `9.50 ms (0.25 ms to 31 ms), jitter 2.00 ms, 17 % lost`, or why nothing
    /// could be sent. A time that is not known is none.
    newest: String,
    minutes: Vec<(i64, Trip)>,
}

/// A node's strips.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Strips {
    /// One for each target; the broker comes first.
    pub of: Vec<TripStrip>,
    /// The newest minute that was heard.
    newest: i64,
    /// When the node was last heard to be online, by the reader's clock; absent since it is not.
    heard_ms: Option<i64>,
}

impl Strips {
    /// Takes the API's answer about the node. A node that is silent says nothing of now. `now_ms` is the
    /// reader's clock, which may be wrong: it only tells how long ago something was heard.
    ///
    /// # Errors
    ///
    /// When it is not such an answer.
    pub fn hear(&mut self, text: &Text, now_ms: i64) -> Result<(), Invalid> {
        let answer = Value::parse(text)?;
        let minute = (answer.get("last_seen_timestamp").number()? / 60.0) as i64;
        let is_online = answer.get("status").text()? == "online";
        self.heard_ms = is_online.then_some(now_ms);
        if !is_online || minute < self.newest {
            return Ok(());
        }
        self.newest = minute;
        let heard = trips(&answer)?;
        // Whatever is no longer probed goes when its last minute does.
        for strip in &mut self.of {
            strip.newest.clear();
        }
        for (target, words, trip) in heard {
            let at = self.of.iter().position(|strip| strip.target == target).unwrap_or_else(|| {
                self.of.push(TripStrip { target, ..TripStrip::default() });
                self.of.len() - 1
            });
            self.of[at].newest = words;
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

    /// Of which time the strips are, in words: `last 12 min`, or `until 30 Nov 10:41` when nothing is heard
    /// now; empty when nothing was.
    pub fn span(&self, now_ms: i64, zone: Zone<'_>) -> String {
        let first = self.of.iter().filter_map(|strip| Some(strip.minutes.first()?.0)).min();
        match first.map(|first| self.newest - first + 1) {
            None => String::new(),
            Some(_) if !self.is_current(now_ms) => {
                "until ".to_owned() + &calendar::moment(self.newest * MINUTE_MS, zone)
            }
            Some(1) => "this minute".to_owned(),
            Some(minutes) => ["last ", &minutes.to_string(), " min"].concat(),
        }
    }

    /// A strip in words: its newest minute, marked as the last one when nothing is heard now, and its worst
    /// one, if that was another.
    pub fn words(&self, strip: &TripStrip, now_ms: i64, zone: Zone<'_>) -> String {
        let mark = if self.is_current(now_ms) || strip.newest.is_empty() { "" } else { "last: " };
        [mark, &strip.newest, &strip.worst(zone)].concat()
    }

    fn is_current(&self, now_ms: i64) -> bool {
        self.heard_ms.is_some_and(|heard_ms| now_ms - heard_ms < CURRENT_MS)
    }

    /// The inside of a strip's SVG element of this width: the newest minute is at the right.
    pub fn drawing(&self, strip: &TripStrip, width: i64) -> String {
        let area = PlotArea { bottom: HEIGHT - 6, ..PlotArea::of_width(width) };
        let PlotArea { left, right, top, bottom } = area;
        let most = strip.minutes.iter().filter_map(|(_, trip)| trip.most_ms).reduce(f64::max);
        let end = nice_ceiling(most.unwrap_or_default());
        let x = |minute: i64| left + (right - left) * (minute + MINUTES - 1 - self.newest) / MINUTES;
        let y = |ms: f64| bottom - ((bottom - top) as f64 * ms / end).round() as i64;
        let mut drawn = String::new();
        for (at, value) in [(top, end), (bottom, 0.0)] {
            let line = ["M", &left.to_string(), " ", &at.to_string(), "H", &right.to_string()].concat();
            svg::path(&mut drawn, "chart-grid", &line);
            // Where nothing came back, there is no time to measure by.
            if most.is_none() {
                continue;
            }
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

impl TripStrip {
    /// When most was lost or, when nothing was, the longest time: ` · worst 100 % lost at 10:21`; empty when
    /// it was no worse than in the newest minute.
    fn worst(&self, zone: Zone<'_>) -> String {
        let badness = |trip: &Trip| (trip.loss_percent.unwrap_or_default(), trip.most_ms.unwrap_or_default());
        let worse = |one: (i64, Trip), other: (i64, Trip)| {
            if badness(&one.1) > badness(&other.1) { one } else { other }
        };
        let Some((minute, trip)) = self.minutes.iter().copied().reduce(worse) else { return String::new() };
        if self.minutes.last().is_some_and(|(newest, _)| *newest == minute) {
            return String::new();
        }
        let what = match trip.most_ms {
            Some(most) if trip.loss_percent.unwrap_or_default() <= 0.0 => format::milliseconds(most),
            _ => lost(trip).unwrap_or_default(),
        };
        [" · worst ", &what, " at ", &calendar::time(minute * MINUTE_MS, zone)].concat()
    }
}

/// What the answer tells: of the broker, then of each target; its name, words, and round trips.
fn trips(answer: &Value) -> Result<Vec<(String, String, Trip)>, Invalid> {
    let number = |value: &Value, name: &str| value.get(name).or_null(Value::number);
    let median_ms = number(answer, "broker_rtt_p50_ms")?;
    let broker = Trip {
        median_ms,
        least_ms: median_ms,
        most_ms: number(answer, "broker_rtt_p99_ms")?,
        loss_percent: number(answer, "broker_loss_percent")?,
    };
    let times = broker.median_ms.zip(broker.most_ms).map(|(median, most)| {
        [&*format::milliseconds(median), ", 99 % in ", &format::milliseconds(most)].concat()
    });
    let words = joined([times, lost(broker), None]);
    let probe = |probe: &Value| {
        let trip = Trip {
            median_ms: number(probe, "median_ms")?,
            least_ms: number(probe, "min_ms")?,
            most_ms: number(probe, "max_ms")?,
            loss_percent: number(probe, "loss_percent")?,
        };
        let jitter = number(probe, "jitter_ms")?.map(format::milliseconds);
        let jitter = jitter.map_or_else(String::new, |jitter| ", jitter ".to_owned() + &jitter);
        let times = trip.median_ms.zip(trip.least_ms).zip(trip.most_ms).map(|((median, least), most)| {
            let [median, least, most] = [median, least, most].map(format::milliseconds);
            [&*median, " (", &least, " to ", &most, ")", &jitter].concat()
        });
        let words = joined([times, lost(trip), probe.get("failure").or_null(Value::text)?]);
        Ok((probe.get("target").text()?, words, trip))
    };
    let probes = answer.get("probes").or_null(|probes| probes.list(probe))?.unwrap_or_default();
    let all = std::iter::once((BROKER.to_owned(), words, broker)).chain(probes);
    Ok(all.filter(|(_, words, _)| !words.is_empty()).collect())
}

fn lost(trip: Trip) -> Option<String> {
    trip.loss_percent.map(|loss| format::percent(Some(loss)) + " lost")
}

fn joined(parts: [Option<String>; 3]) -> String {
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn probe(median_ms: Option<f64>, loss_percent: Option<f64>) -> serde_json::Value {
        json!({
            "target": "icmp://fra", "sent": 6, "lost": 1, "loss_percent": loss_percent, "min_ms": median_ms,
            "median_ms": median_ms, "max_ms": median_ms.map(|ms| 2.0 * ms),
            "jitter_ms": median_ms.map(|_| 2.0), "failure": null,
        })
    }

    fn heard(strips: &mut Strips, minute: i64, probes: &[serde_json::Value]) {
        let answer = json!({ "status": "online", "last_seen_timestamp": minute * 60 + 7, "probes": probes });
        strips.hear(&answer.to_string(), minute * MINUTE_MS).unwrap();
    }

    fn hear_silence(strips: &mut Strips, minute: i64) {
        let answer = json!({ "status": "offline", "last_seen_timestamp": 9_999_999 });
        strips.hear(&answer.to_string(), minute * MINUTE_MS).unwrap();
    }

    fn span(strips: &Strips, minute: i64) -> String {
        strips.span(minute * MINUTE_MS, &|_| 0)
    }

    #[test]
    fn each_minute_is_kept_once_and_for_an_hour() {
        let mut strips = Strips::default();
        heard(&mut strips, 100, &[probe(Some(10.0), Some(0.0))]);
        heard(&mut strips, 100, &[probe(Some(12.0), Some(0.0))]);
        assert_eq!(
            (strips.of.len(), strips.of[0].minutes.len(), &*span(&strips, 100)),
            (1, 1, "this minute")
        );
        heard(&mut strips, 102, &[probe(Some(8.0), Some(50.0))]);
        assert_eq!(span(&strips, 102), "last 3 min");
        assert_eq!(strips.of[0].newest, "8.00 ms (8.00 ms to 16 ms), jitter 2.00 ms, 50 % lost");
        heard(&mut strips, 160, &[probe(Some(8.0), Some(1.0))]);
        assert_eq!(strips.of[0].minutes.len(), 2, "the first is more than an hour ago");
        // A late answer and a node that is silent change no minutes.
        let before = strips.of.clone();
        heard(&mut strips, 99, &[probe(Some(1.0), None)]);
        hear_silence(&mut strips, 161);
        assert_eq!(strips.of, before);
        heard(&mut strips, 300, &[]);
        assert_eq!((strips.of.len(), &*span(&strips, 300)), (0, ""));
    }

    #[test]
    fn what_was_heard_before_is_not_shown_as_now() {
        let mut strips = Strips::default();
        heard(&mut strips, 100, &[probe(Some(10.0), Some(0.0))]);
        heard(&mut strips, 101, &[probe(Some(8.0), Some(0.0))]);
        let words = |strips: &Strips, minute: i64| strips.words(&strips.of[0], minute * MINUTE_MS, &|_| 0);
        let newest = "8.00 ms (8.00 ms to 16 ms), jitter 2.00 ms, 0 % lost · worst 20 ms at 01:40";
        assert_eq!((span(&strips, 102), words(&strips, 102)), ("last 2 min".to_owned(), newest.to_owned()));
        // The node is opened again, or the server is silent.
        let old = ("until 1 Jan 01:41".to_owned(), "last: ".to_owned() + newest);
        assert_eq!((span(&strips, 103), words(&strips, 103)), old);
        // The node is silent.
        hear_silence(&mut strips, 102);
        assert_eq!((span(&strips, 102), words(&strips, 102)), old);
        heard(&mut strips, 105, &[probe(Some(8.0), Some(0.0))]);
        assert_eq!(span(&strips, 105), "last 6 min");
    }

    #[test]
    fn words_tell_the_worst_minute_unless_it_is_the_newest() {
        let mut strips = Strips::default();
        let worst = |strips: &Strips| strips.of[0].worst(&|_| 0);
        heard(&mut strips, 100, &[probe(None, Some(100.0))]);
        assert_eq!(worst(&strips), "");
        heard(&mut strips, 101, &[probe(Some(90.0), Some(0.0))]);
        heard(&mut strips, 102, &[probe(Some(9.0), Some(17.0))]);
        assert_eq!(worst(&strips), " · worst 100 % lost at 01:40");
        heard(&mut strips, 103, &[probe(None, Some(100.0))]);
        assert_eq!(worst(&strips), "", "the newest of equal ones");
    }

    #[test]
    fn the_broker_is_the_first_and_what_sends_nothing_is_none() {
        let mut strips = Strips::default();
        let answer = json!({
            "status": "online", "last_seen_timestamp": 600.5, "broker_rtt_p50_ms": 0.4, "broker_rtt_p99_ms": 3.0,
            "broker_loss_percent": 0,
            "probes": [
                probe(Some(9.5), Some(16.7)),
                json!({ "target": "icmp://b", "failure": "no address" }),
                json!({ "target": "tcp://x:1" }),
            ],
        });
        strips.hear(&answer.to_string(), 0).unwrap();
        let lines: Vec<(&str, &str)> =
            strips.of.iter().map(|strip| (&*strip.target, &*strip.newest)).collect();
        assert_eq!(
            lines,
            [
                ("Broker", "0.40 ms, 99 % in 3.00 ms, 0 % lost"),
                ("icmp://fra", "9.50 ms (9.50 ms to 19 ms), jitter 2.00 ms, 17 % lost"),
                ("icmp://b", "no address"),
            ]
        );
        let mut none = Strips::default();
        none.hear(&json!({ "status": "online", "last_seen_timestamp": 600 }).to_string(), 0).unwrap();
        assert_eq!(none.of, []);
        assert_eq!(none.hear("{}", 0), Err(Invalid));
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
        let mut lost = Strips::default();
        heard(&mut lost, 1, &[probe(None, Some(100.0))]);
        assert_eq!(lost.of[0].newest, "100 % lost");
        assert!(!lost.drawing(&lost.of[0], 430).contains("<text"), "no time to measure by");
    }
}
