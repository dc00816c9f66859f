use super::*;

/// A sample of `bytes` received and half as many sent in the second before `at_ms`.
fn sample(boot: u64, seq: u64, at_ms: i64, bytes: u64, sum: u64) -> AckedSample {
    AckedSample {
        node: "a".to_owned(),
        boot,
        seq,
        at_ms,
        elapsed_ms: 1_000,
        rx_bytes: bytes,
        tx_bytes: bytes / 2,
        rx_sum: sum,
        tx_sum: sum / 2,
    }
}

fn of(samples: &[AckedSample]) -> Expected {
    expect(samples).remove("a").unwrap()
}

#[test]
fn an_average_is_bytes_over_covered_time() {
    // 3 s of 100, 200 and 600 bytes, and one 20 s earlier, which only the longer windows include.
    let expected = of(&[
        sample(1, 1, 100_000, 50, 50),
        sample(1, 2, 120_000, 100, 150),
        sample(1, 3, 121_000, 200, 350),
        sample(1, 4, 122_000, 600, 950),
    ]);
    assert_eq!(expected.rx_avg, [Some(300.0), Some(237.5), Some(237.5), Some(237.5)]);
    assert_eq!(expected.tx_avg[0], Some(150.0));
    assert_eq!((expected.rx_total, expected.tx_total, expected.samples), (950, 475, 4));
}

#[test]
fn windows_are_cut_at_whole_buckets_of_the_hosts_clock() {
    // The newest is in second 19: second 10 is within its 10 s, second 9 is not.
    let expected = of(&[
        sample(1, 1, 9_999, 1_000, 1_000),
        sample(1, 2, 10_000, 10, 1_010),
        sample(1, 3, 19_001, 20, 1_030),
    ]);
    assert_eq!(expected.rx_avg[0], Some(15.0));
    // Quarter 60 is the last of the 15 minutes that begin with quarter 1.
    let expected =
        of(&[sample(1, 1, 14_999, 7, 7), sample(1, 2, 15_000, 10, 17), sample(1, 3, 900_000, 30, 47)]);
    assert_eq!(expected.rx_avg, [Some(30.0), Some(30.0), Some(30.0), Some(20.0)]);
}

#[test]
fn duplicates_and_disorder_change_nothing() {
    let samples = [sample(1, 1, 1_000, 10, 10), sample(1, 2, 2_000, 20, 30), sample(1, 3, 3_000, 30, 60)];
    let mangled: Vec<AckedSample> = [2, 0, 1, 2, 0].map(|place| samples[place].clone()).to_vec();
    assert_eq!(of(&mangled), of(&samples));
}

#[test]
fn a_gap_counts_in_totals_only() {
    let mut gap = sample(1, 2, 70_000, 5_000, 5_010);
    gap.elapsed_ms = 65_536;
    let expected = of(&[sample(1, 1, 1_000, 10, 10), gap.clone()]);
    assert_eq!(expected.rx_avg, [None, None, Some(10.0), Some(10.0)]);
    assert_eq!(expected.rx_total, 5_010);
    gap.elapsed_ms = 65_535;
    assert_eq!(of(&[gap]).rx_avg[0], Some(5_000_000.0 / 65_535.0));
}

#[test]
fn runs_add_up_and_all_count_in_the_windows() {
    let expected = of(&[
        sample(1, 1, 1_000, 10, 10),
        sample(1, 2, 2_000, 20, 30),
        sample(2, 1, 3_000, 60, 60),
        sample(1, 3, 2_500, 30, 60),
    ]);
    assert_eq!((expected.rx_avg[0], expected.rx_total, expected.samples), (Some(30.0), 120, 4));
}

#[test]
fn a_clock_put_back_beyond_the_windows_starts_them_again() {
    let before = [sample(1, 1, 10_000_000, 10, 10), sample(1, 2, 10_001_000, 20, 30)];
    let after = [sample(1, 3, 6_402_000, 60, 90), sample(1, 4, 6_403_000, 80, 170)];
    // The order in which they were acknowledged does not matter.
    let expected = of(&[after[0].clone(), before[1].clone(), after[1].clone(), before[0].clone()]);
    assert_eq!(expected.rx_avg, [Some(70.0); 4]);
    assert_eq!(expected.rx_total, 170);
    // After a smaller step back, the windows still end where they ended.
    let expected =
        of(&[before[0].clone(), sample(1, 2, 9_990_000, 60, 70), sample(1, 3, 9_991_000, 80, 150)]);
    assert_eq!(expected.rx_avg, [Some(45.0), Some(50.0), Some(50.0), Some(50.0)]);
}

#[test]
fn a_quotient_is_rounded_to_the_nearest() {
    assert_eq!(quotient(0, 7), 0.0);
    assert_eq!(quotient(21_000, 3), 7_000.0);
    assert_eq!(quotient(1, 3), 1.0 / 3.0);
    assert_eq!(quotient(10, 3_000_000_000), 10.0 / 3_000_000_000.0);
    // Halfway between two values: the even one, and a little more than halfway: the upper one.
    assert_eq!(quotient((1 << 54) + 2, 1), (1_u64 << 54) as f64);
    assert_eq!(quotient((1 << 56) + 9, 1), ((1_u64 << 56) + 16) as f64);
    for numerator in (1..1_u64 << 50).step_by(987_654_321_987) {
        assert_eq!(quotient(u128::from(numerator), 59_999), numerator as f64 / 59_999.0);
    }
}
