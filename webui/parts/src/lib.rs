//! What both programs of the page are made of: charts, readers of JSON, parts of addresses, and requests.

pub mod chart;
pub mod encoding;
#[cfg(target_arch = "wasm32")]
pub mod fetch;
pub mod value;
