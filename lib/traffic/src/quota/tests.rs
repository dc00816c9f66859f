use proptest::prelude::*;

use super::*;

const DAY_MS: i64 = 24 * HOUR_MS;
/// Thirty days.
const MONTH: Period = Period { from_ms: 1_000 * DAY_MS, to_ms: 1_030 * DAY_MS };

fn after(days: i64) -> i64 {
    MONTH.from_ms + days * DAY_MS
}

fn quota(bytes: u64) -> Quota {
    Quota::new(bytes, None).unwrap()
}

#[test]
fn thresholds_are_80_90_and_100_unless_given() {
    let reached = |used| quota(1_000).standing(used, 0, MONTH, after(15)).threshold;
    assert_eq!(
        [0, 799, 800, 899, 900, 999, 1_000, 5_000].map(reached),
        [None, None, Some(80), Some(80), Some(90), Some(90), Some(100), Some(100)]
    );
    assert_eq!(Quota::new(1, Some(vec![150, 50, 50])).unwrap().thresholds(), [50, 150]);
    for wrong in [vec![0], vec![1_001], (1..=21).collect()] {
        assert_eq!(Quota::new(1, Some(wrong)), Err(WrongThresholds));
    }
}

#[test]
fn the_forecast_is_what_was_used_at_the_same_pace_to_the_end() {
    let standing = quota(1_000).standing(500, 0, MONTH, after(10));
    assert_eq!((standing.forecast_bytes, standing.percent, standing.left_bytes), (Some(1_500), 50.0, 500));
    assert_eq!(standing.exceeded_at_ms, Some(after(20)));
    // Half of it in half of the time: the end itself is the next cycle's.
    assert_eq!(quota(1_000).standing(500, 0, MONTH, after(15)).exceeded_at_ms, None);
    // 90 % used at 77 % of the month.
    let early = quota(1_000).standing(900, 0, MONTH, after(30) - 7 * DAY_MS);
    assert_eq!((early.forecast_bytes, early.exceeded_at_ms.is_some()), (Some(1_173), true));
}

#[test]
fn the_forecast_is_hidden_at_the_begin_of_a_cycle_and_after_its_end() {
    let forecast = |period, until_ms| super::forecast(100, period, until_ms).is_some();
    assert!(!forecast(MONTH, MONTH.from_ms) && !forecast(MONTH, MONTH.from_ms + HOUR_MS - 1));
    assert!(forecast(MONTH, MONTH.from_ms + HOUR_MS) && !forecast(MONTH, MONTH.to_ms));
    let hour = Period { from_ms: 0, to_ms: HOUR_MS };
    assert!(!forecast(hour, 35_999) && forecast(hour, 36_000));
    let nothing = Period { from_ms: 5, to_ms: 5 };
    assert!(!forecast(nothing, 5));
}

#[test]
fn a_correction_counts_once_and_is_not_extrapolated() {
    let standing = quota(1_000).standing(100, 400, MONTH, after(10));
    assert_eq!((standing.used_bytes, standing.forecast_bytes), (500, Some(700)));
    let less = quota(1_000).standing(100, -400, MONTH, after(10));
    assert_eq!((less.used_bytes, less.forecast_bytes, less.threshold), (0, Some(0), None));
    // 600 of 1,000 are left to what is measured, at 10 a day.
    assert_eq!(quota(500).standing(100, 250, MONTH, after(10)).exceeded_at_ms, Some(after(25)));
}

#[test]
fn a_quota_of_nothing_is_used_up_by_one_byte() {
    let at = |used| quota(0).standing(used, 0, MONTH, after(10));
    assert_eq!((at(0).percent, at(0).threshold), (0.0, None));
    assert_eq!((at(1).percent, at(1).threshold), (100.0, Some(100)));
}

proptest! {
    #[test]
    fn the_moment_of_exceeding_fits_the_forecast(
        used in 0_u64..1 << 62,
        bytes in 1_u64..1 << 62,
        until_ms in MONTH.from_ms..MONTH.to_ms,
    ) {
        let standing = quota(bytes).standing(used, 0, MONTH, until_ms);
        prop_assert!(standing.percent.is_finite());
        if let Some(at_ms) = standing.exceeded_at_ms {
            prop_assert!(at_ms >= until_ms - 1 && MONTH.contains(at_ms));
            prop_assert!(standing.forecast_bytes.unwrap() >= bytes);
        }
    }
}
