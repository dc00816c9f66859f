//! Beyond one machine: minutes are sent to another database by Prometheus' remote write, and read back from
//! it by PromQL when the station itself holds them no more.
//!
//! A minute is sent once, when it is final (`store/sending` says which are). So a repeated request says the
//! same again, and a receiver that has it already loses nothing. `request`, `pieces` and `promql` are pure.

mod batches;
mod config;
mod http;
mod lane;
mod metrics;
mod pieces;
mod promql;
mod query;
mod request;

pub(crate) use self::{
    config::{Remote, RemoteArgs},
    lane::Sender,
    query::Query,
};
