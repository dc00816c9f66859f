//! A worker against a real nats-server: checkpoints, who may write them, and changes of the number of
//! partitions.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod dead_connections;
mod frozen;
mod halfway;
mod harness;
mod heartbeats;
mod history;
mod lost_end;
mod proxy;
mod recovery;
mod repartition;
mod seconds;
mod status;
