//! Reads MessagePack whose fields are expected in a fixed order, without searching for any field.

use crate::Bps;

/// The bytes that are still to be read. Methods return `None` for anything unexpected.
pub(crate) struct FieldReader<'a>(pub(crate) &'a [u8]);

impl<'a> FieldReader<'a> {
    pub(crate) fn literal(&mut self, literal: &[u8]) -> Option<()> {
        self.0 = self.0.strip_prefix(literal)?;
        Some(())
    }

    fn bytes<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (bytes, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*bytes)
    }

    /// Whether a float comes next.
    pub(crate) fn is_at_float(&self) -> bool {
        self.0.first() == Some(&0xcb)
    }

    /// The number of entries of a map (0x80) or an array (0x90).
    pub(crate) fn length(&mut self, kind: u8) -> Option<u8> {
        match self.bytes()? {
            [marker] if marker & 0xf0 == kind => Some(marker & 0x0f),
            // A host with all of its metrics has more than 15 fields.
            [0xde] if kind == 0x80 => u16::from_be_bytes(self.bytes()?).try_into().ok(),
            _ => None,
        }
    }

    /// Text of up to 31 bytes.
    pub(crate) fn short_text(&mut self) -> Option<&'a str> {
        let [marker] = self.bytes()?;
        let length = (marker & 0xe0 == 0xa0).then_some(usize::from(marker & 0x1f))?;
        let (text, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        str::from_utf8(text).ok()
    }

    pub(crate) fn unsigned(&mut self) -> Option<u64> {
        let [marker] = self.bytes()?;
        Some(match marker {
            ..0x80 => u64::from(marker),
            0xcc => u64::from(u8::from_be_bytes(self.bytes()?)),
            0xcd => u64::from(u16::from_be_bytes(self.bytes()?)),
            0xce => u64::from(u32::from_be_bytes(self.bytes()?)),
            0xcf => u64::from_be_bytes(self.bytes()?),
            _ => return None,
        })
    }

    pub(crate) fn small(&mut self) -> Option<u32> {
        self.unsigned()?.try_into().ok()
    }

    pub(crate) fn finite(&mut self) -> Option<f64> {
        self.literal(b"\xcb")?;
        Some(f64::from_be_bytes(self.bytes()?)).filter(|number| number.is_finite())
    }

    pub(crate) fn rate(&mut self) -> Option<Bps> {
        Bps::new(self.finite()?)
    }

    /// The value of a field that may be absent. Reads it when at least one of the `left` fields remains and
    /// the next one has this name.
    pub(crate) fn optional<T>(
        &mut self,
        left: &mut u8,
        key: &[u8],
        read: impl FnOnce(&mut Self) -> Option<T>,
    ) -> Option<Option<T>> {
        if *left == 0 || self.literal(key).is_none() {
            return Some(None);
        }
        *left -= 1;
        read(self).map(Some)
    }
}

/// A short text in MessagePack: its length byte and its bytes.
pub(crate) const fn short_text<const N: usize>(text: &str) -> [u8; N] {
    assert!(text.len() + 1 == N && N <= 32, "not short");
    let mut bytes = [0xa0 | text.len() as u8; N];
    let mut at = 1;
    while at < N {
        bytes[at] = text.as_bytes()[at - 1];
        at += 1;
    }
    bytes
}

/// A field's name in MessagePack, as a constant.
macro_rules! key {
    ($name:expr) => {
        &const { crate::field_reader::short_text::<{ $name.len() + 1 }>($name) }
    };
}
pub(crate) use key;
