//! `tidemap history backup`, `export` and `forget`, by the real program beside stations that run.

use std::{
    fs,
    path::Path,
    process::{Output, Stdio},
};

use tidemap_testkit::process::{clean, tidemap};
use tokio::process::Command;

use crate::history_answers::Scene;

/// Runs `tidemap history` to its end.
async fn ran(args: &[&str]) -> Output {
    let mut command = Command::new(tidemap().unwrap());
    clean(&mut command);
    command.arg("history").args(args).stdin(Stdio::null()).kill_on_drop(true).output().await.unwrap()
}

/// What it has printed, if it has succeeded.
async fn printed(args: &[&str]) -> String {
    let output = ran(args).await;
    assert!(output.status.success(), "{args:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// How it has ended, and its one line.
async fn refused(args: &[&str]) -> (Option<i32>, String) {
    let output = ran(&[args, &["--log", "off"]].concat()).await;
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!((said.lines().count(), &*output.stdout), (1, &b""[..]), "{args:?}: {said}");
    (output.status.code(), said.trim_end().to_owned())
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[tokio::test]
async fn a_station_that_runs_is_copied_and_another_one_begins_with_the_copy() {
    let scene = Scene::open().await;
    let root = tempfile::tempdir().unwrap();
    let [folder, second] = ["history", "second"].map(|name| root.path().join(name));
    scene.reports("db", "db").await;
    scene.rows("db", 10).await;
    let station = scene.station(&folder).await;
    let mut station = scene.stored(&folder, station).await;
    let path = format!("/api/nodes/db/history?{}&step=1m", scene.range());
    let answer = scene.history(&path).await.unwrap();

    fs::create_dir(&second).unwrap();
    let copy = second.join("history.sqlite");
    let dir = ["--history-dir", text(&folder)];
    let done = printed(&[&["backup", text(&copy)], &dir[..]].concat()).await;
    assert!(done.starts_with(&format!("{}: ", copy.display())) && done.ends_with(" MB\n"), "{done}");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(fs::metadata(&copy).unwrap().permissions().mode() & 0o777, 0o600);
    }
    let bytes = fs::read(&copy).unwrap();
    let (code, line) = refused(&[&["backup", text(&copy)], &dir[..]].concat()).await;
    assert_eq!(code, Some(64));
    assert_eq!(line, format!("error: FILE {}: it exists already, and no file is replaced", copy.display()));
    assert_eq!(fs::read(&copy).unwrap(), bytes);
    let empty = root.path().join("empty");
    let (code, line) = refused(&["backup", text(&empty), "--history-dir", text(root.path())]).await;
    assert_eq!(code, Some(64));
    assert_eq!(line, format!("error: --history-dir {}: there is no history in it", root.path().display()));

    assert!(station.terminate().await.unwrap().success(), "{}", station.log());
    let _second = scene.station_with(&second, 2).await;
    assert_eq!(scene.history(&path).await.unwrap().rx_bytes, answer.rx_bytes);
}

#[tokio::test]
async fn every_station_forgets_a_node_for_who_has_the_services_key() {
    let scene = Scene::open().await;
    let root = tempfile::tempdir().unwrap();
    let [one, two] = ["one", "two"].map(|name| root.path().join(name));
    let key = scene.broker.keys.service_seed_path();
    let forget = ["forget", "Web-01", "--nats-url", &scene.broker.url, "--creds", text(&key)];
    let (code, line) = refused(&forget).await;
    assert_eq!(code, Some(1));
    assert_eq!(
        line,
        "error: Web-01 stays: give --history-dir FOLDER to remove it while no station runs: there is no \
         history station at the moment"
    );

    scene.rows("web-01", 1_000).await;
    scene.rows("db", 10).await;
    let mut first = scene.station(&one).await;
    first = scene.stored(&one, first).await;
    assert!(first.terminate().await.unwrap().success());
    let second = scene.station(&two).await;
    let mut second = scene.stored(&two, second).await;
    let mut first = scene.station_with(&one, 2).await;
    let path = format!("/api/nodes/web-01/history?{}&step=1m", scene.range());
    scene.history(&path).await.unwrap();

    assert_eq!(printed(&forget).await, "Web-01 is forgotten by 2 stations\n");
    for _ in 0..10 {
        assert_eq!(scene.get(&path).await.status, 404, "whichever station answers");
    }
    let (code, line) = refused(&forget).await;
    assert_eq!((code, &*line), (Some(1), "error: Web-01: no history knows it (2 stations)"));
    let other = format!("/api/nodes/db/history?{}&step=1m", scene.range());
    assert_eq!(scene.history(&other).await.unwrap().rx_bytes.iter().flatten().count(), 6);

    // Its folder belongs to a station that runs; then to nobody.
    let offline = ["forget", "db", "--history-dir", text(&one)];
    let (code, line) = refused(&offline).await;
    assert_eq!(code, Some(64));
    assert_eq!(line, format!("error: --history-dir {}: another history station uses it", one.display()));
    for station in [&mut first, &mut second] {
        assert!(station.terminate().await.unwrap().success());
    }
    assert_eq!(printed(&offline).await, "db is forgotten\n");
    assert_eq!(printed(&offline).await, "db was not known\n");
    let _first = scene.station(&one).await;
    assert_eq!(scene.get(&other).await.status, 404);
}

#[tokio::test]
async fn a_range_is_exported_while_the_station_runs() {
    let scene = Scene::open().await;
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("history");
    scene.rows("db", 10).await;
    let station = scene.station(&folder).await;
    let _station = scene.stored(&folder, station).await;
    let range = scene.range().replace("from=", "").replace("to=", "");
    let (from, to) = range.split_once('&').unwrap();
    let what = ["--from", from, "--to", to, "--step", "1m", "--history-dir", text(&folder)];
    let csv = printed(&[&["export", "-", "--by", "node"], &what[..]].concat()).await;
    let lines: Vec<&str> = csv.lines().collect();
    assert_eq!(lines.len(), 1 + 12);
    assert!(lines[1].ends_with("Z,db,600,1200,10,20,90,80,2,1,60000,0,0"), "{}", lines[1]);
    assert!(lines[2].ends_with("Z,db,,,,,,,,,0,0,0"), "{}", lines[2]);

    let file = root.path().join("db.parquet");
    let node = ["export", text(&file), "--node", "DB", "--format", "parquet"];
    let done = printed(&[&node, &what[..]].concat()).await;
    assert_eq!(done, format!("{}: 12 rows, 0.0 MB\n", file.display()));
    let bytes = fs::read(&file).unwrap();
    assert!(bytes.starts_with(b"PAR1") && bytes.ends_with(b"PAR1"));
    let (code, line) = refused(&[&node, &what[..]].concat()).await;
    assert_eq!((code, line.contains("it exists already")), (Some(64), true), "{line}");
    let (code, line) = refused(&[&["export", "-", "--node", "x"], &what[..]].concat()).await;
    assert_eq!((code, &*line), (Some(64), "error: --node x: the history has never heard of it"));
    let (code, line) = refused(&["export", "-", "--from", "soon"]).await;
    assert!(code == Some(64) && line.contains("must be a time such as 2026-11-29T09:00:00Z"), "{line}");
}

#[tokio::test]
async fn each_command_says_what_it_does() {
    for (args, words) in [
        (&["--help"][..], &["backup", "export", "forget", "--history-disk"][..]),
        (&["backup", "--help"], &["of one moment", "history.sqlite", "--history-dir"]),
        (&["export", "--help"], &["--from", "--to", "--step", "--node", "--by", "parquet"]),
        (&["forget", "--help"], &["stop its agent", "stays in the sums", "--history-dir"]),
    ] {
        let help = printed(args).await;
        assert!(words.iter().all(|word| help.contains(word)), "{args:?}: {help}");
    }
    let (code, line) = refused(&["--history-disk", "1GB", "backup", "x"]).await;
    assert_eq!(code, Some(64), "{line}");
}
