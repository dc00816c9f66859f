use proptest::prelude::*;

use super::*;

fn ms(text: &str) -> i64 {
    text.parse::<jiff::Timestamp>().unwrap().as_millisecond()
}

fn cycle(anchor: &str, length: &str, zone: &str) -> Cycle {
    let zone = Zone::named(zone).unwrap();
    Cycle::new(anchor.parse().unwrap(), length.parse().unwrap(), zone).unwrap()
}

/// Begin and end of the cycle in which a moment lies.
fn at(cycle: &Cycle, moment: &str) -> [String; 2] {
    let period = cycle.at(ms(moment)).unwrap();
    [period.from_ms, period.to_ms].map(|ms| jiff::Timestamp::from_millisecond(ms).unwrap().to_string())
}

/// The dates on which the cycles of a month from an anchor begin.
fn begins(anchor: &str, moments: &[&str]) -> Vec<String> {
    let cycle = cycle(anchor, "month", "UTC");
    moments.iter().map(|moment| at(&cycle, moment)[0][..10].to_owned()).collect()
}

#[test]
fn an_anchor_on_the_29th_to_31st_is_clamped_to_each_month_and_comes_back() {
    let middles =
        ["2026-01-31T12:00:00Z", "2026-03-05T00:00:00Z", "2026-04-05T00:00:00Z", "2026-05-05T00:00:00Z"];
    assert_eq!(begins("2026-01-31", &middles), ["2026-01-31", "2026-02-28", "2026-03-31", "2026-04-30"]);
    let middles = ["2026-03-05T00:00:00Z", "2026-03-29T00:00:00Z", "2028-03-05T00:00:00Z"];
    assert_eq!(begins("2025-12-29", &middles), ["2026-02-28", "2026-03-29", "2028-02-29"]);
    // Before the anchor, too.
    assert_eq!(begins("2026-01-31", &["2025-03-01T00:00:00Z"]), ["2025-02-28"]);
    let years = cycle("2028-02-29", "year", "UTC");
    assert_eq!(at(&years, "2029-06-01T00:00:00Z"), ["2029-02-28T00:00:00Z", "2030-02-28T00:00:00Z"]);
    assert_eq!(at(&years, "2032-06-01T00:00:00Z"), ["2032-02-29T00:00:00Z", "2033-02-28T00:00:00Z"]);
}

#[test]
fn the_billing_day_itself_belongs_to_the_new_cycle() {
    let monthly = cycle("2026-01-17", "month", "UTC");
    assert_eq!(at(&monthly, "2026-05-17T00:00:00Z")[0], "2026-05-17T00:00:00Z");
    assert_eq!(at(&monthly, "2026-05-16T23:59:59.999Z")[0], "2026-04-17T00:00:00Z");
}

#[test]
fn an_anchor_has_minutes() {
    let monthly = cycle("2026-01-10T22:30", "month", "Asia/Shanghai");
    assert_eq!(at(&monthly, "2026-11-29T00:00:00Z"), ["2026-11-10T14:30:00Z", "2026-12-10T14:30:00Z"]);
}

#[test]
fn midnight_that_does_not_exist_is_the_first_moment_of_the_day() {
    let daily = |zone| cycle("2026-01-01", "day", zone);
    // Cairo puts clocks forward at midnight of the last Friday in April, and back at the end of a Thursday.
    let cairo = daily("Africa/Cairo");
    assert_eq!(at(&cairo, "2026-04-24T12:00:00Z"), ["2026-04-23T22:00:00Z", "2026-04-24T21:00:00Z"]);
    assert_eq!(at(&cairo, "2026-10-29T12:00:00Z"), ["2026-10-28T21:00:00Z", "2026-10-29T22:00:00Z"]);
    // Beirut on the last Sundays of March and October.
    let beirut = daily("Asia/Beirut");
    assert_eq!(at(&beirut, "2026-03-29T12:00:00Z"), ["2026-03-28T22:00:00Z", "2026-03-29T21:00:00Z"]);
    assert_eq!(at(&beirut, "2026-10-24T12:00:00Z"), ["2026-10-23T21:00:00Z", "2026-10-24T22:00:00Z"]);
    // An anchor within the hour that is skipped: when clocks jump over it.
    let skipped = cycle("2026-01-24T00:30", "month", "Africa/Cairo");
    assert_eq!(at(&skipped, "2026-05-01T00:00:00Z")[0], "2026-04-23T22:00:00Z");
    // Midnight that comes twice, in Havana: the first. In a year of which all versions of the rules agree.
    let havana = daily("America/Havana");
    assert_eq!(at(&havana, "2024-11-03T12:00:00Z"), ["2024-11-03T04:00:00Z", "2024-11-04T05:00:00Z"]);
}

