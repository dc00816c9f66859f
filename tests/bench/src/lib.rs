//! What the benches of whole processes share: a table of figures with goals.

pub mod table;
