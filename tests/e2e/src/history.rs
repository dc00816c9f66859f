//! What a history station says of each node and minute, and what it should say by the ack log alone.

mod answers;
mod expected;
mod station;

pub use answers::{Answers, Highest};
pub use expected::{KnownClocks, Moved, Truth, expect};
pub use station::Station;
