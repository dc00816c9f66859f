//! Colours as the style sheet has them and as pixels need them.

/// A colour without transparency.
pub type Rgb = [u8; 3];

/// Reads a colour as browsers write computed ones: `rgb(18, 128, 95)`, `rgb(18 128 95)`, with or without
/// opacity.
pub fn parse(computed: &str) -> Option<Rgb> {
    let inner = computed.strip_prefix("rgb")?.trim_start_matches('a').strip_prefix('(')?.strip_suffix(')')?;
    let mut parts = inner.split([',', ' ', '/']).filter(|part| !part.is_empty());
    let mut next = || parts.next()?.parse::<u8>().ok();
    Some([next()?, next()?, next()?])
}

/// Writes a colour for a canvas.
pub fn css([r, g, b]: Rgb) -> String {
    let hex = |value: u8| {
        let digit = |value: u32| char::from_digit(value, 16).unwrap_or('0');
        [digit(u32::from(value) >> 4), digit(u32::from(value) & 15)]
    };
    std::iter::once('#').chain([r, g, b].into_iter().flat_map(hex)).collect()
}

#[cfg(test)]
mod tests {
    use super::{css, parse};

    #[test]
    fn computed_colours_are_read_in_either_notation() {
        for text in ["rgb(18, 128, 95)", "rgb(18 128 95)", "rgba(18, 128, 95, 0.5)", "rgb(18 128 95 / 1)"] {
            assert_eq!(parse(text), Some([18, 128, 95]), "{text}");
        }
        for text in ["", "teal", "rgb(1, 2)", "color(srgb 0 1 0)"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn colours_are_written_in_hexadecimal() {
        assert_eq!(css([18, 128, 255]), "#1280ff");
    }
}
