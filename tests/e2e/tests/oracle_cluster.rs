//! Three servers with three copies of each stream: any one of them may go, and nothing that was acknowledged is missing.

use tidemap_e2e::{
    trial::{TAKEOVER_AFTER_OUTAGE, Trial, lasting},
    trio::{Edge, Trio},
};
use tokio::time::sleep;

#[tokio::test]
async fn whatever_is_killed_or_cut_off_loses_nothing() {
    let mut trio = Trio::start().await.unwrap();
    let mut edge = Edge::start(&trio).unwrap();
    let url = trio.url();
    let mut trial =
        Trial::start_with("three servers", &trio.keys, (&url, &url), 2, &["--replicas", "3"]).await.unwrap();
    let mut relays = [edge.relay().unwrap(), edge.relay().unwrap()];
    let fleet = trial.fleet_at((&edge.url, &edge.keys), 60, &[]).await.unwrap();
    let stream = "TIDEMAP_0";
    let lasting = lasting(60, 6);

    let leader = trio.leader_of(stream).await.unwrap();
    trio.kill(leader).await.unwrap();
    sleep(lasting).await;
    trio.restart(leader).unwrap();
    trio.healed().await.unwrap();

    let minority = trio.leader_of(stream).await.unwrap();
    trio.freeze(minority).unwrap();
    sleep(lasting).await;
    trio.thaw(minority).unwrap();
    trio.healed().await.unwrap();

    relays[0].kill().await.unwrap();
    relays[0] = edge.relay().unwrap();
    trial.workers.remove(0).kill().await.unwrap();
    trial.add_worker().unwrap();
    edge.kill_and_restart().await.unwrap();
    trial.all_fresh().await.unwrap();

    // A stream elects a leader within some seconds, too.
    trial.end(fleet).await.unwrap().assert_held(TAKEOVER_AFTER_OUTAGE * 2);
}
