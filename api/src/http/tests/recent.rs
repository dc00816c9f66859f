//! The fleet's totals of the last minutes.

use tidemap_wire::Series;

use super::*;

#[tokio::test]
async fn the_last_minutes_end_with_the_totals_of_now() {
    let site = site(fleet(), Readers::OnLoopback).await;
    let before: Series = json(&warp::test::request().path("/api/stats/recent").reply(&routes(site)).await);
    assert_eq!(before.rx_bps.iter().flatten().count(), 0, "nothing has been sent yet");
    let mut task = task_of(fleet(), false);
    task.tick(8, Instant::now(), AT_MS);
    let (newest, stats) = (task.recent(), task.stats());
    let now_ms = (stats.values.timestamp * 1000.0) as i64;
    assert_eq!((newest.step_ms, newest.end_ms), (4_000, now_ms / 4_000 * 4_000 + 4_000));
    let rx = newest.rx_bps.last().unwrap().map(|rate| rate.get());
    assert_eq!(rx, Some(stats.values.total_network_rx_bytes_per_sec));
    let answer = get("/api/stats/recent?x=1").await;
    assert_eq!((answer.status().as_u16(), detail(&answer)), (422, "x: no such parameter".to_owned()));
}