#[test]
fn zones_of_half_and_quarter_hours_have_their_own_midnights() {
    for (zone, begin) in [
        ("Asia/Kolkata", "2026-11-30T18:30:00Z"),
        ("Asia/Kathmandu", "2026-11-30T18:15:00Z"),
        ("Pacific/Chatham", "2026-11-30T10:15:00Z"),
        ("Australia/Lord_Howe", "2026-11-30T13:00:00Z"),
        ("America/St_Johns", "2026-12-01T03:30:00Z"),
        ("Europe/Zurich", "2026-11-30T23:00:00Z"),
        ("UTC", "2026-12-01T00:00:00Z"),
    ] {
        let monthly = Cycle::calendar(Length::one(CycleUnit::Month), Zone::named(zone).unwrap(), 0).unwrap();
        assert_eq!(at(&monthly, "2026-12-15T00:00:00Z")[0], begin, "{zone}");
    }
    // Clocks of Lord Howe are put forward by half an hour.
    let day = cycle("2026-01-01", "day", "Australia/Lord_Howe").at(ms("2026-10-04T00:00:00Z")).unwrap();
    assert_eq!(day.length_ms(), 47 * HOUR_MS / 2);
}

#[test]
fn hours_are_those_that_clocks_show() {
    let hour = |zone, now: &str| {
        let hours =
            Cycle::calendar(Length::one(CycleUnit::Hour), Zone::named(zone).unwrap(), ms(now)).unwrap();
        at(&hours, now)[0].clone()
    };
    assert_eq!(hour("Asia/Kathmandu", "2026-11-29T09:20:00Z"), "2026-11-29T09:15:00Z");
    assert_eq!(hour("Australia/Lord_Howe", "2026-07-01T09:20:00Z"), "2026-07-01T08:30:00Z");
    assert_eq!(hour("Australia/Lord_Howe", "2026-12-01T09:20:00Z"), "2026-12-01T09:00:00Z");
}

#[test]
fn weeks_of_the_calendar_begin_on_monday() {
    let weekly = Cycle::calendar(Length::one(CycleUnit::Week), Zone::UTC, 0).unwrap();
    assert_eq!(at(&weekly, "2026-11-29T12:00:00Z"), ["2026-11-23T00:00:00Z", "2026-11-30T00:00:00Z"]);
    let fortnights = cycle("2026-11-23", "2 weeks", "UTC");
    assert_eq!(at(&fortnights, "2026-12-05T12:00:00Z"), ["2026-11-23T00:00:00Z", "2026-12-07T00:00:00Z"]);
}

#[test]
fn a_day_that_a_zone_skipped_is_an_empty_cycle() {
    // Samoa went to bed on Thursday and rose on Saturday.
    let daily = cycle("2011-12-01", "day", "Pacific/Apia");
    let days = daily.last(3, ms("2011-12-30T12:00:00Z"));
    assert_eq!(days.iter().map(|day| day.length_ms() / HOUR_MS).collect::<Vec<_>>(), [24, 0, 24]);
}

#[test]
fn the_last_cycles_are_listed_oldest_first_and_none_before_1970() {
    let monthly = cycle("2026-01-31", "month", "UTC");
    let last = monthly.last(3, ms("2026-04-10T00:00:00Z"));
    assert_eq!(last.len(), 3);
    assert_eq!((last[0].from_ms, last[2].to_ms), (ms("2026-01-31T00:00:00Z"), ms("2026-04-30T00:00:00Z")));
    assert_eq!(monthly.last(1_000, ms("1970-03-01T00:00:00Z")).len(), 3);
}

