//! The page: one screen that shows what the fleet moves, where, and what is wrong.
//!
//! Two layers. Below, plain Rust that knows no browser and is tested without one: the fleet as the stream tells it
//! ([`store`], [`totals`], [`groups`], [`talkers`]), whether that is true now ([`connection`]), which rows are listed and which are on screen
//! ([`order`], [`window`]), and how things are written and drawn ([`mod@format`], [`chart`], [`address`]). Above, thin views
//! (`page`), which exist only where there is a browser.

pub mod address;
pub mod between;
pub mod chart;
pub mod connection;
pub mod detail;
pub mod format;
pub mod groups;
pub mod herald;
pub mod json;
pub mod letters;
pub mod order;
pub mod pace;
pub mod reading;
pub mod real;
pub mod row;
pub mod store;
pub mod summary;
pub mod talkers;
pub mod totals;
pub mod window;

pub mod map;

#[cfg(target_arch = "wasm32")]
mod fetch;
#[cfg(target_arch = "wasm32")]
mod page;
