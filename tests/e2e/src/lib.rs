//! Scenarios: a fleet with an ack log, a fault, and an oracle that judges the result.

pub mod oracle;
pub mod scenario;