#[test]
fn lengths_are_read_as_they_are_written() {
    for text in ["hour", "day", "week", "month", "year", "2 weeks", "1000 hours"] {
        assert_eq!(text.parse::<Length>().unwrap().text(), text);
    }
    for wrong in ["", "fortnight", "0 days", "-1 days", "1001 days", "2  weeks", "weeks 2"] {
        assert!(wrong.parse::<Length>().is_err(), "{wrong}");
    }
}

#[test]
fn names_of_zones_are_no_paths() {
    for wrong in ["", "Mars/Olympus", "../../etc/passwd", "/etc/localtime", "Europe/Zürich", "+01:00"] {
        assert!(Zone::named(wrong).is_err(), "{wrong}");
    }
    let zurich = Zone::named("europe/zurich").unwrap();
    assert_eq!(zurich.name(), "Europe/Zurich");
    assert_eq!(zurich.show(ms("2026-11-30T23:00:00Z")), "2026-12-01T00:00:00+01:00");
}

fn zone() -> impl Strategy<Value = Zone> {
    let names = [
        "UTC",
        "Africa/Cairo",
        "Asia/Beirut",
        "Asia/Kathmandu",
        "Asia/Kolkata",
        "Europe/Zurich",
        "Pacific/Apia",
        "Australia/Lord_Howe",
        "Pacific/Chatham",
        "America/Havana",
        "America/St_Johns",
        "America/New_York",
    ];
    proptest::sample::select(names.to_vec()).prop_map(|name| Zone::named(name).unwrap())
}

fn any_cycle() -> impl Strategy<Value = Cycle> {
    let units = [CycleUnit::Hour, CycleUnit::Day, CycleUnit::Week, CycleUnit::Month, CycleUnit::Year];
    let anchor = (1_980_i16..2_060, 1_i8..=12, 1_i8..=31, 0_i8..24, 0_i8..60);
    (anchor, proptest::sample::select(units.to_vec()), 1_u32..40, zone()).prop_map(
        |((year, month, day, hour, minute), unit, count, zone)| {
            let first = Date::new(year, month, 1).unwrap();
            let anchor =
                Date::new(year, month, day.min(first.days_in_month())).unwrap().at(hour, minute, 0, 0);
            Cycle::new(anchor, Length { unit, count: NonZeroU32::new(count).unwrap() }, zone).unwrap()
        },
    )
}

/// From 1990 to 2050.
fn moment() -> impl Strategy<Value = i64> {
    631_152_000_000_i64..2_524_608_000_000
}

proptest! {
    #[test]
    fn cycles_tile_time_without_gap_or_overlap(cycle in any_cycle(), moment in moment()) {
        let period = cycle.at(moment).unwrap();
        prop_assert!(period.contains(moment));
        prop_assert_eq!(cycle.at(period.to_ms - 1), Some(period));
        prop_assert_eq!(cycle.at(period.from_ms), Some(period));
        let last = cycle.last(20, moment);
        prop_assert_eq!(last.last(), Some(&period));
        prop_assert!(last.windows(2).all(|pair| pair[0].to_ms == pair[1].from_ms));
        prop_assert_eq!(period.from_ms % 60_000, 0);
    }

    #[test]
    fn a_cycle_is_the_sum_of_its_days(zone in zone(), moment in moment(), seed in any::<u64>()) {
        let calendar = |unit| Cycle::calendar(Length::one(unit), zone.clone(), moment).unwrap();
        let month = calendar(CycleUnit::Month).at(moment).unwrap();
        let days: Vec<Period> = calendar(CycleUnit::Day).last(40, month.to_ms - 1);
        let days = days.iter().filter(|day| day.to_ms > month.from_ms);
        // Every quarter of an hour moves another number of bytes, which follows from its time.
        let used = |period: Period| {
            let quarters = period.from_ms.div_euclid(900_000)..period.to_ms.div_euclid(900_000);
            quarters.map(|quarter| (quarter as u64).wrapping_mul(seed) >> 32).sum::<u64>()
        };
        prop_assert_eq!(days.map(|day| used(*day)).sum::<u64>(), used(month));
    }
}
