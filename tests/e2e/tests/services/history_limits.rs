//! The history by way of the API: what a year's chart shows, and what those take who ask and do not read.

use std::time::Duration;

use anyhow::ensure;
use tidemap_service::clock::unix_ms;
use tidemap_testkit::{client::address, eventually, http::get_json, stream::deaf, usage::resident_bytes};
use tidemap_wire::{
    Bps, Extremes, Hello, HostMinute, MinuteRow, NodeId, Report, Sample, encode,
    http::{HistoryJson, HistoryStatusJson},
    subject,
};

use crate::history_answers::Scene;

const MINUTE_MS: i64 = 60_000;
const EVENT_TIMEOUT: Duration = Duration::from_secs(60);

fn minute_ago(days: u32) -> u32 {
    u32::try_from(unix_ms() / MINUTE_MS).unwrap() - days * 1_440
}

#[tokio::test]
async fn ten_seconds_are_seen_at_their_height_on_the_chart_of_a_year() {
    const BURST_BPS: u64 = 123_000_000;
    let scene = Scene::open().await;
    let folder = tempfile::tempdir().unwrap();
    let burst_at = minute_ago(2);
    let rows: Vec<MinuteRow> = (burst_at - 300..burst_at + 300)
        .map(|minute| {
            let high = if minute == burst_at { BURST_BPS } else { 1_000 };
            MinuteRow {
                minute,
                samples: 60,
                covered_ms: 60_000,
                rx_bytes: 50_000 + 10 * high,
                tx_bytes: 100,
                rates: Some(Extremes { rx_max: high, tx_max: 5, rx_min: 900, tx_min: 1 }),
                counters: Vec::new(),
                host: HostMinute::default(),
            }
        })
        .collect();
    scene.publish("web-01", &rows).await;
    let station = scene.station(folder.path()).await;
    let _station = scene.stored(folder.path(), station).await;
    let year = scene.history("/api/nodes/web-01/history?from=-365d").await.unwrap();
    assert!(year.step_ms >= 3_600_000 && year.rx_max_bps.len() <= 1_500, "{}", year.step_ms);
    let step = (i64::from(burst_at) * MINUTE_MS - year.from_ms) as u64 / year.step_ms;
    assert_eq!(year.rx_max_bps[step as usize], Some(BURST_BPS));
    let highest = year.rx_max_bps.iter().flatten().max();
    assert_eq!(highest, Some(&BURST_BPS), "and nowhere higher");
    assert!(year.rx_bps.iter().flatten().all(|mean| *mean < BURST_BPS / 10), "the mean does not show it");
}

#[tokio::test]
async fn those_who_ask_for_a_year_and_do_not_read_take_bounded_memory() {
    const CLIENTS: usize = 20;
    /// Each answer is about a megabyte, and is held once however slowly it is read; four at a time take 10 MB
    /// each while they are made. The allocator keeps as much again.
    const MOST_BYTES: u64 = 150_000_000;
    let scene = Scene::open().await;
    let folder = tempfile::tempdir().unwrap();
    let _station = scene.station(folder.path()).await;
    let year = |number: usize| format!("/api/history?from=-{}d&step=30m", 365 + number);
    let whole: HistoryJson = scene.history(&year(0)).await.unwrap();
    assert!(whole.rx_bytes.len() > 17_000);
    let (api, at) = (scene.api.pid(), address(&scene.url).unwrap());
    let before = resident_bytes(api).unwrap();
    let mut unread = Vec::new();
    for number in 0..CLIENTS {
        unread.push(deaf(at, &year(number)).await.unwrap());
    }
    // Who reads is answered meanwhile, or at once asked to come again.
    eventually(EVENT_TIMEOUT, || async {
        let answer = scene.get(&year(0)).await;
        ensure!(answer.status == 200, "{}: {}", answer.status, answer.body);
        Ok(())
    })
    .await
    .unwrap();
    let grown = resident_bytes(api).unwrap().saturating_sub(before);
    assert!(grown < MOST_BYTES, "{CLIENTS} answers that nobody reads take {grown} bytes");
    drop(unread);
}

/// Each node moves little: that all do it in the same ten seconds is seen in sums by the second only.
#[tokio::test]
async fn ten_seconds_of_the_fleet_are_seen_at_their_height_on_the_chart_of_a_year() {
    const NODES: u64 = 12;
    const NODE_BPS: u64 = 10_000_000;
    /// A minute's rows come up to 20 s after its end.
    const MINUTE_TIMEOUT: Duration = Duration::from_secs(150);
    let scene = Scene::open().await;
    let folder = tempfile::tempdir().unwrap();
    let _station = scene.station(folder.path()).await;
    let (js, now_ms) = (scene.js().await, unix_ms());
    for number in 0..NODES {
        let name = format!("web-{number}");
        let labels = [("role".to_owned(), (number % 3).to_string())].into();
        let hello = Hello { labels, ..Hello::default() };
        let sample = |second: u64| Sample {
            seq: second,
            at_ms: now_ms - 10_000 + 1_000 * second.cast_signed(),
            elapsed_ms: 1_000,
            rx_bytes: NODE_BPS * second,
            rx_bps: Bps::new(NODE_BPS as f64),
            tx_bps: Bps::new(0.0),
            ..Sample::default()
        };
        let node = NodeId::from_name(&name).unwrap();
        let (subject, samples) = (subject::sample(&node), (1..=10).map(sample).collect());
        let report = Report { node, boot: 7, hello: Some(Box::new(hello)), samples };
        js.publish(subject, encode(&report).into()).await.unwrap().await.unwrap();
    }
    let highest = async |path: &str| {
        let year = scene.history(path).await?;
        let most = |column: &[Option<u64>]| column.iter().flatten().max().copied();
        anyhow::Ok((most(&year.rx_max_bps), most(&year.rx_bps), year.step_ms))
    };
    eventually(MINUTE_TIMEOUT, || async {
        let found = highest("/api/history?step=1d&from=-7d").await?;
        ensure!(found.0 == Some(NODES * NODE_BPS), "{found:?}");
        Ok(())
    })
    .await
    .unwrap();
    let (peak, mean, step_ms) = highest("/api/history?from=-365d").await.unwrap();
    assert_eq!(peak, Some(NODES * NODE_BPS), "the chart of a year");
    assert!(step_ms >= 3_600_000 && mean < Some(NODES * NODE_BPS / 4), "the mean does not show it");
    let role = highest("/api/history?by=label:role&key=1&from=-365d").await.unwrap();
    assert_eq!(role.0, Some(NODES / 3 * NODE_BPS), "a group's own");
    let status: HistoryStatusJson = get_json(format!("{}/api/history/status", scene.url)).await.unwrap();
    let since_ms = status.second_peaks_since_ms.unwrap();
    assert!((now_ms - 120_000..=now_ms).contains(&since_ms), "{since_ms}");
}
