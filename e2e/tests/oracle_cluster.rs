//! Three servers with three copies of each stream: any one of them may go, and nothing that was acknowledged is missing.

use std::time::Duration;

use tidemap_e2e::{is_long, trial::Trial, trio::Trio};
use tokio::time::sleep;

/// A stream elects a leader within some seconds, clients find another server within 10 s, and leases take 5 s more.
const TAKEOVER: Duration = Duration::from_secs(40);

#[tokio::test]
async fn a_leader_that_is_killed_and_a_minority_that_is_cut_off_lose_nothing() {
    let mut trio = Trio::start().await.unwrap();
    let url = trio.url();
    let trial =
        Trial::start_with("three servers", &trio.keys, (&url, &url), 2, &["--replicas", "3"]).await.unwrap();
    let fleet = trial.fleet(60, &[]).await.unwrap();
    let stream = "TIDEMAP_0";
    let lasting = Duration::from_secs(if is_long() { 60 } else { 6 });

    let leader = trio.leader_of(stream).await.unwrap();
    trio.kill(leader).await.unwrap();
    sleep(lasting).await;
    trio.restart(leader).unwrap();
    trio.healed(stream).await.unwrap();

    let minority = trio.leader_of(stream).await.unwrap();
    trio.freeze(minority).unwrap();
    sleep(lasting).await;
    trio.thaw(minority).unwrap();
    trio.healed(stream).await.unwrap();

    trial.end(fleet).await.unwrap().assert_held(TAKEOVER);
}
