//! From the version before to this one and back: `TIDEMAP_BIN_BEFORE` names its `tidemap`.

use std::path::PathBuf;

use anyhow::ensure;
use tidemap_e2e::scenario::{Scenario, TAKEOVER, lasting};
use tidemap_testkit::{
    broker::TestBroker,
    endure, eventually,
    http::get_json,
    process::{Tidemap, tidemap},
};
use tidemap_wire::{Status, http::StatsJson};
use tokio::process::Command;

use crate::{EVENT_TIMEOUT, agent_of, becomes, endpoint, enrolled, text};

/// The program of the version before; says so where there is none.
fn before() -> Option<PathBuf> {
    let named = std::env::var_os("TIDEMAP_BIN_BEFORE").filter(|path| !path.is_empty());
    if named.is_none() {
        println!("SKIPPED: TIDEMAP_BIN_BEFORE names no tidemap of the version before");
    }
    named.map(PathBuf::from)
}

#[tokio::test]
async fn stations_of_both_versions_replace_each_other_under_load_without_loss() {
    let Some(before) = before() else { return };
    let broker = TestBroker::start().await.unwrap();
    let mut scenario = Scenario::start("rolling upgrade", &broker.keys, &broker.url, 2).await.unwrap();
    // Back first, so that what this version wrote is read by the one before, then forward.
    let mut fleet = None;
    for program in [before, tidemap().unwrap()] {
        scenario.use_program(&program);
        if fleet.is_none() {
            fleet = Some(scenario.fleet(200, &[]).await.unwrap());
        }
        for _ in 0..2 {
            scenario.add_worker().unwrap();
            scenario.spread().await.unwrap();
            let mut leaving = scenario.workers.swap_remove(0);
            assert!(leaving.terminate().await.unwrap().success(), "{}", leaving.log());
            scenario.spread().await.unwrap();
        }
        scenario.restart_api().await.unwrap();
        scenario.station.kill().await.unwrap();
        scenario.station.start_as(&program).unwrap();
        endure(lasting(60, 5)).await;
    }
    scenario.end(fleet.unwrap()).await.unwrap().assert_held(TAKEOVER);
}

#[tokio::test]
async fn a_data_folder_and_agents_work_with_both_versions() {
    let Some(before) = before() else { return };
    let folder = tempfile::tempdir().unwrap();
    let now = tidemap().unwrap();
    let args = ["--node", "here", "--simulate", "20"];
    let listen = format!("nats://127.0.0.1:{}", tidemap_testkit::port::free_port().unwrap());
    let data = text(folder.path());
    let up = ["up", "--http", "127.0.0.1:0", "--data-dir", data, "--nats-url", &listen];
    let up = [&up[..], &args].concat();
    let mut agents = Vec::new();
    for program in [&before, &now, &before, &now] {
        let mut running = Tidemap::start_by(Command::new(program), &up).unwrap();
        let url = running.url().await.unwrap();
        if agents.is_empty() {
            for (node, program) in [("of-before", &before), ("of-now", &now)] {
                let key = enrolled(folder.path(), node).await;
                agents.push((node, agent_of(program, node, &endpoint(folder.path()), &key, &[])));
            }
        }
        for (node, agent) in &agents {
            becomes(&url, node, Status::Online, &|| format!("{}{}", agent.log(), running.log())).await;
        }
        eventually(EVENT_TIMEOUT, async || {
            let stats: StatsJson = get_json(format!("{url}/api/stats")).await?;
            ensure!(stats.total_nodes == 23 && stats.online_nodes > 15, "{} nodes", stats.total_nodes);
            Ok(())
        })
        .await
        .unwrap();
        assert!(running.terminate().await.unwrap().success(), "{}", running.log());
    }
}
