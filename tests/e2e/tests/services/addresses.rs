//! Where stations listen: what an operator may write, and what is said of an address that cannot be had.

use std::time::Duration;

use anyhow::ensure;
use tidemap_testkit::{
    broker::TestBroker,
    eventually,
    http::get,
    port::free_port,
    process::{Tidemap, run_to_end},
};
use tokio::net::TcpListener;

const EVENT_TIMEOUT: Duration = Duration::from_secs(30);

/// The one error that a command ends with, and its exit code.
async fn refusal(args: &[&str]) -> (Option<i32>, String) {
    let (code, said) = run_to_end(args).await.unwrap();
    let errors: Vec<&str> = said.lines().filter(|line| line.starts_with("error: ")).collect();
    assert_eq!(errors.len(), 1, "{args:?}: {said}");
    assert!(!said.contains(" is up"), "{args:?}: {said}");
    (code, errors[0].to_owned())
}

#[tokio::test]
async fn an_address_that_cannot_be_had_is_noticed_before_anything_starts() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().to_str().unwrap();
    let holder = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let taken = holder.local_addr().unwrap().to_string();
    let up = ["up", "--data-dir", dir, "--http", "127.0.0.1:0"];
    for (args, words) in [
        (&[&up[..], &["--metrics", &taken]].concat()[..], "is taken: choose another with --metrics"),
        (&["ingest", "--metrics", &taken], "is taken: choose another with --metrics"),
        (&["ingest", "--metrics", "192.0.2.1:9100"], "this host has no such address"),
        (&["history", "--metrics", &taken], "is taken: choose another with --metrics"),
        (&["up", "--data-dir", dir, "--http", &taken], "is taken: choose another with --http"),
        (&["api", "--http", &taken], "is taken: choose another with --http"),
        (&["api", "--public", "--http", "192.0.2.1:8080"], "this host has no such address"),
    ] {
        let (code, error) = refusal(args).await;
        assert_eq!(code, Some(64), "{args:?}: {error}");
        assert!(error.contains(words), "{args:?}: {error}");
    }
}

#[tokio::test]
async fn all_addresses_are_read_alike() {
    for (wrong, words) in [
        ("http://x:8080", "without a scheme (http://), such as x:8080"),
        ("::1:x", "in brackets before a port"),
        ("127.0.0.1:99999", "is no port"),
        ("no-such-name.invalid:1", "no address is known for this name"),
        ("a b", "is no host"),
    ] {
        for args in [
            ["api", "--http"],
            ["up", "--http"],
            ["up", "--listen"],
            ["up", "--metrics"],
            ["ingest", "--metrics"],
        ] {
            let (code, error) = refusal(&[&args[..], &[wrong]].concat()).await;
            assert_eq!(code, Some(64), "{args:?} {wrong}: {error}");
            assert!(error.contains(args[1]) && error.contains(words), "{args:?} {wrong}: {error}");
        }
    }
    // A port alone is all addresses, which is said where only this host is served without a token.
    for all in ["8080", ":8080", "*:8080"] {
        let (_, error) = refusal(&["api", "--http", all]).await;
        assert!(
            error.contains("--http 0.0.0.0:8080 can be reached") && error.contains("127.0.0.1:8080"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_name_is_resolved_and_all_workers_of_up_are_in_its_metrics() {
    let dir = tempfile::tempdir().unwrap();
    let metrics = format!("localhost:{}", free_port().unwrap());
    let args =
        ["up", "--data-dir", dir.path().to_str().unwrap(), "--http", "localhost:0", "--metrics", &metrics];
    let mut up = Tidemap::start(&args).unwrap();
    let url = up.url().await.unwrap();
    assert!(url.starts_with("http://127.0.0.1:"), "{url}");
    eventually(EVENT_TIMEOUT, || async {
        let text = get(format!("http://{metrics}/metrics")).await?.body;
        ensure!(text.contains("tidemap_ingest_partitions 8"), "{text}");
        let epochs = text.lines().filter(|line| line.starts_with("tidemap_partition_epoch{")).count();
        ensure!(epochs == 8, "{text}");
        Ok(())
    })
    .await
    .unwrap();
    assert_eq!(up.terminate().await.unwrap().code(), Some(0), "{}", up.log());
}

#[tokio::test]
async fn a_workers_port_alone_means_all_addresses() {
    let broker = TestBroker::start().await.unwrap();
    let port = free_port().unwrap();
    let _worker = broker.ingest(&["--metrics", &port.to_string()]).unwrap();
    eventually(EVENT_TIMEOUT, || async {
        let text = get(format!("http://127.0.0.2:{port}/metrics")).await?.body;
        ensure!(text.contains("tidemap_ingest_partitions"), "{text}");
        Ok(())
    })
    .await
    .unwrap();
}
