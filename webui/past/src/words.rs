//! What a chart cannot say: figures, how exact they are, and what is not known.

use tidemap_format::{self as format, Unit};

use crate::calendar::{self, Zone};
use crate::past::{Curve, Past, Side};
use crate::range::Range;

/// What time is shown: `24 hours to 27 Nov 14:05`, or from when to when. `now_ms` is the reader's clock: the
/// last step reaches further, and what is complete does not reach as far.
pub fn title(range: &Range, past: &Past, now_ms: i64, zone: Zone<'_>) -> String {
    let Some(length) = range.length else { return calendar::span(past.from_ms, past.to_ms, zone) };
    let end_ms = now_ms.max(past.from_ms).min(past.to_ms);
    let is_long = past.to_ms - past.from_ms > calendar::HALF_A_YEAR;
    let end = if is_long { calendar::date(end_ms, zone, true) } else { calendar::moment(end_ms, zone) };
    [length, " to ", &end].concat()
}

/// How exact the chart is: `Each point is 6 h; peaks are of single reports.`
pub fn resolution(past: &Past) -> String {
    let step = format::duration(past.step_ms as u64 / 1000);
    let peaks = if past.is_nodes { "of single reports" } else { "the sum over one second" };
    ["Each point is ", &step, "; peaks are ", peaks, "."].concat()
}

/// How much of the time is known: `Known: 98 % of this time, from 27 Nov 14:05.`
pub fn coverage(past: &Past, zone: Zone<'_>) -> String {
    let Some(since_ms) = past.since_ms else { return "Nothing is known of this time.".to_owned() };
    let percent = (past.known * 100.0).floor();
    let share = if percent >= 100.0 {
        "Known throughout".to_owned()
    } else {
        let percent = if percent < 1.0 { "less than 1".to_owned() } else { format::fixed(percent, 0) };
        ["Known: ", &percent, " % of this time"].concat()
    };
    let since = if since_ms > past.from_ms {
        [", from ", &calendar::moment(since_ms, zone)].concat()
    } else {
        String::new()
    };
    let until = if past.is_partial && past.complete_until_ms > past.from_ms {
        [", complete until ", &calendar::time(past.complete_until_ms, zone)].concat()
    } else {
        String::new()
    };
    [&share, &*since, &until, "."].concat()
}

/// Bytes that moved at a moment that is not known, if there are any: `Besides ↓ 3.20 GB at a moment that is
/// not known, while the node was not heard.`
pub fn unplaced(past: &Past) -> Option<String> {
    let [download, upload] = past.sides.each_ref().map(|side| side.unplaced_bytes);
    let part = |arrow: &str, bytes: f64| (bytes > 0.0).then(|| [arrow, &format::bytes(bytes)].concat());
    let parts: Vec<String> = [part("↓ ", download), part("↑ ", upload)].into_iter().flatten().collect();
    (!parts.is_empty())
        .then(|| ["Besides ", &parts.join(" and "), " at moments that are not known."].concat())
}

/// The peak of a direction at the chart: `peak 812 MB/s`.
pub fn peak(side: &Side, unit: Unit) -> String {
    side.peak().map_or_else(String::new, |peak| ["peak ", &unit.exact(Some(peak.rate))].concat())
}

/// When the peak was: `27 Nov 14:05`, or between when and when.
pub fn peak_time(past: &Past, side: &Side, zone: Zone<'_>) -> String {
    let Some(peak) = side.peak() else { return format::UNKNOWN.to_owned() };
    let begin_ms = past.begin_ms(peak.step);
    if past.step_ms <= 60_000 {
        calendar::moment(begin_ms, zone)
    } else {
        calendar::span(begin_ms, begin_ms + past.step_ms, zone)
    }
}

/// When the peaks were: `Peaks: ↓ 27 Nov 14:05, ↑ 27 Nov 09:10.`
pub fn peaks(past: &Past, zone: Zone<'_>) -> String {
    let [download, upload] = past.sides.each_ref().map(|side| peak_time(past, side, zone));
    ["Peaks: ↓ ", &download, ", ↑ ", &upload, "."].concat()
}

/// What stands at one column, as a table's row: when, then mean and peak of download and of upload.
pub fn line(past: &Past, curve: &Curve, column: usize, unit: Unit, zone: Zone<'_>) -> [String; 5] {
    let (from_ms, to_ms) = curve.time(past, column, column);
    let when = if to_ms - from_ms <= 60_000 {
        calendar::moment(from_ms, zone)
    } else {
        calendar::span(from_ms, to_ms, zone)
    };
    let column = |side: usize| curve.sides[side].get(column).copied().flatten();
    let rate = |rate: Option<f64>| unit.exact(rate);
    let (down, up) = (column(0), column(1));
    [
        when,
        rate(down.map(|down| down.mean)),
        rate(down.map(|down| down.most)),
        rate(up.map(|up| up.mean)),
        rate(up.map(|up| up.most)),
    ]
}

/// The same as a sentence.
pub fn reading(line: &[String; 5]) -> String {
    let [when, down, down_peak, up, up_peak] = line;
    if down == format::UNKNOWN && up == format::UNKNOWN {
        return [when, ": not known"].concat();
    }
    [when, ": ↓ ", down, ", peak ", down_peak, " · ↑ ", up, ", peak ", up_peak].concat()
}

