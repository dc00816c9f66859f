//! Numbers in JSON.

use super::Invalid;

/// Takes the number that `bytes` begin with; also says how long it is. One with a very long fraction is exact to one unit
/// in the last place.
pub(super) fn take(bytes: &[u8]) -> Result<(f64, usize), Invalid> {
    let mut scan = Scan { bytes, at: 0, mantissa: 0, exponent: 0 };
    let is_negative = scan.skip(b'-');
    // No zero stands before other digits.
    if !scan.skip(b'0') {
        scan.digits(0)?;
    }
    if scan.skip(b'.') {
        scan.digits(-1)?;
    }
    if scan.skip(b'e') || scan.skip(b'E') {
        scan.power()?;
    }
    let value = scaled(scan.mantissa as f64, scan.exponent);
    if !value.is_finite() {
        return Err(Invalid);
    }
    Ok((if is_negative { -value } else { value }, scan.at))
}

struct Scan<'a> {
    bytes: &'a [u8],
    at: usize,
    mantissa: u64,
    exponent: i32,
}

impl Scan<'_> {
    fn skip(&mut self, byte: u8) -> bool {
        let found = self.bytes.get(self.at) == Some(&byte);
        self.at += usize::from(found);
        found
    }

    fn digit(&mut self) -> Option<u8> {
        let digit = self.bytes.get(self.at)?.wrapping_sub(b'0');
        let found = (digit < 10).then_some(digit);
        self.at += usize::from(found.is_some());
        found
    }

    /// Digits behind the mantissa; `shift` is what each does to the exponent.
    fn digits(&mut self, shift: i32) -> Result<(), Invalid> {
        let begun = self.at;
        while let Some(digit) = self.digit() {
            match self.mantissa.checked_mul(10).and_then(|longer| longer.checked_add(digit.into())) {
                Some(longer) => {
                    self.mantissa = longer;
                    self.exponent += shift;
                }
                // No room for more digits: the rest only says how large the number is.
                None => self.exponent += shift + 1,
            }
        }
        if self.at > begun { Ok(()) } else { Err(Invalid) }
    }

    fn power(&mut self) -> Result<(), Invalid> {
        let is_negative = self.skip(b'-') || {
            self.skip(b'+');
            false
        };
        let begun = self.at;
        let mut power = 0_i32;
        while let Some(digit) = self.digit() {
            power = power.saturating_mul(10).saturating_add(digit.into());
        }
        self.exponent = self.exponent.saturating_add(if is_negative { -power } else { power });
        if self.at > begun { Ok(()) } else { Err(Invalid) }
    }
}

/// `mantissa` times ten to the power of `exponent`. Exact up to ten to the 22nd, which a float still holds exactly.
fn scaled(mantissa: f64, exponent: i32) -> f64 {
    let mut value = mantissa;
    let mut left = exponent.unsigned_abs();
    while left > 0 && value != 0.0 && value.is_finite() {
        let step = left.min(22);
        let power = (0..step).fold(1.0, |power, _| power * 10.0);
        value = if exponent < 0 { value / power } else { value * power };
        left -= step;
    }
    value
}
