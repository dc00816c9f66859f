//! What traffic comes to over a billing cycle, as providers count it: cycles in a time zone ([`Cycle`]),
//! quotas ([`Quota`]), the 95th percentile ([`percentile`]), and the file that declares plans ([`Plans`]).
//!
//! All of it is pure: time is an argument in Unix milliseconds, bytes are integers, and the one division of a
//! percentage or a rate comes last. The zones' rules are those of the system, or if it has none, those that
//! came with the program.

mod amount;
mod cycle;
mod direction;
pub mod document;
pub mod percentile;
mod plans;
mod quota;
mod reads;
mod schedule;
mod zone;

pub use crate::{
    amount::{Amount, Rate, Unit, WrongAmount},
    cycle::{Cycle, CycleUnit, Length, Period},
    direction::{Bytes, Direction},
    document::FileError,
    plans::{Correction, Plan, Plans, Scope},
    quota::{Quota, Standing, WrongThresholds, forecast},
    reads::{Reach, Read, Sum, Sums},
    schedule::{Schedule, WrongSchedule},
    zone::{UnknownZone, Zone},
};
