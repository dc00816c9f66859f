//! Smaller replacements of functions of the standard library: some call functions that every browser
//! provides, others are simpler because texts are short and values are finite.

use std::f64::consts::LN_2;

macro_rules! functions_of_the_browser {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        $(
            $(#[$doc])*
            pub fn $name(x: f64) -> f64 {
                #[cfg(target_arch = "wasm32")]
                return js_sys::Math::$name(x);
                #[cfg(not(target_arch = "wasm32"))]
                return x.$name();
            }
        )*
    };
}

// Own implementations would add 6 KB to the page, compressed.
functions_of_the_browser! {
    /// The sine of an angle in radians.
    sin,
    /// The cosine of an angle in radians.
    cos,
    /// The tangent of an angle in radians.
    tan,
    /// e to the power of `x`.
    exp,
    /// The logarithm to the base two.
    log2,
    /// The inverse hyperbolic sine.
    asinh,
}

/// Two to the power of `x`.
pub fn exp2(x: f64) -> f64 {
    exp(x * LN_2)
}

/// The length of the hypotenuse. Exact enough for pixels, which are nowhere near the range's ends.
pub fn hypot(x: f64, y: f64) -> f64 {
    (x * x + y * y).sqrt()
}

/// The value, limited to the range.
///
/// `f64::clamp` prints its limits when they are the wrong way round, and so links all float formatting: 9 KB,
/// compressed.
pub fn clamp(value: f64, low: f64, high: f64) -> f64 {
    value.max(low).min(high)
}

/// [`clamp`] for single precision.
pub fn clamp_f32(value: f32, low: f32, high: f32) -> f32 {
    value.max(low).min(high)
}

/// The text in lower case. The standard library's tables for all scripts would weigh 6 KB, and every browser
/// has its own.
pub fn lowercase(text: &str) -> String {
    if text.is_ascii() { text.to_ascii_lowercase() } else { lowercase_any(text) }
}

/// Whether `text` contains `word`. Texts are short, and loading the standard library's search for long texts
/// would take longer than it saves.
pub fn contains(text: &str, word: &str) -> bool {
    let (text, word) = (text.as_bytes(), word.as_bytes());
    let Some((first, rest)) = word.split_first() else { return true };
    let Some(last) = text.len().checked_sub(word.len()) else { return false };
    // Comparing whole words would mean a function call for each letter of ten thousand texts.
    (0..=last).any(|at| text[at] == *first && text[at + 1..at + word.len()] == *rest)
}

#[cfg(target_arch = "wasm32")]
fn lowercase_any(text: &str) -> String {
    js_sys::JsString::from(text).to_lower_case().into()
}

#[cfg(not(target_arch = "wasm32"))]
fn lowercase_any(text: &str) -> String {
    text.to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn whole_zoom_levels_double_the_world() {
        for zoom in 0..24 {
            assert!((exp2(f64::from(zoom)) / f64::from(1 << zoom) - 1.0).abs() < 1e-14);
        }
    }

    #[test]
    fn the_hypotenuse_is_computed() {
        assert_eq!(hypot(-3.0, 4.0), 5.0);
    }

    #[test]
    fn a_number_stops_at_its_limits() {
        assert_eq!([-1.0, 0.25, 7.0].map(|value| clamp(value, 0.0, 1.0)), [0.0, 0.25, 1.0]);
    }

    #[test]
    fn case_is_folded_in_all_scripts() {
        assert_eq!((&*lowercase("Web-01"), &*lowercase("ÖSLO")), ("web-01", "öslo"));
    }

    proptest! {
        #[test]
        fn a_word_is_found_where_it_is(text in "[abø ]{0,12}", word in "[abø]{0,3}") {
            prop_assert_eq!(contains(&text, &word), text.contains(&word));
        }
    }
}
