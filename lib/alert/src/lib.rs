//! Alert rules: the file that declares them, and how they are judged; channels, routes, and the texts that
//! people are sent. All of it is pure: time is an argument in Unix milliseconds of the broker's clock.
#![warn(missing_docs)]

pub mod channels;
mod duration;
mod engine;
mod file;
mod quantity;
mod replay;
mod rules;

pub use self::{
    channels::Channels,
    engine::{
        AlertStanding, ClearSince, Ending, Engine, EngineCounts, Hold, NodeFacts, PartitionFacts, PastRates,
        PlanFacts, PlanStanding, SystemFacts, Transition, Want,
    },
    file::AlertFile,
    replay::{Replay, ReplayHello, ReplayNode, ReplayStep, replay},
    rules::{Rule, Rules},
};
