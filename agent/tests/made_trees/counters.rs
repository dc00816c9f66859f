//! Counters whose devices are not as their drivers say.

use anyhow::{Context, ensure};
use tidemap_testkit::undisturbed;

use crate::tree::Tree;

#[test]
fn a_device_that_is_faster_than_it_states_loses_no_byte() {
    for (driver, mbps) in [("8139cp", "100"), ("e1000", "1000"), ("ne2k-pci", "10")] {
        let mut tree = Tree::new();
        tree.device_on("eth0", "pci", driver).put("eth0", "speed", mbps);
        let mut agent = tree.agent();
        agent.report();
        let mut rx_bytes = 0;
        let mut known = 0;
        for _ in 0..8 {
            rx_bytes += 60_000_000;
            tree.count("eth0", rx_bytes, 0);
            let report = agent.until(|report| report.samples[0].rx_bytes == rx_bytes || known == 0);
            known = if report.samples[0].rx_bps.is_some() { known + 1 } else { 0 };
        }
        agent.until(|report| report.samples[0].rx_bytes == rx_bytes);
        assert!(known > 1, "{driver}");
    }
}

#[test]
fn a_link_that_becomes_faster_is_noticed_with_its_first_bytes() {
    let mut tree = Tree::new();
    tree.device("eth0").put("eth0", "speed", "10");
    let mut agent = tree.agent();
    agent.report();
    tree.put("eth0", "speed", "10000").count("eth0", 200_000_000, 0);
    let report = agent.until(|report| report.samples[0].rx_bytes > 0 || report.samples[0].rx_bps.is_none());
    let sample = &report.samples[0];
    assert!(sample.rx_bytes == 200_000_000 && sample.rx_bps.is_some(), "{sample:?}");
    assert_eq!(report.hello.unwrap().interfaces[0].speed_mbps, Some(10_000));
}

#[tokio::test]
async fn counters_that_are_updated_seldom_say_so() {
    // The counters themselves are updated late when the test stands still.
    undisturbed(async || updated_each_second()).await.unwrap();
}

fn updated_each_second() -> anyhow::Result<()> {
    let mut tree = Tree::new();
    tree.device("eth0").put("eth0", "speed", "1000");
    let mut agent = tree.agent();
    let mut rx_bytes = 0;
    // Every fourth reading brings what moved in a second.
    let hello = (0..40).find_map(|_| {
        rx_bytes += 100_000_000;
        tree.count("eth0", rx_bytes, 0);
        let mut reports = (0..4).map(|_| agent.report());
        reports.find_map(|report| report.hello.filter(|it| it.interfaces[0].reason.contains("statistics")))
    });
    let reason = hello.context("no word of it")?.interfaces.remove(0).reason;
    ensure!(reason == "physical device (pci, e1000e), statistics every 1 s", "{reason}");
    let latest = agent.report().samples.remove(0);
    ensure!(latest.rx_bps.is_some_and(|rate| (50e6..200e6).contains(&rate.get())), "{latest:?}");
    ensure!(rx_bytes - latest.rx_bytes <= 200_000_000, "{latest:?} of {rx_bytes}");
    Ok(())
}
