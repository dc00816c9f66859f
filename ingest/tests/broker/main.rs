//! A worker against a real nats-server: checkpoints, their fence, and a change of the number of partitions.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod fleet;
mod frozen;
mod halfway;
mod heartbeats;
mod lifeline;
mod lost_end;
mod proxy;
mod recovery;
mod repartition;
mod status;
