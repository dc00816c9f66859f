//! `tidemap alerts`: a file of rules in words, and a rule against what a real station keeps.

use std::path::Path;

use tidemap_testkit::process::{run_to_end, tidemap};
use tidemap_wire::MinuteRow;
use tokio::process::Command;

use crate::history_answers::Scene;

/// A node sends 100 Mbit/s in as many minutes.
const MINUTES: u32 = 30;

fn write(folder: &Path, text: &str) -> String {
    let path = folder.join("alerts.toml");
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

/// What a command prints on standard output.
async fn printed(args: &[&str]) -> String {
    let output = Command::new(tidemap().unwrap()).args(args).output().await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test]
async fn a_file_of_rules_is_printed_in_words_or_what_is_wrong_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let good = write(folder.path(), "[[rule]]\nname = \"away\"\nmetric = \"offline\"\nfor = \"1m\"\n");
    assert_eq!(printed(&["alerts", "check", &good]).await, "away: offline of any node for 1 min (warning)\n");
    for (args, said) in [
        (&["alerts", "test", "here"][..], "has no rule here; it has away"),
        (&["alerts", "test", "away", "--replay", "1y"], "error: --replay must be a time such as 24h"),
        (&["alerts", "test", "away", "--url", "ftp://127.0.0.1"], "must begin with http:// or https://"),
    ] {
        let (ended, line) = run_to_end(&[args, &["--alerts", &good]].concat()).await.unwrap();
        assert!(ended == Some(64) && line.contains(said), "{args:?}: {ended:?} {line}");
    }
    let cpu = write(folder.path(), "[[rule]]\nname = \"cpu\"\nmetric = \"cpu_percent\"\nabove = \"90 %\"\n");
    let (ended, line) = run_to_end(&["alerts", "test", "cpu", "--alerts", &cpu]).await.unwrap();
    assert!(ended == Some(64) && line.contains("the history does not keep this metric"), "{ended:?} {line}");
    let bad = write(folder.path(), "[[rule]]\nname = \"away\"\nmetric = \"of line\"\n");
    let (ended, line) = run_to_end(&["alerts", "check", &bad]).await.unwrap();
    assert_eq!(ended, Some(64));
    assert!(line.contains("alerts.toml: line 3, column 10: metric: must be one of offline, rate"), "{line}");
    assert_eq!(line.trim_end().lines().count(), 1, "{line}");
}

#[tokio::test]
async fn a_rule_is_tried_against_what_a_station_keeps() {
    let scene = Scene::open().await;
    let folder = tempfile::tempdir().unwrap();
    let station = scene.station(folder.path()).await;
    scene.reports("one", "web").await;
    let until = u32::try_from(tidemap_service::clock::unix_ms() / 60_000).unwrap() / 5 * 5 - 5;
    let row = |minute| MinuteRow {
        minute,
        samples: 60,
        covered_ms: 60_000,
        rx_bytes: 60,
        tx_bytes: 12_500_000 * 60,
        ..MinuteRow::default()
    };
    scene.publish("one", &(until - MINUTES..until).map(row).collect::<Vec<_>>()).await;
    let _station = scene.stored(folder.path(), station).await;

    let file = "[[rule]]\nname = \"busy\"\nmetric = \"rate\"\ndirection = \"out\"\nabove = \"80 Mbit/s\"\nfor = \"5m\"\n";
    let file = write(folder.path(), file);
    let ask = ["alerts", "test", "busy", "--replay", "2h", "--alerts", &file, "--url", &scene.url];
    let found = printed(&ask).await;
    assert!(found.contains("one · upload 100 Mbit/s for 5 min (limit 80 Mbit/s)"), "{found}");
    assert!(found.contains("it would have fired once\n(judged by steps of 1 min)"), "{found}");
    let calm = write(folder.path(), &std::fs::read_to_string(&file).unwrap().replace("80 Mbit", "101 Mbit"));
    let ask = ["alerts", "test", "busy", "--alerts", &calm, "--url", &scene.url];
    assert!(printed(&ask).await.contains("it would not have fired"), "{calm}");
}
