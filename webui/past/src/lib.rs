//! What was: the page's second program, loaded when somebody asks for a time other than now.
//!
//! Its only link to the page is the page's address: [`range`] reads the time from it, and choosing another
//! time or another node changes it. Below, plain Rust that is tested without a browser; above, in `page`,
//! views.

pub mod arcs;
pub mod band;
pub mod calendar;
pub mod events;
pub mod host;
pub mod latency;
pub mod marks;
pub mod past;
pub mod range;
pub mod top;
pub mod traffic;
pub mod words;

#[cfg(target_arch = "wasm32")]
mod page;

/// Shows what the page's address asks for; `tell` gets what the page's other program has to know.
#[cfg(target_arch = "wasm32")]
#[wasm_bindgen::prelude::wasm_bindgen]
pub fn show(query: &str, tell: &js_sys::Function) {
    page::show(query, tell);
}

/// Takes what the stream says of alerts.
#[cfg(target_arch = "wasm32")]
#[wasm_bindgen::prelude::wasm_bindgen]
pub fn hear() {
    page::hear();
}
