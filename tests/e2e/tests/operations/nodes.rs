//! A node leaves the list, and the history when it should.

use anyhow::ensure;
use tidemap_service::clock::unix_ms;
use tidemap_testkit::{
    broker::connect_to_up,
    eventually,
    history::{has_stored, newest_message, publish_minutes},
    http::get,
    process::Tidemap,
};
use tidemap_wire::{MinuteRow, NodeId, Status};

use crate::{EVENT_TIMEOUT, agent, becomes, done, endpoint, enrolled, ran, text};

#[tokio::test]
async fn a_node_that_is_gone_is_forgotten_by_the_list_and_by_the_history() {
    let folder = tempfile::tempdir().unwrap();
    let (_up, url) = Tidemap::up(folder.path(), &["--node", "here"]).await.unwrap();
    let key = enrolled(folder.path(), "old").await;
    let mut old = agent("old", &endpoint(folder.path()), &key, &[]);
    becomes(&url, "old", Status::Online, &|| old.log()).await;
    assert!(old.terminate().await.unwrap().success());
    let broker = connect_to_up(folder.path()).await.unwrap();
    let minute = u32::try_from(unix_ms() / 60_000).unwrap() - 60;
    let row = MinuteRow { minute, samples: 60, covered_ms: 60_000, rx_bytes: 7, ..MinuteRow::default() };
    publish_minutes(&broker, &NodeId::from_name("old").unwrap(), std::slice::from_ref(&row)).await.unwrap();
    has_stored(&broker, newest_message(&broker).await.unwrap()).await.unwrap();

    let forget = ["forget", "old", "--data-dir", text(folder.path()), "--url", &url];
    let status = async |path: &str| get(format!("{url}{path}")).await.unwrap().status;
    // What it said last may still be on the way to the worker.
    eventually(EVENT_TIMEOUT, async || {
        let forgotten = ran(&forget).await;
        ensure!(status("/api/nodes/old").await == 404, "{forgotten:?}");
        Ok(())
    })
    .await
    .unwrap();
    let past = "/api/nodes/old/history?from=-2h&step=1m";
    assert_eq!(status(past).await, 200, "the history keeps it");
    // Whether one is listed is not known when the API does not let us in.
    publish_minutes(&broker, &NodeId::from_name("older").unwrap(), &[row]).await.unwrap();
    has_stored(&broker, newest_message(&broker).await.unwrap()).await.unwrap();
    let wrong = folder.path().join("wrong.token");
    std::fs::write(&wrong, "another-secret-of-tests\n").unwrap();
    let older = ["forget", "older", "--history", "--url", &url, "--data-dir", text(folder.path())];
    let refused = ran(&[&older[..], &["--api-token-file", text(&wrong)]].concat()).await;
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success() && said.contains("have removed older"), "{said}");
    let said = done(&[&forget[..], &["--history"]].concat()).await;
    assert!(said.contains("1 history stations have removed old"), "{said}");
    assert_eq!(status(past).await, 404);
    assert!(
        !ran(&[&forget[..], &["--history"]].concat()).await.status.success(),
        "nothing is left to forget"
    );
}
