//! Texts as parts of addresses.

use tidemap_wire::NodeId;

/// A node's name as a part of a path. Browsers resolve `.` and `..`, and proxies decode slashes: there the
/// node's id stands for the name.
pub fn path_segment(name: &str) -> String {
    let id = || NodeId::from_text(name).ok().map(|id| id.as_str().to_owned());
    let is_resolved = name == "." || name == ".." || name.contains(['/', '\\']);
    is_resolved.then(id).flatten().unwrap_or_else(|| encoded(name))
}

/// Percent-encodes a text as part of an address, for a query or for a path.
pub fn encoded(text: &str) -> String {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let mut code = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            code.push(byte.into());
        } else {
            code.push('%');
            code.push(HEX[usize::from(byte >> 4)].into());
            code.push(HEX[usize::from(byte & 15)].into());
        }
    }
    code
}

/// The text that was percent-encoded in a query.
pub fn decoded(code: &str) -> String {
    let mut bytes = Vec::with_capacity(code.len());
    let mut rest = code.as_bytes();
    while let [first, tail @ ..] = rest {
        match escaped(rest) {
            Some(byte) => {
                bytes.push(byte);
                rest = &rest[3..];
            }
            None => {
                bytes.push(if *first == b'+' { b' ' } else { *first });
                rest = tail;
            }
        }
    }
    String::from_utf8(bytes).unwrap_or_default()
}

/// The byte that an escape at the front of the text stands for.
fn escaped(text: &[u8]) -> Option<u8> {
    let [b'%', high, low, ..] = text else { return None };
    let digit = |byte: u8| char::from(byte).to_digit(16);
    u8::try_from(digit(*high)? << 4 | digit(*low)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_in_a_path_reaches_the_server_unchanged() {
        for (name, segment) in [
            ("web-01.example", "web-01.example"),
            ("..", "=2E=2E"),
            (".", "=2E"),
            ("...", "..."),
            ("a/../b", "a=2F=2E=2E=2Fb"),
            ("a?b#c%d e", "a%3Fb%23c%25d%20e"),
            ("zürich", "z%C3%BCrich"),
        ] {
            assert_eq!(path_segment(name), segment);
        }
    }
}
