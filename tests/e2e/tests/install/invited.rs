//! A second host, which joins with one line.

use std::time::Duration;

use anyhow::ensure;
use tidemap_testkit::{
    booted::{Host, Lan},
    eventually,
    http::get_json,
    machine,
};
use tidemap_wire::{Status, http::NodeJson};
use tokio::time::Instant;

use crate::{EVENT_TIMEOUT, dist, is_online, left::Files, made, processes};

/// For the line to end, and the page to show the node.
const JOIN_GOAL: Duration = Duration::from_secs(30);
const NAME: &str = "second";

/// A host that others can reach, with a page that everybody may read.
async fn first(lan: &Lan) -> Host {
    let host = Host::boot(lan, "bookworm", "first").await.unwrap();
    let package = host.copy_in(&made(&dist().unwrap(), "tidemap_", "_amd64.deb").unwrap()).unwrap();
    let address = host.address;
    let settings = format!(
        "TIDEMAP_HTTP=0.0.0.0:8080\\nTIDEMAP_PUBLIC=true\\nTIDEMAP_LISTEN=0.0.0.0:4222\\nTIDEMAP_ADVERTISE={address}\\n"
    );
    host.must(&format!(
        "dpkg -i {package} && printf '{settings}' >>/etc/tidemap/tidemap.env && systemctl enable --now tidemap"
    ))
    .await
    .unwrap();
    is_online(&host, "http://127.0.0.1:8080", "first").await.unwrap();
    host
}

#[tokio::test]
async fn a_second_host_joins_with_one_line_and_is_there_again_after_a_reboot() {
    if dist().is_none() {
        return;
    }
    let lan = Lan::new().unwrap();
    let first = first(&lan).await;
    let mut second = Host::boot(&lan, "bullseye", NAME).await.unwrap();
    let before = Files::of(&second).await.unwrap();
    let invite = "tidemap invite --data-dir /var/lib/tidemap --label site=fra";
    let line = first.must(&format!("runuser -u tidemap -- {invite}")).await.unwrap();
    let line = line.trim();
    assert!(line.starts_with("curl ") && line.len() < 120, "{line}");

    let start = Instant::now();
    second.must(line).await.unwrap();
    let url = format!("http://{}:8080", first.address);
    is_online(&first, "http://127.0.0.1:8080", NAME).await.unwrap();
    let took = start.elapsed();
    eprintln!("one line, and the second host's node is online after {:.1} s", took.as_secs_f64());
    assert!(took < machine::scaled_again(JOIN_GOAL), "{took:?}");
    let node: NodeJson = get_json(format!("{url}/api/nodes/{NAME}")).await.unwrap();
    assert_eq!(node.labels.get("site").map(String::as_str), Some("fra"), "{node:?}");
    // What others on that host can read does not let them act as it.
    let readable = second.must("find /etc/tidemap -name '*.nk' -perm /077").await.unwrap();
    assert_eq!(readable, "");

    second.reboot().await.unwrap();
    let booted = first.must("date +%s.%N").await.unwrap().trim().parse::<f64>().unwrap();
    let again = || async {
        let node: NodeJson = get_json(format!("{url}/api/nodes/{NAME}")).await?;
        ensure!(node.status == Status::Online && node.last_seen_timestamp > booted, "{node:?}");
        Ok(())
    };
    eventually(EVENT_TIMEOUT, again).await.unwrap();

    second.must(&format!("curl -fsS {url}/install.sh | sh -s -- --uninstall")).await.unwrap();
    assert_eq!(processes(&second).await.unwrap(), "", "after it was uninstalled");
    let left = Files::of(&second).await.unwrap().since(&before);
    assert!(left.is_empty(), "{left:#?}");
}
