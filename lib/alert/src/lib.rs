//! Alert rules: the file that declares them, and how they are judged; channels, routes, and the texts that
//! people are sent. All of it is pure: time is an argument in Unix milliseconds of the broker's clock.
#![warn(missing_docs)]

pub mod channels;
mod file;
mod rules;

pub use self::{channels::Channels, file::AlertFile, rules::Rules};
