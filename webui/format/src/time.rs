//! Ages and durations.

const UNITS: [(u64, &str); 4] = [(86_400, "d"), (3600, "h"), (60, "min"), (1, "s")];

/// An age, coarse: `7 s`, `3 min`, `2 h`, `4 d`.
pub fn age(age_ms: u64) -> String {
    let seconds = age_ms / 1000;
    let (length, unit) = UNITS.into_iter().find(|(length, _)| seconds >= *length).unwrap_or((1, "s"));
    (seconds / length).to_string() + " " + unit
}

/// An age of moments, in tenths of a second: `0.4 s`. From ten seconds on it is coarse.
pub fn moments(age_ms: f64) -> String {
    let seconds = age_ms / 1000.0;
    if seconds < 9.95 { super::fixed(seconds, 1) + " s" } else { age(age_ms as u64) }
}

/// A duration in its two largest units: `12 d 4 h`, `3 min 20 s`, `7 s`.
pub fn duration(seconds: u64) -> String {
    let at = UNITS.iter().position(|(length, _)| seconds >= *length).unwrap_or(UNITS.len() - 1);
    let mut text = age(seconds.saturating_mul(1000));
    if let Some((length, unit)) = UNITS.get(at + 1) {
        let rest = seconds % UNITS[at].0 / length;
        if rest > 0 {
            text = text + " " + &rest.to_string() + " " + unit;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_coarse() {
        for (age_ms, text) in
            [(0, "0 s"), (7999, "7 s"), (60_000, "1 min"), (7_199_000, "1 h"), (86_400_000 * 4, "4 d")]
        {
            assert_eq!(age(age_ms), text);
        }
    }

    #[test]
    fn moments_are_written_in_tenths_of_a_second() {
        assert_eq!([0.0, 120.0, 1_040.0, 9_949.0].map(moments), ["0.0 s", "0.1 s", "1.0 s", "9.9 s"]);
        assert_eq!([9_950.0, 10_000.0, 61_000.0].map(moments), ["9 s", "10 s", "1 min"]);
    }

    #[test]
    fn durations_have_two_units_at_most() {
        for (seconds, text) in [
            (0, "0 s"),
            (59, "59 s"),
            (200, "3 min 20 s"),
            (3600, "1 h"),
            (86_400 * 12 + 4 * 3600 + 59, "12 d 4 h"),
        ] {
            assert_eq!(duration(seconds), text);
        }
    }
}
