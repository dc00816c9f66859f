//! Debian's packages, and an archive, on Debian 12 and on the oldest Debian that is looked after.

use std::time::Duration;

use tidemap_testkit::{
    booted::{Host, Lan},
    machine,
};
use tokio::time::Instant;

use crate::{dist, is_online, left::Files, made, processes};

/// For one command to end, and its page to show the node.
const INSTALL_GOAL: Duration = Duration::from_secs(60);

/// Everything on one host: page, API, broker and an agent.
async fn comes_and_goes(release: &str) {
    let Some(dist) = dist() else { return };
    let lan = Lan::new().unwrap();
    let host = Host::boot(&lan, release, "alone").await.unwrap();
    host.must("! command -v cargo rustc cc python3 nats-server").await.unwrap();
    let package = host.copy_in(&made(&dist, "tidemap_", "_amd64.deb").unwrap()).unwrap();
    let before = Files::of(&host).await.unwrap();

    let start = Instant::now();
    host.must(&format!("dpkg -i {package} && systemctl enable --now tidemap")).await.unwrap();
    is_online(&host, "http://127.0.0.1:8080", "alone").await.unwrap();
    let took = start.elapsed();
    eprintln!("{release}: one command, and the node is online after {:.1} s", took.as_secs_f64());
    assert!(took < machine::scaled_again(INSTALL_GOAL), "{took:?}");
    let page = host.must("curl -fsS http://127.0.0.1:8080/").await.unwrap();
    assert!(page.contains("<title>Tidemap"), "{page}");

    is_upgraded(&host, &package).await;
    let agent = host.copy_in(&made(&dist, "tidemap-agent_", "_amd64.deb").unwrap()).unwrap();
    has_agent(&host, &agent).await;

    host.must("apt-get purge -y -q tidemap tidemap-agent").await.unwrap();
    assert_eq!(processes(&host).await.unwrap(), "", "after it was purged");
    let left = Files::of(&host).await.unwrap().since(&before);
    assert!(left.is_empty(), "{left:#?}");
}

/// A package that replaces a running one restarts it, and leaves settings as they are.
async fn is_upgraded(host: &Host, package: &str) {
    let main = "systemctl show --property MainPID --value tidemap";
    let before = host.must(main).await.unwrap();
    host.must(&format!("echo TIDEMAP_LABELS=site=fra >>/etc/tidemap/tidemap.env && dpkg -i {package}"))
        .await
        .unwrap();
    assert_ne!(host.must(main).await.unwrap(), before);
    host.must("systemctl is-active tidemap && grep -q ^TIDEMAP_LABELS /etc/tidemap/tidemap.env")
        .await
        .unwrap();
    is_online(host, "http://127.0.0.1:8080", "alone").await.unwrap();
}

/// The agent's own package: nothing runs without a key, a node with one, and the next package restarts it.
async fn has_agent(host: &Host, package: &str) {
    host.must(&format!("dpkg -i {package} && systemctl enable --now tidemap-agent")).await.unwrap();
    let state = "systemctl is-active tidemap-agent || true";
    assert_eq!(host.must(state).await.unwrap().trim(), "inactive");
    let line = host.must("runuser -u tidemap -- tidemap invite --data-dir /var/lib/tidemap").await.unwrap();
    let word = line.split_whitespace().next_back().unwrap();
    let join = format!("tidemap-agent join --node second http://127.0.0.1:8080 {word}");
    host.must(&format!("{join} && systemctl start tidemap-agent")).await.unwrap();
    is_online(host, "http://127.0.0.1:8080", "second").await.unwrap();
    let main = "systemctl show --property MainPID --value tidemap-agent";
    let before = host.must(main).await.unwrap();
    host.must(&format!("dpkg -i {package} && systemctl is-active tidemap-agent")).await.unwrap();
    assert_ne!(host.must(main).await.unwrap(), before);
}

#[tokio::test]
async fn debian_12_has_it_with_one_command_and_nothing_of_it_after_a_purge() {
    comes_and_goes("bookworm").await;
}

#[tokio::test]
async fn debian_11_has_it_with_one_command_and_nothing_of_it_after_a_purge() {
    comes_and_goes("bullseye").await;
}

#[tokio::test]
async fn an_archive_brings_it_and_takes_it_away_but_for_its_data() {
    let Some(dist) = dist() else { return };
    let lan = Lan::new().unwrap();
    let host = Host::boot(&lan, "bookworm", "alone").await.unwrap();
    let archive = host.copy_in(&made(&dist, "tidemap-", ".tar.gz").unwrap()).unwrap();
    host.must(&format!("tar -xzf {archive} && mv tidemap-*-musl tidemap")).await.unwrap();
    let before = Files::of(&host).await.unwrap();

    let start = Instant::now();
    host.must("sh tidemap/install.sh && systemctl enable --now tidemap").await.unwrap();
    is_online(&host, "http://127.0.0.1:8080", "alone").await.unwrap();
    let took = start.elapsed();
    eprintln!("archive: one command, and the node is online after {:.1} s", took.as_secs_f64());
    assert!(took < machine::scaled_again(INSTALL_GOAL), "{took:?}");
    // It looks for the programs.
    let units = "cd /usr/local/lib/systemd/system && systemd-analyze verify --man=no tidemap-nats.service \
                 tidemap-enroller.service tidemap-ingest@1.service";
    host.must(units).await.unwrap();

    host.must("sh tidemap/install.sh --uninstall").await.unwrap();
    assert_eq!(processes(&host).await.unwrap(), "", "after it was uninstalled");
    let mut left = Files::of(&host).await.unwrap().since(&before);
    left.retain(|line| !line.starts_with("+ /var/lib/tidemap/"));
    assert!(left.is_empty(), "{left:#?}");
}
