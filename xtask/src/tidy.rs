//! Rules of the project that no lint checks. Each test lists every violation.

mod causes;
mod circles;
mod code;
mod crates;
mod language;
mod layers;
mod output;
mod sources;
mod stories;
mod types;
