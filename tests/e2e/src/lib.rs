//! Scenarios: a fleet with an ack log, a fault, and an oracle that judges the result, in the live view and in
//! the history.

pub mod history;
pub mod oracle;
pub mod scenario;
