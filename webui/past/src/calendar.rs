//! Moments in the reader's own time zone, in words and at axes.

/// How many minutes local time is ahead of UTC at a moment, Unix milliseconds.
pub type Zone<'a> = &'a dyn Fn(i64) -> i64;

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
/// Longer times are written by their days, with the year.
pub const HALF_A_YEAR: i64 = 183 * DAY;
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
/// Distances of ticks. Beyond a week they are whole months.
const STEPS: [i64; 14] = [
    MINUTE,
    5 * MINUTE,
    10 * MINUTE,
    15 * MINUTE,
    30 * MINUTE,
    HOUR,
    2 * HOUR,
    3 * HOUR,
    6 * HOUR,
    12 * HOUR,
    DAY,
    2 * DAY,
    4 * DAY,
    7 * DAY,
];
const MONTH_STEPS: [i64; 5] = [1, 2, 3, 6, 12];

/// A moment at an axis, and what stands there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Unix milliseconds.
    pub at_ms: i64,
    /// `14:00`, `27 Nov`, `Nov`, `2026`.
    pub label: String,
}

/// A day of the calendar: year, month from 0, day from 1.
fn civil(day: i64) -> (i64, i64, i64) {
    // Years that begin in March end with their leap day, and eras of 400 years are alike.
    let day = day + 719_468;
    let (era, of_era) = (day.div_euclid(146_097), day.rem_euclid(146_097));
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let from_march = (5 * of_year + 2) / 153;
    let month = (from_march + 2) % 12;
    (year + era * 400 + i64::from(month < 2), month, of_year - (153 * from_march + 2) / 5 + 1)
}

/// The number of a month's first day; months count from year 0.
fn first_day(months: i64) -> i64 {
    let (year, month) = (months.div_euclid(12), months.rem_euclid(12));
    let from_march = (month + 10) % 12;
    let year = year - i64::from(month < 2);
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    era * 146_097 + 365 * of_era + of_era / 4 - of_era / 100 + (153 * from_march + 2) / 5 - 719_468
}

fn local(ms: i64, zone: Zone<'_>) -> i64 {
    ms + zone(ms) * MINUTE
}

/// The moment of a local time. In the hour that a clock skips or repeats, one of the two.
fn moment_of(local: i64, zone: Zone<'_>) -> i64 {
    let near = local - zone(local) * MINUTE;
    local - zone(near) * MINUTE
}

fn two(number: i64) -> String {
    if number < 10 { ["0", &number.to_string()].concat() } else { number.to_string() }
}

/// A month of the calendar, counted from year 0.
pub fn month_of(ms: i64, zone: Zone<'_>) -> i64 {
    let (year, month, _) = civil(local(ms, zone).div_euclid(DAY));
    year * 12 + month
}

/// Reads `2026-11`.
pub fn month_from(text: &str) -> Option<i64> {
    let (year, month) = text.split_once('-')?;
    let (year, month): (i64, i64) = (year.parse().ok()?, month.parse().ok()?);
    ((1970..10_000).contains(&year) && (1..=12).contains(&month)).then(|| year * 12 + month - 1)
}

/// `2026-11`.
pub fn month_text(month: i64) -> String {
    [&month.div_euclid(12).to_string(), "-", &two(month.rem_euclid(12) + 1)].concat()
}

/// `Nov 2026`.
pub fn month_title(month: i64) -> String {
    let name = usize::try_from(month.rem_euclid(12)).ok().and_then(|at| MONTHS.get(at)).unwrap_or(&"");
    [name, " ", &*month.div_euclid(12).to_string()].concat()
}

/// When a month begins, Unix milliseconds.
pub fn month_begin(month: i64, zone: Zone<'_>) -> i64 {
    moment_of(first_day(month) * DAY, zone)
}

/// `14:05`.
pub fn time(ms: i64, zone: Zone<'_>) -> String {
    let minutes = local(ms, zone).rem_euclid(DAY) / MINUTE;
    let two =
        |number: i64| if number < 10 { ["0", &number.to_string()].concat() } else { number.to_string() };
    [&two(minutes / 60), ":", &two(minutes % 60)].concat()
}

