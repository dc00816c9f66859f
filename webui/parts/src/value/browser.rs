//! Values that the browser has parsed. A column of numbers is read with one call.

use js_sys::{Array, Float64Array, Object, Reflect};
use wasm_bindgen::JsCast;
use wasm_bindgen::prelude::*;

use crate::value::Invalid;

/// A text that stays in the browser's memory and is parsed there.
pub type Text = JsValue;

/// A value that the browser holds.
pub struct Value(JsValue);

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(catch, js_namespace = JSON, js_name = parse)]
    fn parse(text: &JsValue) -> Result<JsValue, JsValue>;

    #[wasm_bindgen(thread_local_v2, js_namespace = Number, js_name = isInteger)]
    static IS_INTEGER: JsValue;

    #[wasm_bindgen(js_namespace = ["Array", "prototype", "every"], js_name = call)]
    fn every(array: &Array, test: &JsValue) -> bool;
}

impl Value {
    /// Parses a text.
    ///
    /// # Errors
    ///
    /// When it is not JSON.
    pub fn parse(text: &Text) -> Result<Self, Invalid> {
        parse(text).map(Self).map_err(|_| Invalid)
    }

    /// The field with this name; null when there is none.
    pub fn get(&self, name: &str) -> Self {
        // Only what is no object has no fields to ask for.
        Self(Reflect::get(&self.0, &name.into()).unwrap_or(JsValue::NULL))
    }

    pub(super) fn is_null(&self) -> bool {
        self.0.is_null() || self.0.is_undefined()
    }

    pub(super) fn as_bool(&self) -> Option<bool> {
        self.0.as_bool()
    }

    pub(super) fn as_number(&self) -> Option<f64> {
        self.0.as_f64()
    }

    pub(super) fn as_text(&self) -> Option<String> {
        self.0.as_string()
    }

    pub(super) fn items(&self) -> Option<impl Iterator<Item = Self>> {
        let array = self.0.dyn_ref::<Array>()?;
        Some((0..array.length()).map(|at| Self(array.get(at))))
    }

    /// The numbers of a list of nothing but whole ones.
    pub(super) fn whole_numbers(&self) -> Option<Vec<f64>> {
        let array = self.0.dyn_ref::<Array>()?;
        // Conversion to a typed array alone would turn null into 0, and "1" into 1.
        IS_INTEGER.with(|is_integer| every(array, is_integer)).then(|| Float64Array::new(array).to_vec())
    }

    pub(super) fn entries(&self) -> Option<impl Iterator<Item = (String, Self)>> {
        let entries = Object::entries(self.0.dyn_ref::<Object>()?);
        let entry = |entry: JsValue| {
            let pair: &Array = entry.unchecked_ref();
            (pair.get(0).as_string().unwrap_or_default(), Self(pair.get(1)))
        };
        Some((0..entries.length()).map(move |at| entry(entries.get(at))))
    }
}
