//! How often the page shows new values: it always receives, but draws only as often as its reader has chosen.

use tidemap_format as format;
use tidemap_wire::http::StatsJson;

use crate::connection::Phase;
use crate::json::Before;
use crate::store::{Fleet, Means};
use crate::totals::Totals;
use crate::totals_view::TotalsView;

/// How often the order of a list follows the rates in it.
pub const REORDER_MS: f64 = 5000.0;

/// How often the shown values are updated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// Never: the page is paused.
    Paused,
    /// Once in this many seconds; 1 is as often as the fleet reports.
    Every(u32),
}

/// The received fleet, and what of it is shown.
#[derive(Debug, Default)]
pub struct Feed {
    /// The fleet as the stream has reported it so far.
    pub live: Fleet,
    /// Its totals over the last minutes.
    pub totals: Totals,
    /// The newest totals.
    pub stats: Option<StatsJson>,
    /// Whether the newest totals have not been shown yet.
    has_fresh_stats: bool,
    held: Option<Held>,
    past: Option<Past>,
}

/// The fleet as of the last update, while the received one continues.
#[derive(Debug)]
struct Held {
    fleet: Fleet,
    since_ms: f64,
}

/// The fleet with what it moved in a time that is over.
#[derive(Debug)]
struct Past {
    fleet: Fleet,
    means: Means,
    /// The generation of the live fleet that it was made of.
    made_of: u64,
}

impl Feed {
    /// Takes new totals. They come once a second, which also paces the rows' trends.
    pub fn apply_stats(&mut self, stats: StatsJson) {
        self.totals.record(&stats);
        self.live.record_trends();
        self.stats = Some(stats);
        self.has_fresh_stats = true;
    }

    /// Takes what was before the page opened, or while it was away.
    pub fn fill(&mut self, before: &Before) {
        let rates = before.rx.iter().zip(&before.tx);
        let points = before.at.iter().zip(rates).map(|(at, (rx, tx))| (*at as i64, *rx as f64, *tx as f64));
        if let Some(name) = &before.node {
            self.live.fill_trend(name, points.map(|(at, rx, tx)| (at as usize, (rx + tx) as f32)));
        } else {
            self.totals.fill(points);
            self.has_fresh_stats = true;
        }
    }

    /// The newest totals, once.
    pub fn fresh_totals(&mut self) -> Option<TotalsView> {
        let is_fresh = std::mem::take(&mut self.has_fresh_stats);
        let stats = self.stats.as_ref().filter(|_| is_fresh)?;
        Some(TotalsView::new(stats.clone(), &self.totals))
    }

    /// Shows what nodes moved in a time that is over, or again what they move now.
    pub fn show_past(&mut self, means: Option<Means>) {
        self.past = means.map(|means| Past {
            fleet: self.live.with_means(&means),
            means,
            made_of: self.live.generation(),
        });
    }

    /// The fleet that is shown.
    pub fn shown(&self) -> &Fleet {
        let held = self.held.as_ref().map_or(&self.live, |held| &held.fleet);
        self.past.as_ref().map_or(held, |past| &past.fleet)
    }

    /// Whether the shown values differ from the received ones.
    pub fn is_held(&self) -> bool {
        self.held.is_some()
    }

    /// The age of the shown values.
    pub fn behind_ms(&self, now_ms: f64) -> f64 {
        self.held.as_ref().map_or(0.0, |held| now_ms - held.since_ms)
    }

    /// Updates the shown values if they are due; returns whether it did.
    pub fn follow(&mut self, pace: Pace, now_ms: f64) -> bool {
        // A node that came since then has a past too.
        if self.past.as_ref().is_some_and(|past| past.made_of != self.live.generation()) {
            let past = self.past.take();
            self.show_past(past.map(|past| past.means));
        }
        let hold_ms = match pace {
            // Nothing has been received yet, so there is nothing to hold back.
            _ if self.live.snapshots() == 0 => 0.0,
            Pace::Paused => f64::INFINITY,
            Pace::Every(1) => 0.0,
            Pace::Every(seconds) => f64::from(seconds) * 1000.0,
        };
        if hold_ms == 0.0 {
            self.held = None;
            return true;
        }
        let is_due = self.held.as_ref().is_none_or(|held| now_ms - held.since_ms >= hold_ms);
        if is_due {
            self.held = Some(Held { fleet: self.live.clone(), since_ms: now_ms });
        }
        is_due
    }
}

/// The sign in the header that shows how current the page is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chip {
    /// Its kind: `live`, `stale`, `disconnected`, `polled`, `loading` or `paused`.
    pub kind: &'static str,
    /// Its text.
    pub text: String,
}

