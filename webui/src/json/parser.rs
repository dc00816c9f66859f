//! Texts become values.

use crate::letters;

use super::value::Value;
use super::{Invalid, number};

/// How deep lists and maps may lie in each other.
const DEPTH: u8 = 64;

/// Reads a whole text.
pub(super) fn parse(text: &str) -> Result<Value, Invalid> {
    let mut parser = Parser { rest: text, depth: 0 };
    let value = parser.value()?;
    if parser.peek().is_none() { Ok(value) } else { Err(Invalid) }
}

/// What is left of a text.
struct Parser<'a> {
    rest: &'a str,
    depth: u8,
}

impl<'a> Parser<'a> {
    fn value(&mut self) -> Result<Value, Invalid> {
        Ok(match self.peek().ok_or(Invalid)? {
            b'n' => self.skip("null").map(|()| Value::Null)?,
            b't' => self.skip("true").map(|()| Value::Bool(true))?,
            b'f' => self.skip("false").map(|()| Value::Bool(false))?,
            b'"' => Value::Text(self.text()?),
            b'[' => self.nested(b']', Self::list)?,
            b'{' => self.nested(b'}', Self::map)?,
            _ => {
                let (number, len) = number::take(self.rest.as_bytes())?;
                self.advance(len)?;
                Value::Number(number)
            }
        })
    }

    /// Goes past one bracket, reads what is in it, and goes past the other.
    fn nested(
        &mut self,
        end: u8,
        content: fn(&mut Self) -> Result<Value, Invalid>,
    ) -> Result<Value, Invalid> {
        self.depth += 1;
        if self.depth > DEPTH {
            return Err(Invalid);
        }
        self.advance(1)?;
        let value = content(self)?;
        if self.peek() != Some(end) {
            return Err(Invalid);
        }
        self.advance(1)?;
        self.depth -= 1;
        Ok(value)
    }

    fn list(&mut self) -> Result<Value, Invalid> {
        let mut numbers = Vec::new();
        let mut values = Vec::new();
        while self.has_item(b']', numbers.is_empty() && values.is_empty())? {
            match self.value()? {
                Value::Number(number) if values.is_empty() => numbers.push(number),
                Value::Null if values.is_empty() => numbers.push(f64::NAN),
                value => {
                    let bare = std::mem::take(&mut numbers);
                    values.extend(
                        bare.into_iter().map(|n| if n.is_nan() { Value::Null } else { Value::Number(n) }),
                    );
                    values.push(value);
                }
            }
        }
        Ok(if values.is_empty() { Value::Numbers(numbers) } else { Value::List(values) })
    }

    fn map(&mut self) -> Result<Value, Invalid> {
        let mut fields = Vec::new();
        while self.has_item(b'}', fields.is_empty())? {
            self.peek();
            let name = self.text()?;
            self.skip(":")?;
            fields.push((name, self.value()?));
        }
        Ok(Value::Map(fields))
    }

    /// Whether another item follows; goes past the comma before it.
    fn has_item(&mut self, end: u8, is_first: bool) -> Result<bool, Invalid> {
        if is_first {
            return Ok(self.peek() != Some(end));
        }
        match self.peek() {
            Some(b',') => self.skip(",").map(|()| true),
            found => {
                if found == Some(end) {
                    Ok(false)
                } else {
                    Err(Invalid)
                }
            }
        }
    }

    /// The next byte that is no space.
    fn peek(&mut self) -> Option<u8> {
        let spaces =
            self.rest.bytes().take_while(|byte| matches!(byte, b' ' | b'\n' | b'\r' | b'\t')).count();
        self.rest = self.rest.get(spaces..).unwrap_or_default();
        self.rest.as_bytes().first().copied()
    }

    fn skip(&mut self, token: &str) -> Result<(), Invalid> {
        self.peek();
        self.rest = self.rest.strip_prefix(token).ok_or(Invalid)?;
        Ok(())
    }

    fn advance(&mut self, len: usize) -> Result<&'a str, Invalid> {
        let (part, rest) = self.rest.split_at_checked(len).ok_or(Invalid)?;
        self.rest = rest;
        Ok(part)
    }

    fn text(&mut self) -> Result<String, Invalid> {
        self.skip("\"")?;
        let mut text = self.plain()?.to_owned();
        while !self.rest.starts_with('"') {
            text.push(self.escaped()?);
            text.push_str(self.plain()?);
        }
        self.advance(1)?;
        Ok(text)
    }

    /// What comes before the next quote or escape.
    fn plain(&mut self) -> Result<&'a str, Invalid> {
        let bytes = self.rest.as_bytes();
        let len = bytes.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20)).ok_or(Invalid)?;
        self.advance(len)
    }

    fn escaped(&mut self) -> Result<char, Invalid> {
        Ok(match self.advance(2)?.as_bytes()[1] {
            plain @ (b'"' | b'\\' | b'/') => plain.into(),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => return self.unicode(),
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
        let digit = |value: u32, digit: u8| Ok(value << 4 | u32::from(letters::hex(digit).ok_or(Invalid)?));
        self.advance(4)?.bytes().try_fold(0, digit)
    }
}
