//! A worker whose connections lead to servers that answer pings and nothing else.

use futures_util::future::join_all;

use crate::{harness::Harness, proxy::Proxy};

/// On one connection alone it could renew its leases and read nothing, on another nobody would receive what
/// it publishes, and on the third it could not renew its leases.
#[tokio::test]
async fn a_worker_reconnects_whichever_of_its_connections_is_dead() {
    join_all(["data", "output", "leases"].map(goes_on_without)).await;
}

async fn goes_on_without(connection: &'static str) {
    let mut harness = Harness::start().await;
    let proxy = Proxy::start(&harness).await;
    let worker = harness.worker_by(proxy.access(&harness), harness.config(4));
    harness.known(4).await;
    harness.report(10, 0..3).await;
    assert_eq!(harness.known(4).await, harness.truth());

    proxy.cut(connection);
    harness.report(10, 3..6).await;
    assert_eq!(harness.known(4).await, harness.truth(), "without {connection}");
    worker.stop().await;
}
