//! `tidemap doctor` finds what is wrong, and nothing else.

use std::{fs, os::unix::fs::PermissionsExt, time::Duration};

use anyhow::ensure;
use tidemap_broker::tls::Certificates;
use tidemap_service::clock::unix_ms;
use tidemap_testkit::{eventually, port::free_port, process::Tidemap};

use crate::{EVENT_TIMEOUT, ran, text};

/// The exit code, and the subjects of what is wrong.
async fn wrong(args: &[&str]) -> (Option<i32>, Vec<String>, String) {
    let output = ran(args).await;
    let printed = String::from_utf8(output.stdout).unwrap();
    let wrong = printed.lines().filter_map(|line| line.strip_prefix("WRONG  ")?.get(..12));
    (output.status.code(), wrong.map(|subject| subject.trim().to_owned()).collect(), printed)
}

#[tokio::test]
async fn the_doctor_says_what_is_wrong_and_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let listen = format!("127.0.0.1:{}", free_port().unwrap());
    let more = ["--node", "here", "--listen", &listen, "--advertise", "127.0.0.1"];
    let (mut up, url) = Tidemap::up(folder.path(), &more).await.unwrap();
    let doctor = ["doctor", "--data-dir", text(folder.path()), "--url", &url];
    eventually(EVENT_TIMEOUT, async || {
        let (code, wrong, printed) = wrong(&doctor).await;
        ensure!(code == Some(0) && wrong.is_empty(), "{printed}");
        for subject in [
            "data folder",
            "disk",
            "certificate",
            "open files",
            "broker",
            "streams",
            "clock",
            "api",
            "versions",
        ] {
            ensure!(
                printed.lines().any(|line| line.starts_with(&format!("ok     {subject}"))),
                "{subject}: {printed}"
            );
        }
        Ok(())
    })
    .await
    .unwrap();

    // A certificate that is renewed on the disk is loaded without a start.
    fs::remove_file(folder.path().join("tls/broker.pem")).unwrap();
    let now = Duration::from_millis(unix_ms().unsigned_abs());
    Certificates::open_or_create(folder.path(), &["127.0.0.1".to_owned()], now).unwrap();
    eventually(EVENT_TIMEOUT, async || {
        ensure!(up.log().contains("it loads the new one"), "{}", up.log());
        let (code, _, printed) = wrong(&doctor).await;
        ensure!(code == Some(0), "{printed}");
        Ok(())
    })
    .await
    .unwrap();

    let key = folder.path().join("keys/service.nk");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    let (code, found, printed) = wrong(&doctor).await;
    assert_eq!((code, found), (Some(1), vec!["data folder".to_owned()]), "{printed}");
    assert!(printed.contains("chmod 600 it") && printed.contains(text(&key)), "{printed}");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();

    assert!(up.terminate().await.unwrap().success());
    let (code, found, printed) = wrong(&doctor).await;
    assert_eq!((code, found), (Some(1), vec!["broker".to_owned(), "api".to_owned()]), "{printed}");
    assert!(printed.contains("do: start it"), "{printed}");

    // Another token than that of the first start, and another port; both are in the data folder.
    let token = folder.path().join("mine.token");
    fs::write(&token, "a-secret-of-tests\n").unwrap();
    let reader = folder.path().join("reader.token");
    fs::write(&reader, "a-readers-secret-of-tests\n").unwrap();
    let tokens = ["--api-token-file", text(&token), "--read-token-file", text(&reader)];
    let (_up, _) = Tidemap::up(folder.path(), &[&more[..], &tokens].concat()).await.unwrap();
    eventually(EVENT_TIMEOUT, async || {
        let (code, _, printed) = wrong(&["doctor", "--data-dir", text(folder.path())]).await;
        ensure!(code == Some(0), "{printed}");
        Ok(())
    })
    .await
    .unwrap();

    let nowhere = folder.path().join("nowhere");
    let (code, found, printed) = wrong(&["doctor", "--data-dir", text(&nowhere), "--url", &url]).await;
    assert_eq!((code, found), (Some(1), vec!["data folder".to_owned(), "api".to_owned()]), "{printed}");
}
