//! What of a typed name is seen, by the properties of Unicode.

use unicode_joining_type::{JoiningType, get_joining_type};
use unicode_normalization::{UnicodeNormalization, char::canonical_combining_class};

/// The combining class of a virama, which takes the vowel from a consonant of an Indic script.
const VIRAMA: u8 = 9;
/// The frame of a key around the digit before it.
const KEYCAP: char = '\u{20e3}';

/// The name without what nobody sees, composed (NFC). Cleaning it again changes nothing.
pub(super) fn cleaned(text: &str) -> String {
    let mut text: String = text.nfc().collect();
    loop {
        // What was between two letters may have kept them from composing.
        let seen: String = unquoted(&seen(&text)).nfc().collect();
        if seen == text {
            return seen;
        }
        text = seen;
    }
}

fn seen(text: &str) -> String {
    let mut seen = String::with_capacity(text.len());
    for (at, letter) in text.char_indices() {
        let next = || text[at + letter.len_utf8()..].chars().find(|next| !is_ignorable(*next));
        let is_seen = match letter {
            '\u{200c}' | '\u{200d}' => is_shaped(&seen) && next().is_some_and(|next| !next.is_ascii()),
            '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}' | '\u{180b}'..='\u{180d}' | '\u{180f}' => {
                has_variants(&seen, next())
            }
            '\u{e0020}'..='\u{e007f}' => base(&seen).is_some_and(is_picture),
            other => other.is_whitespace() || !(other.is_control() || is_ignorable(other)),
        };
        if is_seen {
            seen.push(if letter.is_whitespace() { ' ' } else { letter });
        }
    }
    seen
}

/// The text without the blanks around it, and without the pair of quotes that `docker run --env-file` keeps.
fn unquoted(text: &str) -> &str {
    let text = text.trim();
    let between = |quote: char| text.strip_prefix(quote)?.strip_suffix(quote);
    between('"').or_else(|| between('\'')).map_or(text, unquoted)
}

/// The last character that is no mark on another.
fn base(before: &str) -> Option<char> {
    before.chars().rev().find(|letter| get_joining_type(*letter) != JoiningType::Transparent)
}

/// Whether a joiner after this text may change how it is drawn: in scripts whose letters join, after a
/// virama, and in emoji.
fn is_shaped(before: &str) -> bool {
    let Some(last) = before.chars().next_back() else { return false };
    let joins = |letter| get_joining_type(letter) != JoiningType::NonJoining;
    let is_joiner = ['\u{200c}', '\u{200d}'].contains(&last);
    let after = || base(before).is_some_and(|base| joins(base) || is_picture(base));
    !is_joiner && (canonical_combining_class(last) == VIRAMA || after())
}

/// Whether a variation selector after this text may choose between two forms of its last character. Letters
/// with capitals have one, digits only within a key of a keyboard.
fn has_variants(before: &str, next: Option<char>) -> bool {
    before.chars().next_back().is_some_and(|last| {
        let is_plain = last.is_ascii() || last.is_lowercase() || last.is_uppercase();
        !is_ignorable(last) && (!is_plain || next == Some(KEYCAP))
    })
}

/// Whether this is an emoji or another sign, and no letter.
fn is_picture(letter: char) -> bool {
    !(letter.is_ascii() || letter.is_alphanumeric())
}

/// `Default_Ignorable_Code_Point`, with the marks of interlinear notes, which are not drawn either. Ranges
/// hold what is still unassigned in them, so a new version of Unicode changes nothing.
fn is_ignorable(letter: char) -> bool {
    matches!(letter,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' |
        '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' |
        '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' |
        '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' |
        '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_look_the_same_are_the_same() {
        for blank in
            ["\u{a0}", "\u{3000}", "\u{2003}", "\u{202f}", "\u{205f}", "\u{1680}", "\t", "\u{85}", "\u{2028}"]
        {
            assert_eq!(cleaned(&format!("{blank}web{blank}01{blank}")), "web 01", "{blank:?}");
        }
        for nothing in [
            "\u{ad}",
            "\u{34f}",
            "\u{200b}",
            "\u{200c}",
            "\u{200d}",
            "\u{200e}",
            "\u{2060}",
            "\u{2064}",
            "\u{feff}",
            "\u{202e}",
            "\u{2066}",
            "\u{2069}",
            "\u{61c}",
            "\u{3164}",
            "\u{ffa0}",
            "\u{115f}",
            "\u{180e}",
            "\u{fff9}",
            "\u{1d173}",
            "\u{e0041}",
            "\u{7}",
            "\u{9f}",
        ] {
            assert_eq!(cleaned(&format!("{nothing}web-{nothing}01{nothing}")), "web-01", "{nothing:?}");
            assert_eq!(cleaned(&format!("香{nothing}港{nothing}")), "香港", "{nothing:?}");
            assert_eq!(cleaned(nothing), "", "{nothing:?}");
        }
        assert_eq!(cleaned("\u{fe0f}web\u{200d}\u{200b}\u{fe0f}01\u{fe0f}"), "web01");
        assert_eq!(cleaned("👨\u{200d}\u{200d}\u{200b}👩"), "👨\u{200d}👩");
        assert_eq!(cleaned("e\u{200b}\u{301}"), "é");
    }

    #[test]
    fn what_changes_how_a_name_is_drawn_stays() {
        for name in [
            "👨\u{200d}👩\u{200d}👧",
            "🏳\u{fe0f}\u{200d}🌈",
            "👩🏽\u{200d}💻",
            "🏴\u{e0067}\u{e0062}\u{e0073}\u{e0063}\u{e0074}\u{e007f}",
            "می\u{200c}خواهم",
            "ک\u{650}\u{200c}ه",
            "क्\u{200d}ष",
            "ক্\u{200c}ষ",
            "葛\u{e0100}城",
            "1\u{fe0f}\u{20e3}",
            "a  b",
        ] {
            assert_eq!(cleaned(name), name);
        }
    }
}