impl Chip {
    /// The sign for this state of things. `age_ms` is how old the newest totals are, as far as the server has
    /// said.
    pub fn new(phase: Phase, pace: Pace, behind_ms: f64, age_ms: Option<f64>) -> Self {
        let (kind, text) = match (phase, pace) {
            (_, Pace::Paused) => {
                ("paused", "Paused – ".to_owned() + &format::age(behind_ms as u64) + " behind")
            }
            (Phase::Loading, _) => ("loading", "Connecting…".to_owned()),
            (Phase::Stale { silent_ms }, _) => {
                ("stale", "No data for ".to_owned() + &format::age(silent_ms as u64))
            }
            (Phase::Disconnected { .. }, _) => ("disconnected", "Disconnected".to_owned()),
            (Phase::Polled, _) => ("polled", "Asks every 2 s".to_owned()),
            (Phase::Live, Pace::Every(1)) => (
                "live",
                "Live".to_owned()
                    + &age_ms.map_or_else(String::new, |age_ms| " ".to_owned() + &format::moments(age_ms)),
            ),
            (Phase::Live, Pace::Every(seconds)) => {
                ("live", "Live, every ".to_owned() + &seconds.to_string() + " s")
            }
        };
        Self { kind, text }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json;
    use crate::store::tests::{columns, fleet};
    use crate::totals::Direction;
    use tidemap_wire::stream::{SnapshotEvent, VERSION};

    fn feed() -> Feed {
        Feed { live: fleet(&["a"]), ..Feed::default() }
    }

    fn replace(feed: &mut Feed, name: &str) {
        let nodes = columns(&[name]);
        feed.live.apply_snapshot(&SnapshotEvent { v: VERSION, at_ms: 0, nodes }).unwrap();
    }

    #[test]
    fn a_paused_page_receives_but_shows_what_was() {
        let mut feed = feed();
        assert!(feed.follow(Pace::Every(1), 0.0));
        assert!(feed.follow(Pace::Paused, 1000.0), "the moment of the pause is shown");
        replace(&mut feed, "b");
        assert!(!feed.follow(Pace::Paused, 35_000.0));
        assert_eq!((feed.shown().row_of("a"), feed.behind_ms(35_000.0)), (Some(0), 34_000.0));
        assert!(feed.follow(Pace::Every(1), 36_000.0));
        assert_eq!((feed.shown().row_of("b"), feed.is_held()), (Some(0), false));
    }

    #[test]
    fn a_slow_pace_shows_a_new_state_each_time_it_is_due() {
        let mut feed = feed();
        assert!(feed.follow(Pace::Every(5), 0.0));
        replace(&mut feed, "b");
        assert!(!feed.follow(Pace::Every(5), 4999.0));
        assert!(feed.follow(Pace::Every(5), 5000.0));
        assert_eq!(feed.shown().row_of("b"), Some(0));
    }

    #[test]
    fn what_was_before_the_page_opened_fills_the_lines() {
        let mut feed = feed();
        feed.live.record_trends();
        let row = json::before(r#"{"node":"a","at":[57,58,59],"rx":[2,3,9],"tx":[1,0,9]}"#).unwrap();
        feed.fill(&row);
        let trend: Vec<_> = feed.live.trends().of(0).skip(56).collect();
        assert_eq!(trend, [None, Some(3.0), Some(3.0), Some(0.0)], "what was heard stays");
        feed.fill(&Before { node: Some("gone".to_owned()), ..row });
        feed.apply_stats(StatsJson { timestamp: 1000.0, ..StatsJson::default() });
        assert!(feed.fresh_totals().is_some() && feed.fresh_totals().is_none());
        feed.fill(&json::before(r#"{"at":[900000],"rx":[8],"tx":[4]}"#).unwrap());
        assert_eq!(feed.totals.line(Direction::Upload)[49], Some(4.0));
        assert!(feed.fresh_totals().is_some(), "it is drawn");
        assert!(json::before(r#"{"at":[1.5],"rx":[8],"tx":[4]}"#).is_err());
    }

    #[test]
    fn a_page_without_data_holds_nothing_back() {
        let mut feed = Feed::default();
        feed.follow(Pace::Paused, 0.0);
        replace(&mut feed, "a");
        assert_eq!(feed.shown().row_of("a"), Some(0));
    }

    #[test]
    fn the_past_is_that_of_nodes_that_came_later_too() {
        let mut feed = feed();
        let names = ["a", "b"].map(str::to_owned).to_vec();
        feed.show_past(Some(Means { names, rx_bps: vec![7.0, 8.0], tx_bps: vec![0.0; 2] }));
        assert_eq!(feed.shown().rx_bps(0), Some(7.0));
        replace(&mut feed, "b");
        feed.follow(Pace::Every(1), 0.0);
        assert_eq!((feed.shown().row_of("b"), feed.shown().rx_bps(0)), (Some(0), Some(8.0)));
        feed.show_past(None);
        assert!(!feed.shown().is_past());
    }

    #[test]
    fn the_chip_says_what_is_true() {
        let chip = |age_ms| Chip::new(Phase::Live, Pace::Every(1), 0.0, age_ms).text;
        assert_eq!([None, Some(1_040.0)].map(chip), ["Live", "Live 1.0 s"]);
        let check = |phase, pace, behind_ms, kind: &str, text: &str| {
            let chip = Chip::new(phase, pace, behind_ms, Some(1_040.0));
            assert_eq!((chip.kind, &*chip.text), (kind, text));
        };
        check(Phase::Live, Pace::Every(5), 300.0, "live", "Live, every 5 s");
        check(Phase::Polled, Pace::Every(1), 0.0, "polled", "Asks every 2 s");
        check(Phase::Stale { silent_ms: 7000.0 }, Pace::Every(1), 0.0, "stale", "No data for 7 s");
        check(Phase::Live, Pace::Paused, 34_000.0, "paused", "Paused – 34 s behind");
    }
}
