//! What a history station says of each node and minute, and what it should say by the ack log alone.

mod expected;
mod station;

pub use expected::{Moved, Truth, expect};
pub use station::{Answers, Station};
