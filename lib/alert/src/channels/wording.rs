//! Words and numbers of texts.

/// A name without what would change the text around it: ends of lines, control characters, and letters that
/// turn its direction.
pub(crate) fn clean(text: &str) -> String {
    let letter = |letter: char| match letter {
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}' => None,
        '\u{2028}' | '\u{2029}' => Some(' '),
        letter if letter.is_control() => Some(' '),
        letter => Some(letter),
    };
    text.chars().filter_map(letter).collect()
}

/// The begin of a text that counts no more than `most`, with a sign that something is missing.
pub(crate) fn shorten(text: &str, most: usize, count: impl Fn(char) -> usize) -> String {
    let mut room = most;
    let fits = |letter: char, room: &mut usize| {
        let rest = room.checked_sub(count(letter));
        rest.map(|rest| *room = rest).is_some()
    };
    if text.chars().all(|letter| fits(letter, &mut room)) {
        return text.to_owned();
    }
    let mut room = most.saturating_sub(count('…'));
    let mut short: String = text.chars().take_while(|letter| fits(*letter, &mut room)).collect();
    short.push('…');
    short
}

/// An id as part of a header: letters, digits and `._-`; anything else by its number.
pub(crate) fn token(id: &str) -> String {
    let mut token = String::with_capacity(id.len());
    for byte in id.bytes() {
        if byte.is_ascii_alphanumeric() || b"._-".contains(&byte) {
            token.push(char::from(byte));
        } else {
            token.push_str(&format!("+{byte:02x}"));
        }
    }
    token
}

/// A length of time in its two largest units: `2 h 5 min`.
pub(crate) fn duration(ms: i64) -> String {
    let seconds = ms.max(0) / 1_000;
    let units = [(86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")];
    let first = units.iter().position(|(length, _)| seconds >= *length).unwrap_or(3);
    let (length, name) = units[first];
    let mut text = format!("{} {name}", seconds / length);
    if let Some((smaller, name)) = units.get(first + 1) {
        let rest = seconds % length / smaller;
        if rest > 0 {
            text.push_str(&format!(" {rest} {name}"));
        }
    }
    text
}

/// A value in an alert's unit: bytes per second as bits per second.
pub(crate) fn amount(value: f64, unit: &str) -> String {
    match unit {
        "bps" => {
            let units = [(1e9, "Gbit/s"), (1e6, "Mbit/s"), (1e3, "kbit/s"), (1.0, "bit/s")];
            let bits = value * 8.0;
            // 999,600 bit/s are 1.00 Mbit/s, not 1000 kbit/s.
            let fits = |length: f64| bits.abs() / length >= 0.9995;
            let (length, name) =
                units.into_iter().find(|(length, _)| fits(*length)).unwrap_or((1.0, "bit/s"));
            format!("{} {name}", number(bits / length))
        }
        "percent" => format!("{} %", number(value)),
        "ms" => format!("{} ms", number(value)),
        "s" => duration((value * 1_000.0) as i64),
        "celsius" => format!("{} °C", number(value)),
        "bytes" => {
            let units = [(1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")];
            let unit = units.into_iter().find(|(length, _)| value.abs() / length >= 0.9995);
            let (length, name) = unit.unwrap_or((1.0, "B"));
            format!("{} {name}", number(value / length))
        }
        _ => number(value),
    }
}

/// Three digits, or as many as are before the point.
fn number(value: f64) -> String {
    let places = match value.abs() {
        size if size >= 99.95 || size.fract() == 0.0 => 0,
        size if size >= 9.995 => 1,
        _ => 2,
    };
    format!("{value:.places$}")
}

/// A few names, and how many more there are: `a, b, c and 9 more`.
pub(crate) fn names(names: &[String], count: usize) -> String {
    let shown = if count <= 4 { names.len() } else { names.len().min(3) };
    let list = names[..shown].join(", ");
    match count.saturating_sub(shown) {
        0 => list,
        more => format!("{list} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_three_digits_and_their_unit() {
        for (value, unit, text) in [
            (123_125_000.0, "bps", "985 Mbit/s"),
            (124_937_500.0, "bps", "1.00 Gbit/s"),
            (1.0, "bps", "8 bit/s"),
            (0.0, "bps", "0 bit/s"),
            (94.25, "percent", "94.2 %"),
            (94.0, "percent", "94 %"),
            (12.345, "ms", "12.3 ms"),
            (7_500.0, "s", "2 h 5 min"),
            (3.0, "", "3"),
        ] {
            assert_eq!(amount(value, unit), text);
        }
    }

    #[test]
    fn lengths_of_time_have_two_units() {
        for (ms, text) in [
            (-5, "0 s"),
            (45_999, "45 s"),
            (60_000, "1 min"),
            (7_200_000, "2 h"),
            (7_500_000, "2 h 5 min"),
            (273_600_000, "3 d 4 h"),
        ] {
            assert_eq!(duration(ms), text);
        }
    }

    #[test]
    fn names_cannot_change_the_text_around_them() {
        assert_eq!(clean("a\r\nb\u{202e}c\u{2028}d\u{7f}👩‍🔧"), "a  bc d 👩‍🔧");
        assert_eq!(token("a b\r\n<é>"), "a+20b+0d+0a+3c+c3+a9+3e");
    }

    #[test]
    fn a_long_text_is_cut_between_letters() {
        assert_eq!(shorten("äöü", 6, char::len_utf8), "äöü");
        assert_eq!(shorten("äöü", 5, char::len_utf8), "ä…");
        assert_eq!(shorten("😀😀", 4, char::len_utf16), "😀😀");
        assert_eq!(shorten("😀😀", 3, char::len_utf16), "😀…");
    }

    #[test]
    fn many_names_are_counted() {
        let list: Vec<String> = ["a", "b", "c", "d"].map(str::to_owned).to_vec();
        assert_eq!(names(&list, 4), "a, b, c, d");
        assert_eq!(names(&list, 12), "a, b, c and 9 more");
        assert_eq!(names(&[], 0), "");
    }
}
