//! Letters without regard to case.

/// The text in lower case.
///
/// The standard library's tables for all scripts would weigh 6 KB of the page's 150, and every browser has its own.
pub fn lower(text: &str) -> String {
    if text.is_ascii() { text.to_ascii_lowercase() } else { lower_any(text) }
}

/// Whether `text` holds `word`. Texts are short: the standard library's search for long ones would be slower to load than
/// it is faster.
pub fn holds(text: &str, word: &str) -> bool {
    let (text, word) = (text.as_bytes(), word.as_bytes());
    let Some((first, rest)) = word.split_first() else { return true };
    let Some(last) = text.len().checked_sub(word.len()) else { return false };
    // Comparing whole words would be a call for each letter of ten thousand texts.
    (0..=last).any(|at| text[at] == *first && text[at + 1..at + word.len()] == *rest)
}

/// The value of a hexadecimal digit.
pub fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|value| value as u8)
}

#[cfg(target_arch = "wasm32")]
fn lower_any(text: &str) -> String {
    js_sys::JsString::from(text).to_lower_case().into()
}

#[cfg(not(target_arch = "wasm32"))]
fn lower_any(text: &str) -> String {
    text.to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn case_is_folded_in_all_scripts() {
        assert_eq!((&*lower("Web-01"), &*lower("ÖSLO")), ("web-01", "öslo"));
    }

    proptest! {
        #[test]
        fn a_word_is_found_where_it_is(text in "[abø ]{0,12}", word in "[abø]{0,3}") {
            prop_assert_eq!(holds(&text, &word), text.contains(&word));
        }
    }
}
