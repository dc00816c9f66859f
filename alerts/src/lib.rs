//! Judges alert rules over the fleet, and notifies people and programs.
#![warn(missing_docs)]
