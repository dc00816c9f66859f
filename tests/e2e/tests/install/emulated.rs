//! The agent for 64-bit ARM, under an emulator of that processor.

use anyhow::ensure;
use tidemap_broker::keys;
use tidemap_testkit::{broker::TestBroker, eventually, http::get_json, process::Tidemap};
use tidemap_wire::{NodeId, Status, http::NodeJson};
use tokio::process::Command;

use crate::{EVENT_TIMEOUT, dist, made};

const EMULATOR: &str = "qemu-aarch64-static";
const NODE: &str = "arm-1";

#[tokio::test]
async fn the_agent_for_arm_reports() {
    let Some(dist) = dist() else { return };
    let unpacked = made(&dist, "tidemap-", "-unknown-linux-musl").unwrap();
    let agent = unpacked.join("lib/tidemap/agents/tidemap-agent-aarch64");
    let broker = TestBroker::start().await.unwrap();
    let _worker = broker.ingest(&[]).unwrap();
    let (_api, url) = broker.api().await.unwrap();
    let key = keys::enroll(broker.folder(), &NodeId::from_name(NODE).unwrap()).unwrap().seed_path;
    broker.server.reload().unwrap();
    let mut emulated = Command::new(EMULATOR);
    emulated.arg(agent);
    let args = ["--node", NODE, "--nats-url", &broker.url, "--creds", key.to_str().unwrap()];
    let agent = Tidemap::start_by(emulated, &args).unwrap();
    let reports = || async {
        let node: NodeJson = get_json(format!("{url}/api/nodes/{NODE}")).await?;
        ensure!(node.status == Status::Online, "{:?}", node.status);
        // Its counters are this machine's, whose network the test itself uses.
        ensure!(node.network_tx_bytes_per_sec.is_some(), "{node:?}");
        Ok(())
    };
    eventually(EVENT_TIMEOUT, reports).await.unwrap_or_else(|error| panic!("{error:#}\n{}", agent.log()));
}
