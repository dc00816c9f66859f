//! Three servers that replicate each other, as in `deploy/cluster`.
#![expect(clippy::unwrap_used, reason = "a failing test panics, its helpers too")]

mod rolling_restart;
mod server_loss;
mod up;
