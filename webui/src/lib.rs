//! The page: one screen that shows what the fleet moves, where, and what is wrong.
//!
//! Two layers. Below, plain Rust that knows no browser and is tested without one: the fleet as the stream
//! reports it ([`store`], [`totals`], [`groups`], [`talkers`]), the state of the stream ([`connection`]),
//! which rows are listed and which are on screen ([`order`], [`window`]), and how they are drawn and
//! addressed ([`row`], [`address`]). Above, thin views (`page`), which exist only where there is a browser.
//! Formats, charts and the map are crates of their own. What was is another program, `past`, which is loaded
//! when somebody asks for it.

pub mod address;
pub mod announce_limit;
pub mod connection;
pub mod detail;
pub mod filter;
pub mod fragments;
pub mod glance;
pub mod groups;
pub mod json;
pub mod order;
pub mod outages;
pub mod pace;
pub mod row;
pub mod store;
pub mod summary;
pub mod talkers;
pub mod text_order;
pub mod theme;
pub mod totals;
pub mod totals_view;
pub mod window;

#[cfg(target_arch = "wasm32")]
mod page;
