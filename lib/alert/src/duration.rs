//! Times as people write them: `90s`, `5m`, `1h 30m`, `7d`.

/// Units with how many milliseconds each is, the longest first.
const UNITS: [(&str, i64); 5] =
    [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];
/// The longest: thirty years.
const MAX_MS: i64 = 30 * 365 * 86_400_000;

/// Reads one or more numbers with units, in milliseconds; `None` if it is none, or longer than thirty years.
pub(crate) fn read(text: &str) -> Option<i64> {
    let mut rest = text.trim();
    let mut sum = 0_i64;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|letter: char| !letter.is_ascii_digit())?;
        let number: i64 = rest[..digits].parse().ok()?;
        let tail = rest[digits..].trim_start();
        let letters = tail.find(|letter: char| !letter.is_ascii_alphabetic()).unwrap_or(tail.len());
        let (_, unit_ms) = UNITS.iter().find(|(name, _)| *name == &tail[..letters])?;
        sum = number.checked_mul(*unit_ms)?.checked_add(sum).filter(|sum| *sum <= MAX_MS)?;
        rest = tail[letters..].trim_start();
    }
    Some(sum)
}

/// A time in words: `45 s`, `5 min`, `2 h 5 min`, `3 d`. Its two largest units at most.
pub(crate) fn show(ms: i64) -> String {
    let ms = ms.max(0);
    if ms < 1_000 {
        return format!("{ms} ms");
    }
    let seconds = ms / 1_000;
    let parts = [(seconds / 86_400, "d"), (seconds / 3_600 % 24, "h"), (seconds / 60 % 60, "min"), (seconds % 60, "s")];
    let shown = parts.iter().skip_while(|(number, _)| *number == 0).take(2);
    let shown: Vec<_> = shown.filter(|(number, _)| *number > 0).map(|(number, unit)| format!("{number} {unit}")).collect();
    shown.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_and_shown() {
        let read_and_shown = |text| read(text).map(show);
        for (text, shown) in [
            ("90s", "1 min 30 s"),
            ("5m", "5 min"),
            ("1h 30m", "1 h 30 min"),
            ("2h5m", "2 h 5 min"),
            ("7d", "7 d"),
            ("500 ms", "500 ms"),
            ("0s", "0 ms"),
        ] {
            assert_eq!(read_and_shown(text).as_deref(), Some(shown), "{text}");
        }
        for wrong in ["", "5", "m", "5 minutes", "-5m", "1.5h", "5m 3", "99999999999d", "５m"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
