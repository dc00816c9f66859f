//! Linux: names of interfaces as text. The kernel forbids only blanks, `/` and `:` in them, so a name may
//! hold bytes that are no text and control characters; those, and `\`, are written as `\xNN`.

use std::{borrow::Cow, ffi::OsStr, os::unix::ffi::OsStrExt};

/// A name, or a line with names in it, as text.
pub(super) fn shown(raw: &[u8]) -> String {
    let mut text = String::with_capacity(raw.len());
    for chunk in raw.utf8_chunks() {
        for c in chunk.valid().chars() {
            if c == '\\' || (c.is_control() && c != '\t') {
                c.encode_utf8(&mut [0; 4]).bytes().for_each(|byte| push_byte(&mut text, byte));
            } else {
                text.push(c);
            }
        }
        chunk.invalid().iter().for_each(|byte| push_byte(&mut text, *byte));
    }
    text
}

/// The kernel's name.
pub(super) fn raw(shown: &str) -> Cow<'_, OsStr> {
    if !shown.contains('\\') {
        return Cow::Borrowed(OsStr::new(shown));
    }
    let mut parts = shown.split("\\x");
    let mut raw = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let (digits, rest) = part.split_at_checked(2).unwrap_or((part, ""));
        raw.extend(u8::from_str_radix(digits, 16).ok());
        raw.extend(rest.as_bytes());
    }
    Cow::Owned(OsStr::from_bytes(&raw).to_owned())
}

fn push_byte(text: &mut String, byte: u8) {
    text.push_str(&format!("\\x{byte:02x}"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_has_a_text_and_no_two_the_same() {
        let check = |name: &[u8], text: &str| {
            assert_eq!(shown(name), text);
            assert_eq!(raw(text).as_bytes(), name);
        };
        check(b"eth0", "eth0");
        check("wän0".as_bytes(), "wän0");
        check(b"wan\xff\xfe0", r"wan\xff\xfe0");
        check(br"a\xff", r"a\x5cxff");
        check(b"bell\x07", r"bell\x07");
        check("n\u{85}".as_bytes(), r"n\xc2\x85");
    }
}
