//! Whatever fails: every average and every total is what the oracle expects, and no acknowledged sample is
//! missing.
#![expect(clippy::unwrap_used, reason = "a failing test panics, its helpers too")]

mod faults;
mod history;
mod history_faults;
mod relay;
mod scale;
mod wrong_samples;
