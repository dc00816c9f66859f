//! A text, read from front to back.

use serde::de::value::StrDeserializer;
use serde::de::{DeserializeSeed, Deserializer, IntoDeserializer, MapAccess, SeqAccess, Visitor};
use serde::forward_to_deserialize_any;

use super::Invalid;
use super::number::{self, Number};

/// How deep lists and maps may lie in each other.
const DEPTH: u8 = 64;

/// What is left of a text.
pub(super) struct Reader<'de> {
    rest: &'de str,
    depth: u8,
}

/// A piece of text: a part of what is read, unless it had to be unescaped.
enum Text<'de> {
    Part(&'de str),
    Own(String),
}

impl<'de> Reader<'de> {
    pub(super) fn new(text: &'de str) -> Self {
        Self { rest: text, depth: 0 }
    }

    /// Nothing but space may follow.
    pub(super) fn end(&mut self) -> Result<(), Invalid> {
        if self.peek().is_none() { Ok(()) } else { Err(Invalid) }
    }

    /// The next byte that is no space.
    fn peek(&mut self) -> Option<u8> {
        self.rest = self.rest.trim_start_matches([' ', '\n', '\r', '\t']);
        self.rest.as_bytes().first().copied()
    }

    fn skip(&mut self, token: &str) -> Result<(), Invalid> {
        self.peek();
        self.rest = self.rest.strip_prefix(token).ok_or(Invalid)?;
        Ok(())
    }

    fn advance(&mut self, len: usize) -> Result<&'de str, Invalid> {
        let (part, rest) = self.rest.split_at_checked(len).ok_or(Invalid)?;
        self.rest = rest;
        Ok(part)
    }

    fn number(&mut self) -> Result<Number, Invalid> {
        let (number, len) = number::take(self.rest.as_bytes())?;
        self.advance(len)?;
        Ok(number)
    }

    fn text(&mut self) -> Result<Text<'de>, Invalid> {
        self.skip("\"")?;
        let part = self.plain()?;
        if self.rest.starts_with('"') {
            self.advance(1)?;
            return Ok(Text::Part(part));
        }
        let mut own = part.to_owned();
        while !self.rest.starts_with('"') {
            own.push(self.escaped()?);
            own.push_str(self.plain()?);
        }
        self.advance(1)?;
        Ok(Text::Own(own))
    }

    /// What comes before the next quote or escape.
    fn plain(&mut self) -> Result<&'de str, Invalid> {
        let bytes = self.rest.as_bytes();
        let len = bytes.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20)).ok_or(Invalid)?;
        self.advance(len)
    }

    fn escaped(&mut self) -> Result<char, Invalid> {
        Ok(match self.advance(2)? {
            "\\\"" => '"',
            "\\\\" => '\\',
            "\\/" => '/',
            "\\b" => '\u{8}',
            "\\f" => '\u{c}',
            "\\n" => '\n',
            "\\r" => '\r',
            "\\t" => '\t',
            "\\u" => return self.unicode(),
            _ => return Err(Invalid),
        })
    }

    fn unicode(&mut self) -> Result<char, Invalid> {
        let first = self.hex()?;
        let code = if (0xD800..0xDC00).contains(&first) {
            if self.advance(2)? != "\\u" {
                return Err(Invalid);
            }
            let second = self.hex()?.checked_sub(0xDC00).filter(|low| *low < 0x400).ok_or(Invalid)?;
            0x10000 + ((first - 0xD800) << 10) + second
        } else {
            first
        };
        char::from_u32(code).ok_or(Invalid)
    }

    fn hex(&mut self) -> Result<u32, Invalid> {
        let digits = self.advance(4)?;
        // The parser of numbers would let a sign pass.
        if digits.starts_with('+') {
            return Err(Invalid);
        }
        u32::from_str_radix(digits, 16).map_err(|_| Invalid)
    }

    /// Reads a list or a map between its brackets.
    fn nested<T>(
        &mut self,
        brackets: [&str; 2],
        content: impl FnOnce(Items<'_, 'de>) -> Result<T, Invalid>,
    ) -> Result<T, Invalid> {
        self.depth = self.depth.checked_add(1).filter(|depth| *depth < DEPTH).ok_or(Invalid)?;
        self.skip(brackets[0])?;
        let value = content(Items { reader: self, end: brackets[1].as_bytes().first().copied(), is_first: true })?;
        self.skip(brackets[1])?;
        self.depth -= 1;
        Ok(value)
    }
}

impl<'de> Deserializer<'de> for &mut Reader<'de> {
    type Error = Invalid;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Invalid> {
        match self.peek().ok_or(Invalid)? {
            b'n' => {
                self.skip("null")?;
                visitor.visit_unit()
            }
            b't' => {
                self.skip("true")?;
                visitor.visit_bool(true)
            }
            b'f' => {
                self.skip("false")?;
                visitor.visit_bool(false)
            }
            b'"' => match self.text()? {
                Text::Part(text) => visitor.visit_borrowed_str(text),
                Text::Own(text) => visitor.visit_string(text),
            },
            b'[' => self.nested(["[", "]"], |items| visitor.visit_seq(items)),
            b'{' => self.nested(["{", "}"], |items| visitor.visit_map(items)),
            _ => match self.number()? {
                Number::Natural(number) => visitor.visit_u64(number),
                Number::Negative(number) => visitor.visit_i64(number),
                Number::Fraction(number) => visitor.visit_f64(number),
            },
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Invalid> {
        if self.peek() == Some(b'n') {
            self.skip("null")?;
            return visitor.visit_none();
        }
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Invalid> {
        visitor.visit_newtype_struct(self)
    }

    /// Only variants without content: their name as a text.
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Invalid> {
        let name = match self.text()? {
            Text::Part(name) => name.to_owned(),
            Text::Own(name) => name,
        };
        let name: StrDeserializer<'_, Invalid> = name.as_str().into_deserializer();
        visitor.visit_enum(name)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map struct identifier ignored_any
    }
}

/// The items of a list or a map.
struct Items<'a, 'de> {
    reader: &'a mut Reader<'de>,
    end: Option<u8>,
    is_first: bool,
}

impl Items<'_, '_> {
    /// Goes to the next item; false at the end.
    fn advance(&mut self) -> Result<bool, Invalid> {
        if self.reader.peek() == self.end {
            return Ok(false);
        }
        if !std::mem::take(&mut self.is_first) {
            self.reader.skip(",")?;
        }
        Ok(true)
    }
}

impl<'de> SeqAccess<'de> for Items<'_, 'de> {
    type Error = Invalid;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Invalid> {
        if self.advance()? { seed.deserialize(&mut *self.reader).map(Some) } else { Ok(None) }
    }
}

impl<'de> MapAccess<'de> for Items<'_, 'de> {
    type Error = Invalid;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Invalid> {
        if !self.advance()? {
            return Ok(None);
        }
        if self.reader.peek() != Some(b'"') {
            return Err(Invalid);
        }
        seed.deserialize(&mut *self.reader).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Invalid> {
        self.reader.skip(":")?;
        seed.deserialize(&mut *self.reader)
    }
}