/// A moment as an address has it: `2026-11-27T14:05:00Z`.
pub fn rfc3339(ms: i64) -> String {
    let utc: Zone<'_> = &|_| 0;
    let (year, month, day) = civil(ms.div_euclid(DAY));
    let seconds = two(ms.rem_euclid(MINUTE) / 1000);
    [&year.to_string(), "-", &two(month + 1), "-", &two(day), "T", &time(ms, utc), ":", &seconds, "Z"]
        .concat()
}

/// `27 Nov`, or with its year `27 Nov 2026`.
pub fn date(ms: i64, zone: Zone<'_>, has_year: bool) -> String {
    let (year, month, day) = civil(local(ms, zone).div_euclid(DAY));
    let date = [&day.to_string(), " ", MONTHS[month as usize % 12]].concat();
    if has_year { [&date, " ", &year.to_string()].concat() } else { date }
}

/// `27 Nov 14:05`.
pub fn moment(ms: i64, zone: Zone<'_>) -> String {
    [&date(ms, zone, false), " ", &time(ms, zone)].concat()
}

/// From when to when, as short as it can be written: `27 Nov 14:05–14:20`, `27 Nov 2026`.
pub fn span(from_ms: i64, to_ms: i64, zone: Zone<'_>) -> String {
    let is_midnight = |ms: i64| local(ms, zone).rem_euclid(DAY) == 0;
    let day = |ms: i64| local(ms, zone).div_euclid(DAY);
    if is_midnight(from_ms) && is_midnight(to_ms) {
        let last = moment_of((day(to_ms) - 1) * DAY, zone);
        return if day(from_ms) + 1 >= day(to_ms) {
            date(from_ms, zone, true)
        } else {
            [&date(from_ms, zone, false), "–", &date(last, zone, true)].concat()
        };
    }
    if to_ms - from_ms > HALF_A_YEAR {
        return [&date(from_ms, zone, true), "–", &date(to_ms, zone, true)].concat();
    }
    let end = if day(from_ms) == day(to_ms) { time(to_ms, zone) } else { moment(to_ms, zone) };
    [&moment(from_ms, zone), "–", &end].concat()
}

/// Round moments of a range, at most `most` of them.
pub fn marks(from_ms: i64, to_ms: i64, most: usize, zone: Zone<'_>) -> Vec<Mark> {
    let most = most.max(1) as i64;
    let length = to_ms - from_ms;
    match STEPS.into_iter().find(|step| length / step <= most) {
        Some(step) => even_marks(from_ms, to_ms, step, zone),
        None => month_marks(from_ms, to_ms, most, zone),
    }
}

fn even_marks(from_ms: i64, to_ms: i64, step: i64, zone: Zone<'_>) -> Vec<Mark> {
    // Weeks begin on Mondays; the first one of Unix time was the fifth day.
    let phase = if step == 7 * DAY { 4 * DAY } else { 0 };
    let mut marks = Vec::new();
    let mut at = (local(from_ms, zone) - phase).div_euclid(step) * step + phase;
    loop {
        let at_ms = moment_of(at, zone);
        if at_ms > to_ms {
            return marks;
        }
        if at_ms >= from_ms {
            let is_midnight = at.rem_euclid(DAY) == 0;
            let label = if is_midnight { date(at_ms, zone, false) } else { time(at_ms, zone) };
            marks.push(Mark { at_ms, label });
        }
        at += step;
    }
}

