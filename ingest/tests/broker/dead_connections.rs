//! A worker whose connections have come to servers that answer pings and lead nowhere.

use futures_util::future::join_all;

use crate::{harness::Harness, proxy::Proxy};

/// By one it could keep its leases for good and read nothing, by one it would not be heard, and by one renew
/// no lease.
#[tokio::test]
async fn a_worker_finds_another_way_whichever_of_its_connections_leads_nowhere() {
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
