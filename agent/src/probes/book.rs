//! Outcomes of probes, added up to minutes. Pure.

use std::time::Duration;

use tidemap_wire::Probe;

use super::{Target, outcome::Outcome};

/// What is known of each target since the last minute.
#[derive(Debug)]
pub(super) struct Book {
    pages: Vec<Page>,
}

#[derive(Debug)]
struct Page {
    target: String,
    lost: u32,
    /// In milliseconds, in the order of their ends: at most as many as fit into a minute.
    times: Vec<f64>,
    /// The last one before them, so that a target that is probed once a minute has jitter, too.
    before: Option<f64>,
    failure: Option<String>,
}

impl Book {
    pub(super) fn new(targets: &[Target]) -> Self {
        let page = |target: &Target| Page {
            target: target.text.clone(),
            lost: 0,
            times: Vec::new(),
            before: None,
            failure: None,
        };
        Self { pages: targets.iter().map(page).collect() }
    }

    /// Notes how a probe of the target with this number ended.
    pub(super) fn add(&mut self, number: usize, outcome: Outcome) {
        let Some(page) = self.pages.get_mut(number) else { return };
        match outcome {
            Outcome::Answered(time) => page.times.push(milliseconds(time)),
            Outcome::Lost => page.lost += 1,
            Outcome::NotPossible(why) => page.failure = Some(why),
        }
    }

    /// What has ended since the last call, of each target of which anything has.
    pub(super) fn close(&mut self) -> Vec<Probe> {
        let mut minute = self.pages.iter_mut().filter_map(Page::close).collect();
        // A reason may be long: it has the host's name and the system's words.
        Probe::bound_all(&mut minute);
        minute
    }
}

impl Page {
    fn close(&mut self) -> Option<Probe> {
        let (times, lost) = (std::mem::take(&mut self.times), std::mem::take(&mut self.lost));
        let failure = self.failure.take();
        let answered = u32::try_from(times.len()).unwrap_or(u32::MAX);
        if answered == 0 && lost == 0 && failure.is_none() {
            return None;
        }
        let jitter_ms = jitter(self.before.into_iter().chain(times.iter().copied()));
        self.before = times.last().copied().or(self.before);
        let mut sorted = times;
        sorted.sort_unstable_by(f64::total_cmp);
        Some(Probe {
            target: self.target.clone(),
            sent: answered.saturating_add(lost),
            lost,
            min_ms: sorted.first().copied(),
            median_ms: median(&sorted),
            max_ms: sorted.last().copied(),
            jitter_ms: jitter_ms.filter(|_| !sorted.is_empty()),
            failure,
        })
    }
}

fn milliseconds(time: Duration) -> f64 {
    time.as_micros() as f64 / 1_000.0
}

/// The mean difference between one time and the next.
fn jitter(times: impl Iterator<Item = f64> + Clone) -> Option<f64> {
    let pairs = times.clone().zip(times.skip(1));
    let (sum, count) =
        pairs.fold((0.0, 0_u32), |(sum, count), (one, next)| (sum + (next - one).abs(), count + 1));
    (count > 0).then(|| sum / f64::from(count))
}

/// Of an even number, the mean of the two in the middle.
fn median(sorted: &[f64]) -> Option<f64> {
    let upper = sorted.get(sorted.len() / 2)?;
    let lower = sorted.get((sorted.len() - 1) / 2)?;
    Some((lower + upper) / 2.0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn book() -> Book {
        Book::new(&["icmp://a", "tcp://b:1"].map(|text| Target::parse(text).unwrap()))
    }

    fn answered(ms: u64) -> Outcome {
        Outcome::Answered(Duration::from_millis(ms))
    }

    #[test]
    fn a_minute_has_what_ended_in_it() {
        let mut book = book();
        assert_eq!(book.close(), []);
        for outcome in [answered(10), answered(14), Outcome::Lost, answered(11), answered(30)] {
            book.add(0, outcome);
        }
        let expected = Probe {
            target: "icmp://a".to_owned(),
            sent: 5,
            lost: 1,
            min_ms: Some(10.0),
            median_ms: Some(12.5),
            max_ms: Some(30.0),
            // 4, 3 and 19.
            jitter_ms: Some(26.0 / 3.0),
            failure: None,
        };
        assert_eq!(book.close(), [expected]);
        // The next minute begins after the last answer.
        book.add(0, answered(31));
        let minute = book.close();
        assert_eq!((minute[0].sent, minute[0].median_ms, minute[0].jitter_ms), (1, Some(31.0), Some(1.0)));
    }

    #[test]
    fn what_is_lost_has_no_time_and_what_cannot_be_sent_is_not_lost() {
        let mut book = book();
        book.add(0, Outcome::Lost);
        book.add(1, Outcome::NotPossible("why".to_owned()));
        let minute = book.close();
        let lost = Probe { target: "icmp://a".to_owned(), sent: 1, lost: 1, ..Probe::default() };
        let refused =
            Probe { target: "tcp://b:1".to_owned(), failure: Some("why".to_owned()), ..Probe::default() };
        assert_eq!(minute, [lost, refused]);
        // It is possible again.
        book.add(1, answered(5));
        assert_eq!(book.close()[0].failure, None);
    }

    proptest! {
        #[test]
        fn each_outcome_counts_once(
            outcomes in proptest::collection::vec((0_usize..3, proptest::option::of(1_u64..4_000)), 0..40),
            every in 1_usize..10,
        ) {
            let mut book = book();
            let (mut sent, mut lost) = (0, 0);
            for (at, (number, time)) in outcomes.iter().enumerate() {
                book.add(*number, time.map_or(Outcome::Lost, answered));
                if at % every > 0 && at + 1 < outcomes.len() {
                    continue;
                }
                for probe in book.close() {
                    (sent, lost) = (sent + probe.sent, lost + probe.lost);
                    prop_assert_eq!(probe.median_ms.is_some(), probe.sent > probe.lost);
                    prop_assert!(probe.min_ms <= probe.median_ms && probe.median_ms <= probe.max_ms);
                    prop_assert!(probe.min_ms.is_none_or(|ms| ms >= 1.0));
                }
            }
            let known = outcomes.iter().filter(|(number, _)| *number < 2);
            prop_assert_eq!(sent as usize, known.clone().count());
            prop_assert_eq!(lost as usize, known.filter(|(_, time)| time.is_none()).count());
        }
    }
}