/// What the list and the map show, as the answer about nodes says.
pub fn of_nodes(from_ms: i64, to_ms: i64, nodes: usize, most: usize, zone: Zone<'_>) -> String {
    let time = calendar::span(from_ms, to_ms, zone);
    let bound = if nodes < most {
        String::new()
    } else {
        [" for the ", &format::count(most as u64), " nodes with most traffic"].concat()
    };
    [
        "List, map and groups: means of ",
        &time,
        &bound,
        "; unknown was not heard then. Counts and host figures: now.",
    ]
    .concat()
}

/// What the API says, as a sentence.
pub fn sentence(said: &str) -> String {
    let mut letters = said.chars();
    let first = letters.next().map(|letter| letter.to_ascii_uppercase().to_string()).unwrap_or_default();
    let end = if said.ends_with(['.', '!', '?']) { "" } else { "." };
    [&first, letters.as_str(), end].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::past::tests::{answer, past_of};
    use crate::range::Asked;

    const UTC: Zone<'static> = &|_| 0;

    fn past() -> Past {
        Past::read(&serde_json::to_string(&answer()).unwrap(), true).unwrap()
    }

    fn range(query: &str) -> Range {
        Asked::parse(query).range.unwrap()
    }

    #[test]
    fn a_title_says_which_time_it_is() {
        assert_eq!(title(&range("?range=24h"), &past(), 720_000, UTC), "24 hours to 1 Jan 00:12");
        assert_eq!(
            title(&range("?range=1h"), &past(), i64::MAX, UTC),
            "1 hour to 1 Jan 00:13",
            "a wrong clock"
        );
        let year = Past { from_ms: -365 * 86_400_000, ..past() };
        assert_eq!(title(&range("?range=1y"), &year, 0, UTC), "1 year to 1 Jan 1970");
        assert_eq!(title(&range("?from=5&to=6"), &past(), 0, UTC), "1 Jan 00:10–00:13");
    }

    #[test]
    fn resolution_and_coverage_are_said() {
        let past = past();
        assert_eq!(resolution(&past), "Each point is 1 min; peaks are of single reports.");
        assert_eq!(
            resolution(&Past { is_nodes: false, step_ms: 6 * 3_600_000, ..past.clone() }),
            "Each point is 6 h; peaks are the sum over one second."
        );
        assert_eq!(coverage(&past, UTC), "Known: 60 % of this time, complete until 00:12.");
        let late = Past { known: 1.0, is_partial: false, since_ms: Some(660_000), ..past };
        assert_eq!(coverage(&late, UTC), "Known throughout, from 1 Jan 00:11.");
        let little = Past { known: 0.004, since_ms: Some(0), ..late.clone() };
        assert_eq!(coverage(&little, UTC), "Known: less than 1 % of this time.");
        assert_eq!(coverage(&Past { since_ms: None, ..late }, UTC), "Nothing is known of this time.");
    }

    #[test]
    fn bytes_without_a_moment_stand_beside_the_others() {
        assert_eq!(unplaced(&past()).as_deref(), Some("Besides ↓ 5.01 kB at moments that are not known."));
        assert_eq!(unplaced(&past_of(&[])), None);
    }

    #[test]
    fn a_peak_is_said_with_its_time() {
        let past = past();
        let side = &past.sides[0];
        assert_eq!(peak(side, Unit::MegaBytes), "peak 900 kB/s");
        assert_eq!(peak_time(&past, side, UTC), "1 Jan 00:10");
        assert_eq!(peaks(&past, UTC), "Peaks: ↓ 1 Jan 00:10, ↑ 1 Jan 00:12.");
        let coarse = Past { step_ms: 900_000, ..past.clone() };
        assert_eq!(peak_time(&coarse, side, UTC), "1 Jan 00:10–00:25");
        assert_eq!(
            (&*peak(&Side::default(), Unit::Auto), &*peak_time(&past, &Side::default(), UTC)),
            ("", "–")
        );
    }

    #[test]
    fn a_column_is_read_as_a_sentence_and_a_gap_as_a_gap() {
        let past = past();
        let curve = Curve::new(&past, 9);
        let read = |column| reading(&line(&past, &curve, column, Unit::MegaBytes, UTC));
        assert_eq!(read(0), "1 Jan 00:10: ↓ 100 kB/s, peak 900 kB/s · ↑ 0 B/s, peak 0 B/s");
        assert_eq!(read(1), "1 Jan 00:11: not known");
        let curve = Curve::new(&past, 2);
        assert_eq!(line(&past, &curve, 0, Unit::MegaBytes, UTC)[0], "1 Jan 00:10–00:12");
    }

    #[test]
    fn errors_are_sentences() {
        assert_eq!(sentence("no station answers"), "No station answers.");
        assert_eq!((&*sentence("Gone."), &*sentence("")), ("Gone.", "."));
    }

    #[test]
    fn it_is_said_what_the_list_shows() {
        assert_eq!(
            of_nodes(0, 3_600_000, 9, 1000, UTC),
            "List, map and groups: means of 1 Jan 00:00–01:00; unknown was not heard then. Counts and host figures: now."
        );
        assert!(
            of_nodes(0, 3_600_000, 1000, 1000, UTC).contains("01:00 for the 1,000 nodes with most traffic;")
        );
    }
}
