//! A parsed JSON text: a value of the browser, or of `serde_json` in tests. Both have the same few methods.
//!
//! The browser parses the text; fields are then read by name. Derived readers would be shorter, but larger in
//! the page: `serde_json` 33 KB compressed, serde's visitors over the browser's values 7 KB.

#[cfg(target_arch = "wasm32")]
mod browser;
#[cfg(not(target_arch = "wasm32"))]
mod native;

use std::collections::BTreeMap;

#[cfg(target_arch = "wasm32")]
pub use browser::Text;
#[cfg(target_arch = "wasm32")]
pub use browser::Value;
#[cfg(not(target_arch = "wasm32"))]
pub use native::Text;
#[cfg(not(target_arch = "wasm32"))]
pub use native::Value;

/// The text is not JSON, or not of the expected type. The page reacts to both in the same way: it requests
/// the data again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Invalid;

/// An integer type without a sign. JSON numbers are floats: exact up to 2⁵³, which is 285,000 years in
/// milliseconds, or 9 PB.
pub trait Whole: TryFrom<u64> {}

impl<T: TryFrom<u64>> Whole for T {}

impl Value {
    /// A truth.
    ///
    /// # Errors
    ///
    /// When it is none.
    pub fn bool(&self) -> Result<bool, Invalid> {
        self.as_bool().ok_or(Invalid)
    }

    /// A number.
    ///
    /// # Errors
    ///
    /// When it is none.
    pub fn number(&self) -> Result<f64, Invalid> {
        self.as_number().ok_or(Invalid)
    }

    /// A whole number without a sign.
    ///
    /// # Errors
    ///
    /// When it is none.
    pub fn whole<T: Whole>(&self) -> Result<T, Invalid> {
        whole(self.number()?)
    }

    /// A whole number.
    ///
    /// # Errors
    ///
    /// When it is none.
    pub fn signed(&self) -> Result<i64, Invalid> {
        let value = self.number()?;
        if value.fract() == 0.0 { Ok(value as i64) } else { Err(Invalid) }
    }

    /// A text.
    ///
    /// # Errors
    ///
    /// When it is none.
    pub fn text(&self) -> Result<String, Invalid> {
        self.as_text().ok_or(Invalid)
    }

    /// What `item` reads, or nothing where the value is null.
    ///
    /// # Errors
    ///
    /// When it is none of these.
    pub fn or_null<T>(&self, item: impl Fn(&Value) -> Result<T, Invalid>) -> Result<Option<T>, Invalid> {
        if self.is_null() { Ok(None) } else { item(self).map(Some) }
    }

    /// A list of whatever `item` reads.
    ///
    /// # Errors
    ///
    /// When it is none of these.
    pub fn list<T>(&self, item: impl Fn(&Value) -> Result<T, Invalid>) -> Result<Vec<T>, Invalid> {
        let mut list = Vec::new();
        for value in self.items().ok_or(Invalid)? {
            list.push(item(&value)?);
        }
        Ok(list)
    }

    /// A list of whole numbers, none of which is null.
    ///
    /// # Errors
    ///
    /// When it is none of these.
    pub fn whole_list<T: Whole>(&self) -> Result<Vec<T>, Invalid> {
        let mut list = Vec::new();
        for value in self.whole_numbers().ok_or(Invalid)? {
            list.push(whole(value)?);
        }
        Ok(list)
    }

    /// A map of whatever `item` reads.
    ///
    /// # Errors
    ///
    /// When it is none of these.
    pub fn map<T>(
        &self,
        item: impl Fn(&Value) -> Result<T, Invalid>,
    ) -> Result<BTreeMap<String, T>, Invalid> {
        // Collecting would link sorts of its own.
        let mut map = BTreeMap::new();
        for (name, value) in self.entries().ok_or(Invalid)? {
            map.insert(name, item(&value)?);
        }
        Ok(map)
    }

    /// The names of an object, each with whatever `item` reads, in the order of the text.
    ///
    /// # Errors
    ///
    /// When it is none of these.
    pub fn pairs<T>(&self, item: impl Fn(&Value) -> Result<T, Invalid>) -> Result<Vec<(String, T)>, Invalid> {
        let mut pairs = Vec::new();
        for (name, value) in self.entries().ok_or(Invalid)? {
            pairs.push((name, item(&value)?));
        }
        Ok(pairs)
    }
}

/// A number that has no fraction and is in the range of `T`.
fn whole<T: Whole>(value: f64) -> Result<T, Invalid> {
    let is_whole = value >= 0.0 && value.fract() == 0.0;
    T::try_from(value as u64).ok().filter(|_| is_whole).ok_or(Invalid)
}
