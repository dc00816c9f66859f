//! Scenarios: a fleet whose acknowledged samples are written down, a fault, and an oracle that judges what
//! became of it.

pub mod oracle;
pub mod scenario;