fn month_marks(from_ms: i64, to_ms: i64, most: i64, zone: Zone<'_>) -> Vec<Mark> {
    let months = |ms: i64| {
        let (year, month, _) = civil(local(ms, zone).div_euclid(DAY));
        year * 12 + month
    };
    let (first, last) = (months(from_ms), months(to_ms));
    let years = |step: i64| (last - first) / step > most;
    let step =
        MONTH_STEPS.into_iter().find(|step| !years(*step)).unwrap_or(12 * ((last - first) / 12 / most + 1));
    let mark = |month: i64| {
        let name = MONTHS[month.rem_euclid(12) as usize].to_owned();
        let label = if month.rem_euclid(12) == 0 { month.div_euclid(12).to_string() } else { name };
        Mark { at_ms: moment_of(first_day(month) * DAY, zone), label }
    };
    let begin = first.div_euclid(step) * step;
    let all = (0..).map(|at| mark(begin + at * step)).take_while(|mark| mark.at_ms <= to_ms);
    all.filter(|mark| mark.at_ms >= from_ms).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// 2026-11-27T14:05:00Z
    const AFTERNOON: i64 = 1_795_788_300_000;
    const UTC: Zone<'static> = &|_| 0;
    /// Berlin: summer time ended on 2026-10-25 at 01:00 UTC.
    const BERLIN: Zone<'static> = &|ms| if ms < 1_792_890_000_000 { 120 } else { 60 };

    fn labels(marks: Vec<Mark>) -> String {
        marks.into_iter().map(|mark| mark.label).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn moments_are_written_in_the_readers_zone() {
        assert_eq!(moment(AFTERNOON, UTC), "27 Nov 14:05");
        assert_eq!(moment(AFTERNOON, BERLIN), "27 Nov 15:05");
        assert_eq!(moment(AFTERNOON, &|_| 600), "28 Nov 00:05");
        assert_eq!(moment(-MINUTE, UTC), "31 Dec 23:59");
        assert_eq!(rfc3339(AFTERNOON + 7_000), "2026-11-27T14:05:07Z");
    }

    #[test]
    fn spans_are_as_short_as_they_can_be_written() {
        let midnight = AFTERNOON.div_euclid(DAY) * DAY;
        assert_eq!(span(AFTERNOON, AFTERNOON + 15 * MINUTE, UTC), "27 Nov 14:05–14:20");
        assert_eq!(span(AFTERNOON, AFTERNOON + 12 * HOUR, UTC), "27 Nov 14:05–28 Nov 02:05");
        assert_eq!(span(midnight, midnight + DAY, UTC), "27 Nov 2026");
        assert_eq!(span(midnight, midnight + 7 * DAY, UTC), "27 Nov–3 Dec 2026");
        assert_eq!(span(AFTERNOON - 365 * DAY, AFTERNOON, UTC), "27 Nov 2025–27 Nov 2026");
    }

    #[test]
    fn marks_are_at_round_moments() {
        let at = |length: i64, most, zone| labels(marks(AFTERNOON - length, AFTERNOON, most, zone));
        assert_eq!(at(HOUR, 6, UTC), "13:10 13:20 13:30 13:40 13:50 14:00");
        assert_eq!(at(DAY, 8, UTC), "15:00 18:00 21:00 27 Nov 03:00 06:00 09:00 12:00");
        assert_eq!(at(7 * DAY, 8, UTC), "21 Nov 22 Nov 23 Nov 24 Nov 25 Nov 26 Nov 27 Nov");
        assert_eq!(at(30 * DAY, 5, UTC), "2 Nov 9 Nov 16 Nov 23 Nov", "Mondays");
        assert_eq!(at(365 * DAY, 12, UTC), "Dec 2026 Feb Mar Apr May Jun Jul Aug Sep Oct Nov");
        assert_eq!(at(365 * DAY, 6, UTC), "2026 Mar May Jul Sep Nov");
        assert_eq!(at(20 * 365 * DAY, 5, UTC), "2008 2012 2016 2020 2024");
        assert_eq!(at(60 * MINUTE, 1, BERLIN), "15:00");
    }

    #[test]
    fn midnight_stays_midnight_when_clocks_change() {
        let (from, to) = (1_792_890_000_000 - DAY, 1_792_890_000_000 + 2 * DAY);
        let found = marks(from, to, 3, BERLIN);
        assert!(found.iter().all(|mark| local(mark.at_ms, BERLIN) % DAY == 0), "{found:?}");
        assert_eq!(found[1].at_ms - found[0].at_ms, 25 * HOUR);
    }

    proptest! {
        #[test]
        fn months_begin_on_the_first(months in 0_i64..40_000) {
            prop_assert_eq!(civil(first_day(months)), (months / 12, months % 12, 1));
        }

        #[test]
        fn there_are_few_marks_and_all_are_inside(from in 0_i64..2_000_000_000_000, length in 60_000_i64..1_000_000_000_000, most in 1_usize..20) {
            let found = marks(from, from + length, most, BERLIN);
            prop_assert!(found.len() <= most + 1, "{:?}", found);
            prop_assert!(found.windows(2).all(|pair| pair[0].at_ms < pair[1].at_ms));
            prop_assert!(found.iter().all(|mark| (from..=from + length).contains(&mark.at_ms)));
        }
    }
}
