//! Numbers in JSON.

use super::Invalid;

/// A number, as exact as it was written where it has no fraction.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Number {
    Natural(u64),
    Negative(i64),
    Fraction(f64),
}

/// Takes the number that `bytes` begin with; also says how long it is.
pub(super) fn take(bytes: &[u8]) -> Result<(Number, usize), Invalid> {
    let mut scan = Scan { bytes, at: 0, mantissa: 0, exponent: 0, is_whole: true };
    let is_negative = scan.skip(b'-');
    scan.whole()?;
    if scan.skip(b'.') {
        scan.is_whole = false;
        scan.digits(-1)?;
    }
    if scan.skip(b'e') || scan.skip(b'E') {
        scan.is_whole = false;
        scan.power()?;
    }
    Ok((scan.number(is_negative)?, scan.at))
}

struct Scan<'a> {
    bytes: &'a [u8],
    at: usize,
    mantissa: u64,
    exponent: i32,
    is_whole: bool,
}

impl Scan<'_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn skip(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    /// The digits in front of the point: no zero before others.
    fn whole(&mut self) -> Result<(), Invalid> {
        if self.skip(b'0') { Ok(()) } else { self.digits(0) }
    }

    /// Digits that are worth ten times as much as the mantissa, each; `shift` is what each does to the exponent.
    fn digits(&mut self, shift: i32) -> Result<(), Invalid> {
        let begun = self.at;
        while let Some(digit @ b'0'..=b'9') = self.peek() {
            let longer = self.mantissa.checked_mul(10).and_then(|m| m.checked_add(u64::from(digit - b'0')));
            match longer {
                Some(mantissa) => {
                    self.mantissa = mantissa;
                    self.exponent = self.exponent.saturating_add(shift);
                }
                // No room for more digits: the rest only says how large the number is.
                None => {
                    self.is_whole = false;
                    self.exponent = self.exponent.saturating_add(shift + 1);
                }
            }
            self.at += 1;
        }
        if self.at > begun { Ok(()) } else { Err(Invalid) }
    }

    fn power(&mut self) -> Result<(), Invalid> {
        let is_negative = self.skip(b'-');
        if !is_negative {
            self.skip(b'+');
        }
        let begun = self.at;
        let mut power = 0_i32;
        while let Some(digit @ b'0'..=b'9') = self.peek() {
            power = power.saturating_mul(10).saturating_add(i32::from(digit - b'0'));
            self.at += 1;
        }
        if self.at == begun {
            return Err(Invalid);
        }
        self.exponent = self.exponent.saturating_add(if is_negative { -power } else { power });
        Ok(())
    }

    fn number(&self, is_negative: bool) -> Result<Number, Invalid> {
        if self.is_whole {
            match (is_negative, 0_i64.checked_sub_unsigned(self.mantissa)) {
                (false, _) => return Ok(Number::Natural(self.mantissa)),
                // Minus zero is a fraction elsewhere too.
                (true, Some(negative)) if negative != 0 => return Ok(Number::Negative(negative)),
                (true, _) => {}
            }
        }
        let value = scaled(self.mantissa as f64, self.exponent);
        let value = if is_negative { -value } else { value };
        if value.is_finite() { Ok(Number::Fraction(value)) } else { Err(Invalid) }
    }
}

/// `mantissa` times ten to the power of `exponent`. Exact up to ten to the 22nd, which a float still holds exactly.
fn scaled(mantissa: f64, exponent: i32) -> f64 {
    let power = |exponent: u32| (0..exponent).fold(1.0_f64, |power, _| power * 10.0);
    let mut value = mantissa;
    let mut left = exponent.unsigned_abs();
    while left > 0 && value != 0.0 && value.is_finite() {
        let step = left.min(22);
        value = if exponent < 0 { value / power(step) } else { value * power(step) };
        left -= step;
    }
    value
}
