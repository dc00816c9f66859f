//! Judges alert rules over the fleet, and notifies people and programs.
#![warn(missing_docs)]

mod bucket;
mod delivery;
mod lease;
mod lease_task;
mod ledger;
#[cfg(test)]
mod testing;
