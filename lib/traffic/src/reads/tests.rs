use proptest::prelude::*;

use super::*;
use crate::{Schedule, Zone};

const ALL: Reach = Reach { minutes_ms: 0, quarters_ms: 0 };

fn ms(text: &str) -> i64 {
    text.parse::<jiff::Timestamp>().unwrap().as_millisecond()
}

fn reads(periods: &[Period], reach: Reach, now_ms: i64) -> Vec<(i64, i64, i64)> {
    let reads = Sums::new(periods, reach).reads(now_ms, 20_000);
    reads.iter().map(|read| (read.from_ms, read.to_ms, read.step_ms)).collect()
}

fn period(from: &str, to: &str) -> Period {
    Period { from_ms: ms(from), to_ms: ms(to) }
}

#[test]
fn twelve_months_of_a_zone_are_one_range_of_hours() {
    let zone = Zone::named("Europe/Zurich").unwrap();
    let now = ms("2026-11-29T09:20:00Z");
    let months = Schedule::read("month", None, &zone, now).unwrap().last(12, now);
    let from = ms("2025-11-30T23:00:00Z");
    assert_eq!(reads(&months, ALL, now), [(from, ms("2026-11-29T10:00:00Z"), HOUR_MS)]);
}

#[test]
fn the_ends_of_a_period_are_read_in_shorter_spans() {
    let odd = period("2026-11-28T22:37:00Z", "2026-11-29T02:50:00Z");
    let at = |time: &str| ms(&format!("2026-11-{time}:00Z"));
    assert_eq!(
        reads(&[odd], ALL, i64::MAX / 2),
        [
            (at("28T22:37"), at("28T22:45"), MINUTE_MS),
            (at("28T22:45"), at("28T23:00"), QUARTER_MS),
            (at("28T23:00"), at("29T02:00"), HOUR_MS),
            (at("29T02:00"), at("29T02:45"), QUARTER_MS),
            (at("29T02:45"), at("29T02:50"), MINUTE_MS),
        ]
    );
    let short = period("2026-11-28T22:37:00Z", "2026-11-28T22:41:00Z");
    assert_eq!(reads(&[short], ALL, i64::MAX / 2), [(short.from_ms, short.to_ms, MINUTE_MS)]);
    let year = period("2026-01-01T01:00:00Z", "2027-01-01T00:00:00Z");
    assert_eq!(reads(&[year], ALL, i64::MAX / 2).len(), 2);
}

#[test]
fn an_end_of_which_short_spans_are_kept_no_more_is_moved_to_the_nearest_longer_one() {
    let at = ms("2026-01-10T22:37:00Z");
    let [minute, quarter, hour] = [at, ms("2026-01-10T22:30:00Z"), ms("2026-01-10T23:00:00Z")];
    let kept = |minutes_ms, quarters_ms| counted(at, Reach { minutes_ms, quarters_ms });
    assert_eq!(kept(quarter, 0), minute);
    assert_eq!(kept(quarter + 1, 0), quarter);
    assert_eq!(kept(hour, hour), hour);
    // What begins with an hour needs nothing shorter.
    assert_eq!(counted(hour, Reach { minutes_ms: i64::MAX, quarters_ms: i64::MAX }), hour);
}

#[test]
fn a_long_range_is_read_in_parts() {
    let read = Read { from_ms: 0, to_ms: 50 * MINUTE_MS, step_ms: MINUTE_MS };
    let parts: Vec<_> = read.parts(20).map(|part| (part.from_ms, part.steps())).collect();
    assert_eq!(parts, [(0, 20), (20 * MINUTE_MS, 20), (40 * MINUTE_MS, 10)]);
}

fn any_periods() -> impl Strategy<Value = Vec<Period>> {
    // From 2025 to 2028.
    (1_735_689_600_000_i64..1_830_297_600_000, proptest::collection::vec(1_i64..200_000, 1..8)).prop_map(
        |(from_ms, minutes)| {
            let mut at = from_ms - from_ms % MINUTE_MS;
            let next = |minutes: i64| {
                let period = Period { from_ms: at, to_ms: at + minutes * MINUTE_MS };
                at = period.to_ms;
                period
            };
            minutes.into_iter().map(next).collect()
        },
    )
}

proptest! {
    #[test]
    fn every_minute_is_read_once_and_counted_in_its_period(periods in any_periods()) {
        let [first, last] = [periods[0], periods[periods.len() - 1]];
        let mut sums = Sums::new(&periods, ALL);
        let mut at = first.from_ms;
        for read in sums.reads(i64::MAX / 2, 20_000) {
            prop_assert!(read.steps() <= 20_000 && read.from_ms % read.step_ms == 0);
            prop_assert_eq!(read.from_ms, at);
            at = read.to_ms;
            for step in 0..read.steps() {
                // A byte each minute.
                let minutes = (read.step_ms / MINUTE_MS) as u64;
                let bytes = Bytes { rx: minutes, tx: 2 * minutes };
                sums.add(read.from_ms + step * read.step_ms, bytes, Bytes::default(), minutes);
            }
        }
        prop_assert_eq!(at, last.to_ms);
        for (period, sum) in periods.iter().zip(sums.done()) {
            prop_assert_eq!(sum.counted, *period);
            let minutes = (period.length_ms() / MINUTE_MS) as u64;
            prop_assert_eq!(sum.total(), Bytes { rx: minutes, tx: 2 * minutes });
        }
    }

    #[test]
    fn whatever_is_kept_periods_meet_and_only_what_is_kept_is_read(
        periods in any_periods(),
        minutes_ms in 1_735_689_600_000_i64..1_830_297_600_000,
        quarters_back in 0_i64..40_000_000_000,
    ) {
        let reach = Reach { minutes_ms: floor(minutes_ms, DAY_MS), quarters_ms: floor(minutes_ms - quarters_back, DAY_MS) };
        let sums = Sums::new(&periods, reach);
        prop_assert!(sums.0.windows(2).all(|pair| pair[0].counted.to_ms == pair[1].counted.from_ms));
        for read in sums.reads(i64::MAX / 2, 20_000) {
            let from_ms = match read.step_ms {
                MINUTE_MS => reach.minutes_ms,
                QUARTER_MS => reach.quarters_ms,
                _ => 0,
            };
            prop_assert!(read.from_ms >= from_ms, "{read:?} {reach:?}");
        }
    }
}
