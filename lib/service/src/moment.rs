//! Moments and lengths of time, as people write them in requests and on command lines. Pure.

use jiff::{Timestamp, fmt::temporal::Pieces};

const SECOND_MS: i64 = 1_000;
const MINUTE_MS: i64 = 60 * SECOND_MS;
const HOUR_MS: i64 = 60 * MINUTE_MS;
const DAY_MS: i64 = 24 * HOUR_MS;

/// A moment in Unix milliseconds: RFC 3339, Unix milliseconds, `-24h` and the like before `now_ms`, or `now`.
/// `None` if it is none of these. One beyond every calendar is the largest number.
pub fn moment_ms(text: &str, now_ms: i64) -> Option<i64> {
    if text == "now" {
        Some(now_ms)
    } else if let Some(ago) = text.strip_prefix('-').and_then(duration_ms) {
        now_ms.checked_sub(ago)
    } else if let Some(ms) = digits(text) {
        Some(ms)
    } else {
        date_ms(text)
    }
}

/// A date with a time and an offset.
fn date_ms(text: &str) -> Option<i64> {
    if let Ok(time) = text.parse::<Timestamp>() {
        return Some(time.as_millisecond());
    }
    // The end of the year 9999 is a date that is no timestamp.
    let pieces = Pieces::parse(text).ok()?;
    (pieces.offset().is_some() && pieces.date().year() == 9_999).then_some(i64::MAX)
}

/// A moment as people read it, to the minute, in UTC.
pub fn date(ms: i64) -> String {
    match Timestamp::from_millisecond(ms) {
        Ok(moment) => moment.strftime("%Y-%m-%d %H:%M UTC").to_string(),
        Err(_) => "for ever".to_owned(),
    }
}

/// A whole number with a unit (s, m, h, d, w), in milliseconds.
pub fn duration_ms(text: &str) -> Option<i64> {
    let unit = match text.bytes().last()? {
        b's' => SECOND_MS,
        b'm' => MINUTE_MS,
        b'h' => HOUR_MS,
        b'd' => DAY_MS,
        b'w' => 7 * DAY_MS,
        _ => return None,
    };
    digits(&text[..text.len() - 1])?.checked_mul(unit)
}

/// A number of digits alone, because a plus sign in a query string means a space. One that is too large is
/// the largest.
pub fn digits(text: &str) -> Option<i64> {
    let only_digits = text.bytes().all(|byte| byte.is_ascii_digit());
    (only_digits && !text.is_empty()).then(|| text.parse().unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_written_for_people() {
        assert_eq!(date(1_795_942_859_999), "2026-11-29 09:00 UTC");
        assert_eq!(date(i64::MAX), "for ever");
    }

    #[test]
    fn moments_are_read_in_each_of_their_forms() {
        let now = 1_795_942_800_000;
        assert_eq!(moment_ms("now", now), Some(now));
        assert_eq!(moment_ms("-24h", now), Some(now - DAY_MS));
        assert_eq!(moment_ms("2026-11-29T10:00:00+01:00", now), Some(now));
        assert_eq!(moment_ms("5", now), Some(5));
        assert_eq!(moment_ms("9999-12-31T23:59:59Z", now), Some(i64::MAX));
        for none in ["", "-", "-h", "+1h", "1h", "yesterday", "2026-11-29", "1.5"] {
            assert_eq!(moment_ms(none, now), None, "{none}");
        }
        assert_eq!(
            (duration_ms("2w"), duration_ms("h"), duration_ms("9223372036854775807w")),
            (Some(14 * DAY_MS), None, None)
        );
    }
}
