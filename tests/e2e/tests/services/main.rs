//! The services as processes of their own around one broker, as users and operators meet them.
#![expect(clippy::unwrap_used, reason = "a failing test panics, its helpers too")]

mod api;
mod bad_input;
mod called;
mod checkers;
mod faults;
mod floods;
mod limits;
mod names;
mod operator;
mod other_host;
mod outage;
mod pipeline;
mod redaction;
mod replicas;
mod right_number;
mod scale_out;
mod stream;
mod unheard;
