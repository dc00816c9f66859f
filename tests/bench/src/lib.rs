//! What the benches of whole processes share: clients that load an API, and a table of figures with goals.

pub mod client;
pub mod probe;
pub mod stream;
pub mod table;
pub mod usage;
