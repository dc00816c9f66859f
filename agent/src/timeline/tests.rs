use proptest::prelude::*;

use super::*;

const HOUR_MS: i64 = 3_600_000;

/// Ticks once a second from the anchor on, while the wall clock is ahead of true time by `off_ms(second)`.
/// Returns, for each tick, how far its time is ahead of true time, and whether it is a gap.
fn skews(seconds: u64, off_ms: impl Fn(u64) -> i64) -> Vec<(i64, bool)> {
    let true_ms = |second: u64| 1_800_000_000_000 + whole(second * 1_000);
    let mut times = Timeline::new(0, true_ms(0) + off_ms(0));
    let mut tick = |second: u64| {
        let tick = times.tick(second * 1_000, true_ms(second) + off_ms(second));
        (tick.at_ms - true_ms(second), tick.gap)
    };
    (1..=seconds).map(&mut tick).collect()
}

fn gaps(skews: &[(i64, bool)]) -> usize {
    skews.iter().filter(|(_, gap)| *gap).count()
}

#[test]
fn time_comes_from_the_monotonic_clock() {
    let mut times = Timeline::new(10, 1_000_000);
    assert_eq!(times.tick(1_010, 1_001_003), Tick { at_ms: 1_001_000, elapsed_ms: 1_000, gap: false });
    // The clock is set back by an hour, which has no effect yet.
    assert_eq!(times.tick(2_010, -2_600_000), Tick { at_ms: 1_002_000, elapsed_ms: 1_000, gap: false });
}

#[test]
fn a_suspension_is_a_gap_and_moves_the_anchor_forward() {
    let mut times = Timeline::new(0, 0);
    assert_eq!(times.tick(1_000, 3_601_000), Tick { at_ms: 3_601_000, elapsed_ms: 1_000, gap: true });
    assert_eq!(times.tick(2_000, 3_602_000), Tick { at_ms: 3_602_000, elapsed_ms: 1_000, gap: false });
}

#[test]
fn a_clock_set_back_by_hours_is_followed_after_ten_seconds_with_one_gap() {
    // Eight hours ahead, as a clock in local time that is read as UTC; then the time service corrects it.
    let skews = skews(60, |second| if second < 20 { 8 * HOUR_MS } else { 0 });
    assert_eq!(skews[18], (8 * HOUR_MS, false));
    let healed = skews.iter().position(|(skew_ms, _)| *skew_ms == 0).unwrap();
    // Tick 20 is the first behind; tick 19 was the last that was not.
    assert_eq!((healed + 1, skews[healed].1, gaps(&skews)), (29, true, 1));
    assert!(skews[healed..].iter().all(|(skew_ms, _)| *skew_ms == 0));
}

#[test]
fn a_clock_set_forward_is_followed_at_once_with_one_gap() {
    for from_ms in [-8 * HOUR_MS, -1_800_000_000_000, -3_000] {
        let skews = skews(60, |second| if second < 20 { from_ms } else { 0 });
        assert_eq!((skews[18], skews[19], gaps(&skews)), ((from_ms, false), (0, true), 1));
    }
}

#[test]
fn whatever_is_wrong_with_a_clock_is_mended_within_a_minute() {
    for step_ms in [80, 900, 1_999, 2_001, 5_000, 44_000, 46_000, 61_000, 300_000, 900_000, 50 * HOUR_MS] {
        for off_ms in [step_ms, -step_ms] {
            let skews = skews(100, |second| if second < 20 { off_ms } else { 0 });
            assert!(
                skews[79..].iter().all(|(skew_ms, _)| skew_ms.abs() <= TOLERANCE_MS),
                "{off_ms}: {skews:?}"
            );
            assert!(gaps(&skews) <= 1, "{off_ms}");
        }
    }
}

#[test]
fn a_clock_that_is_set_to_and_fro_is_not_followed_back() {
    let skews = skews(600, |second| if second / 5 % 2 == 1 { HOUR_MS } else { 0 });
    assert!(skews[10..].iter().all(|skew| *skew == (HOUR_MS, false)));
    // Once it rests, it is.
    let rests = skews_then_rest();
    assert_eq!(rests, 1);
}

/// How many gaps there are after an hour of stepping each second, when the clock is right again.
fn skews_then_rest() -> usize {
    let skews = skews(3_700, |second| if second < 3_600 && second % 2 == 1 { HOUR_MS } else { 0 });
    assert_eq!(skews[3_650].0, 0);
    gaps(&skews[3_600..])
}

#[test]
fn a_node_that_reports_once_a_minute_follows_at_its_next_report() {
    let mut times = Timeline::new(0, HOUR_MS);
    assert_eq!(times.tick(60_000, HOUR_MS + 60_000).at_ms, HOUR_MS + 60_000);
    assert_eq!(times.tick(120_000, 120_000), Tick { at_ms: 120_000, elapsed_ms: 60_000, gap: true });
}

proptest! {
    #[test]
    fn whatever_the_wall_clock_does_time_falls_only_in_gaps_and_elapsed_adds_up(
        steps in proptest::collection::vec((0_u64..5_000, -1_i64 << 40..1_i64 << 40), 1..50),
    ) {
        let mut times = Timeline::new(0, 0);
        let (mut now_ms, mut last_at_ms, mut sum_ms) = (0, 0, 0);
        for (step_ms, wall_ms) in steps {
            now_ms += step_ms;
            let tick = times.tick(now_ms, wall_ms);
            sum_ms += u64::from(tick.elapsed_ms);
            prop_assert!(tick.gap || tick.at_ms >= last_at_ms);
            prop_assert_eq!(sum_ms, now_ms);
            last_at_ms = tick.at_ms;
        }
    }
}
