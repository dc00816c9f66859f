//! Reading minutes back.

use std::{
    collections::BTreeMap,
    ops::Range,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tidemap_wire::NodeId;
use tokio::time::Instant;
use url::{Url, form_urlencoded};

use super::{
    http::{Http, Key},
    promql::{expression, points},
};
use crate::{point::Point, store::Step};

/// For all requests of one answer: who asks a station waits for 4 s.
const TIMEOUT: Duration = Duration::from_millis(2_500);
/// A database that did not answer is not asked again for as long: others do not wait for it, too.
const PAUSE: Duration = Duration::from_secs(10);
/// Questions at a time: others are answered from what is here.
const AT_ONCE: usize = 2;
/// Steps that every receiver has in one answer.
const STEPS: u32 = 10_000;

/// Asks the other database.
#[derive(Debug)]
pub(crate) struct Query {
    http: Http,
    url: Url,
    asking: AtomicUsize,
    /// Until when it is not asked.
    pause: Mutex<Option<Instant>>,
}

impl Query {
    /// Asks below this address.
    pub(crate) fn new(base: &Url, key: Option<Key>) -> Self {
        let mut url = base.clone();
        let path = format!("{}/api/v1/query_range", base.path().trim_end_matches('/'));
        url.set_path(&path);
        Self { http: Http::new(key), url, asking: AtomicUsize::default(), pause: Mutex::default() }
    }

    /// What moved in each step of some minutes, by the steps' first minutes; `None` when the database does
    /// not answer, and why is in the log. The first and the last step may be parts of one.
    pub(crate) fn range(
        &self,
        node: &NodeId,
        minutes: Range<u32>,
        step: Step,
    ) -> Option<BTreeMap<u32, Point>> {
        if self.is_pausing() {
            return None;
        }
        let others = self.asking.fetch_add(1, Ordering::AcqRel);
        let asked = if others < AT_ONCE { self.ask(node, minutes, step) } else { Err(None) };
        self.asking.fetch_sub(1, Ordering::AcqRel);
        match asked {
            Ok(found) => Some(found),
            Err(why) => {
                if let Some(why) = why {
                    tracing::warn!("the database of earlier minutes does not answer: {why}");
                    *self.pause.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now() + PAUSE);
                }
                None
            }
        }
    }

    fn is_pausing(&self) -> bool {
        let until = *self.pause.lock().unwrap_or_else(PoisonError::into_inner);
        until.is_some_and(|until| Instant::now() < until)
    }

    fn ask(
        &self,
        node: &NodeId,
        minutes: Range<u32>,
        step: Step,
    ) -> Result<BTreeMap<u32, Point>, Option<String>> {
        let deadline = Instant::now() + TIMEOUT;
        let mut found: BTreeMap<u32, Point> = BTreeMap::new();
        for part in parts(minutes, step.0) {
            let left = deadline.saturating_duration_since(Instant::now());
            let length = u32::try_from(part.len()).unwrap_or(u32::MAX).min(step.0);
            let query = form(&node.text(), &part, length, left);
            let headers = [("content-type", "application/x-www-form-urlencoded")];
            let answer = self.http.post(&self.url, &headers, query.as_bytes(), left)?;
            let ends = points(&answer.body).map_err(|said| format!("{} {said}", answer.status))?;
            for (end, point) in ends {
                let first = end.saturating_sub(length) / step.0 * step.0;
                found.entry(first).or_default().add(&point);
            }
        }
        Ok(found)
    }
}

/// Minutes in parts of whole steps with as many of them as an answer may have; what is less than a step at
/// either end is a part of its own.
fn parts(minutes: Range<u32>, step: u32) -> Vec<Range<u32>> {
    let mut parts = Vec::new();
    let mut from = minutes.start;
    while from < minutes.end {
        let rest = from % step;
        let longest = if rest > 0 { step - rest } else { step.saturating_mul(STEPS) };
        let mut end = minutes.end.min(from.saturating_add(longest));
        if end - from > step {
            end -= end % step;
        }
        parts.push(from..end);
        from = end;
    }
    parts
}

/// Asks for a part's steps, each at its end.
fn form(node: &str, part: &Range<u32>, length: u32, limit: Duration) -> String {
    let seconds = |minute: u32| (u64::from(minute) * 60).to_string();
    form_urlencoded::Serializer::new(String::new())
        .append_pair("query", &expression(node, length))
        .append_pair("start", &seconds(part.start + length))
        .append_pair("end", &seconds(part.end))
        .append_pair("step", &seconds(length))
        .append_pair("timeout", &format!("{}ms", limit.as_millis()))
        // VictoriaMetrics would move the steps to where its cache has some.
        .append_pair("nocache", "1")
        .finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_whole_steps_and_what_is_left_at_either_end() {
        let of = |minutes, step| {
            parts(minutes, step).into_iter().map(|part| (part.start, part.end)).collect::<Vec<_>>()
        };
        assert_eq!(of(0..10, 1), [(0, 10)]);
        assert_eq!(of(3..40, 15), [(3, 15), (15, 30), (30, 40)]);
        assert_eq!(of(16..20, 15), [(16, 20)]);
        assert_eq!(of(0..15, 15), [(0, 15)]);
        assert_eq!(of(0..25_000, 1), [(0, 10_000), (10_000, 20_000), (20_000, 25_000)]);
        assert_eq!(of(7..7, 5), []);
    }

    #[test]
    fn steps_are_asked_for_at_their_ends() {
        let form = form("a", &(15..45), 15, TIMEOUT);
        assert!(form.contains("&start=1800&end=2700&step=900&timeout=2500ms&nocache=1"), "{form}");
    }

    #[test]
    fn the_address_is_below_what_was_given() {
        let url = |base: &str| Query::new(&Url::parse(base).unwrap(), None).url.to_string();
        assert_eq!(url("http://a:1"), "http://a:1/api/v1/query_range");
        assert_eq!(url("http://a/prometheus/?x=1"), "http://a/prometheus/api/v1/query_range?x=1");
    }
}
