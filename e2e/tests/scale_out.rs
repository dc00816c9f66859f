//! Several workers against one broker: they share the work, and any of them may go.
#![expect(clippy::unwrap_used, reason = "a failing test panics, its helpers too")]

use std::{collections::BTreeMap, time::Duration};

use anyhow::ensure;
use futures_util::StreamExt;
use tidemap_e2e::{cluster::Cluster, eventually, http::get_json};
use tidemap_wire::{PartitionStats, decode, http::StatsJson, subject};

/// Takeover after a kill takes 5 s of silence, and a second or two of work.
const TAKEOVER: Duration = Duration::from_secs(20);

/// How many partitions each worker speaks for in the next second.
async fn owners(cluster: &Cluster) -> anyhow::Result<BTreeMap<String, usize>> {
    let client = cluster.connect().await?;
    let mut stats = client.subscribe(subject::ALL_STATS).await?;
    let mut owner_of = BTreeMap::new();
    let listen = async {
        while let Some(message) = stats.next().await {
            let stats: PartitionStats = decode(&message.payload)?;
            owner_of.insert(stats.partition, stats.owner);
        }
        anyhow::Ok(())
    };
    // Each owner speaks once a second.
    drop(tokio::time::timeout(Duration::from_millis(1_500), listen).await);
    let mut owners = BTreeMap::new();
    for owner in owner_of.into_values() {
        *owners.entry(owner).or_default() += 1;
    }
    Ok(owners)
}

async fn spread(cluster: &Cluster, expected: &[usize], within: Duration) {
    eventually(within, || async {
        let owners = owners(cluster).await?;
        let mut counts: Vec<usize> = owners.values().copied().collect();
        counts.sort_unstable();
        ensure!(counts == expected, "{owners:?}");
        Ok(())
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn workers_share_the_partitions_and_any_of_them_may_go() {
    let cluster = Cluster::start().await.unwrap();
    let (mut api, url) = cluster.api().await.unwrap();
    let mut first = cluster.ingest(&[]).unwrap();
    spread(&cluster, &[8], TAKEOVER).await;
    // With no node there are zeros, not errors.
    let stats: StatsJson = eventually(TAKEOVER, || async {
        let stats: StatsJson = get_json(format!("{url}/api/stats")).await?;
        ensure!(stats.partitions_fresh == 8, "{stats:?}");
        Ok(stats)
    })
    .await
    .unwrap();
    assert_eq!(
        stats,
        StatsJson { partitions: 8, partitions_fresh: 8, timestamp: stats.timestamp, ..StatsJson::default() }
    );

    let _fleet = cluster.simulate(60).unwrap();
    let online = async |at_least: u64| {
        eventually(TAKEOVER, || async {
            let stats: StatsJson = get_json(format!("{url}/api/stats")).await?;
            ensure!(stats.online_nodes >= at_least && stats.partitions_fresh == 8, "{stats:?}");
            Ok(())
        })
        .await
        .unwrap();
    };
    online(58).await;

    let mut second = cluster.ingest(&[]).unwrap();
    let _third = cluster.ingest(&[]).unwrap();
    spread(&cluster, &[2, 3, 3], TAKEOVER).await;
    online(58).await;

    // One goes in peace, one is killed.
    assert!(first.terminate().await.unwrap().success(), "{}", first.log());
    spread(&cluster, &[4, 4], TAKEOVER).await;
    online(58).await;
    second.kill().await.unwrap();
    spread(&cluster, &[8], TAKEOVER).await;
    online(58).await;
    assert!(api.terminate().await.unwrap().success(), "{}", api.log());
}
