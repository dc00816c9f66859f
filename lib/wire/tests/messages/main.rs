//! The messages: their bytes, and what the documentation shows of them.

#![expect(clippy::unwrap_used, reason = "a failing test panics, its helpers too")]

mod documented;
mod examples;
mod golden;
