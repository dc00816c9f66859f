//! Traffic over cycles, by a real station: sums of minutes, and the table in a terminal.

use tidemap_testkit::{
    eventually,
    http::get_json,
    nginx::Nginx,
    process::{run_to_end, tidemap},
};
use tidemap_wire::{MinuteRow, http::TrafficJson};
use tokio::process::Command;

use crate::history_answers::{EVENT_TIMEOUT, Scene};

/// A node sends 100 Mbit/s in as many of the last minutes, and receives a tenth.
const MINUTES: u32 = 90;
const MINUTE_BYTES: u64 = 12_500_000 * 60;

fn rows(until: u32) -> Vec<MinuteRow> {
    let row = |minute| MinuteRow {
        minute,
        samples: 60,
        covered_ms: 60_000,
        rx_bytes: MINUTE_BYTES / 10,
        tx_bytes: MINUTE_BYTES,
        ..MinuteRow::default()
    };
    (until - MINUTES..until).map(row).collect()
}

/// What a command prints on standard output.
async fn printed(args: &[&str]) -> String {
    let output = Command::new(tidemap().unwrap()).args(args).output().await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test]
async fn two_nodes_in_one_bill_are_summed_by_a_station_and_printed() {
    let scene = Scene::open().await;
    let folder = tempfile::tempdir().unwrap();
    let station = scene.station(folder.path()).await;
    for (node, role) in [("one", "web"), ("two", "web")] {
        scene.reports(node, role).await;
    }
    // Whole slots that are over, and at most an hour and a half ago.
    let until = u32::try_from(tidemap_service::clock::unix_ms() / 60_000).unwrap() / 5 * 5 - 5;
    let group = format!("{}/api/history?by=label:role&key=web", scene.url);
    eventually(EVENT_TIMEOUT, || get_json::<serde_json::Value>(group.clone())).await.unwrap();
    for node in ["one", "two"] {
        scene.publish(node, &rows(until)).await;
    }
    let _station = scene.stored(folder.path(), station).await;

    let all = u64::from(MINUTES) * MINUTE_BYTES;
    let path = "/api/traffic?by=label:role&key=web&cycle=rolling-24h&p95=true&commit=150+Mbit/s";
    let traffic: TrafficJson = get_json(format!("{}{path}", scene.url)).await.unwrap();
    let day = &traffic.periods[0];
    assert_eq!((day.rx_bytes, day.tx_bytes), (Some(all / 5), Some(2 * all)), "{traffic:?}");
    assert_eq!(day.covered_ms, u64::from(MINUTES) * 60_000);
    let p95 = day.p95.as_ref().unwrap();
    assert_eq!((p95.present_slots, p95.billed_bps * 8, p95.burst_slots), (18, 200_000_000, Some(18)));

    // Hours of a zone whose hours are others, the same sum.
    let path = "/api/traffic?node=one&cycle=hour&periods=4&tz=Asia/Kathmandu";
    let hours: TrafficJson = get_json(format!("{}{path}", scene.url)).await.unwrap();
    assert_eq!(hours.periods.iter().filter_map(|hour| hour.tx_bytes).sum::<u64>(), all, "{hours:?}");

    let table = printed(&[
        "traffic",
        "one",
        "--cycle",
        "rolling 24h",
        "--unit",
        "MB",
        "--quota",
        "100 GB",
        "--url",
        &scene.url,
    ])
    .await;
    assert!(table.contains("one, by rolling 24h in UTC"), "{table}");
    assert!(table.contains("|   6750.00 MB |  67500.00 MB |  74250.00 MB |"), "{table}");
    assert!(
        table.contains("quota 100000.00 MB (both): 74250.00 MB used, 74.2 %, 25750.00 MB left"),
        "{table}"
    );
    let csv = printed(&[
        "traffic",
        "--by",
        "label:role",
        "--key",
        "web",
        "--cycle",
        "rolling 24h",
        "--format",
        "csv",
        "--url",
        &scene.url,
    ])
    .await;
    assert!(csv.lines().count() == 2 && csv.contains(&format!(",{},{},", all / 5, 2 * all)), "{csv}");
}

#[tokio::test]
async fn a_question_for_traffic_that_has_no_answer_ends_with_one_line() {
    let scene = Scene::open().await;
    for (args, code, said) in [
        (&["--url", &scene.url][..], 1, "error: there is no history station at the moment"),
        (&["--url", &scene.url, "--tz", "Mars"], 64, "error: tz: Mars is no time zone"),
        (
            &["--url", "ftp://127.0.0.1"],
            64,
            "error: --url ftp://127.0.0.1: must begin with http:// or https://",
        ),
        (&["--api", "https://127.0.0.1:1"], 1, "error: the API at https://127.0.0.1:1 does not answer: "),
        (&["--url", "http://127.0.0.1:1"], 1, "error: the API at http://127.0.0.1:1 does not answer: "),
        (&["--unit", "GiByte"], 64, "error: invalid value 'GiByte' for '--unit <UNIT>': must be B, kB"),
        (&["--commit", "1 Gbit/s"], 64, "error: the following required arguments were not provided: --p95"),
        (&["one", "--plan", "x"], 64, "error: the argument '[NODE]' cannot be used with '--plan <NAME>'"),
    ] {
        let (ended, line) = run_to_end(&[&["traffic"], args].concat()).await.unwrap();
        assert!(ended == Some(code) && line.starts_with(said), "{args:?}: {ended:?} {line}");
        assert_eq!(line.trim_end().lines().count(), 1, "{line}");
    }
}

#[tokio::test]
async fn an_api_behind_a_proxy_with_tls_and_a_password_is_asked_for_traffic() {
    let scene = Scene::open().await;
    let (nginx, authority) =
        Nginx::secured(&format!("location / {{ proxy_pass {}; }}", scene.url)).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, content: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (ca, password) = (file("ca.pem", &authority), file("password", Nginx::READER.as_bytes()));
    let wrong = file("wrong", b"reader:guessed");
    let url = format!("https://{}", nginx.address);
    let unanswered = format!("error: the API at {url} does not answer: ");
    for (args, said) in [
        // What the API itself says, as no station runs.
        (
            &["--api-ca", &ca, "--api-password-file", &password][..],
            "there is no history station at the moment",
        ),
        (&["--api-password-file", &password], unanswered.as_str()),
        (&["--api-ca", &ca, "--api-password-file", &wrong], "401"),
        (&["--api-ca", &ca], "401"),
    ] {
        let (ended, line) = run_to_end(&[&["traffic", "--api", &url], args].concat()).await.unwrap();
        assert!(ended == Some(1) && line.contains(said), "{args:?}: {ended:?} {line}");
        assert_eq!(line.trim_end().lines().count(), 1, "{line}");
    }
}
