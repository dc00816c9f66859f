//! The past of a real station: what the page says of it is what the API says.

use std::{path::Path, time::Duration};

use anyhow::{Context, ensure};
use serde_json::Value;
use tidemap_service::clock::unix_ms;
use tidemap_testkit::{
    broker::connect_to_up, browser::Browser, eventually, history::publish_minutes, http::get_json,
    process::Tidemap,
};
use tidemap_wire::{
    Extremes, HostMinute, MinuteRow, NodeId,
    http::{HistoryJson, NodeJson},
};

const EVENT_TIMEOUT: Duration = Duration::from_secs(60);
/// How many minutes are known before the fleet begins to report.
const MINUTES: u32 = 30;
/// The page asks once a minute, so it may show the minute before for as long.
const EQUAL_TIMEOUT: Duration = Duration::from_secs(150);
const NODES: &str = "40";

/// Numbers that the page shows, and the API's, in pairs by name. A shown number has three digits.
const PAIRS: &str = r##"(async () => {
    const scale = { "": 1, k: 1e3, M: 1e6, G: 1e9, T: 1e12 };
    const number = (text) => {
        const [, digits, prefix] = /([\d.,]+)\s*([kMGT]?)B/.exec(text) ?? [];
        return digits?.replaceAll(",", "") * scale[prefix];
    };
    const text = (css) => document.querySelector(css)?.innerText ?? "";
    const ask = async (path) => (await fetch(`api/${path}`, { cache: "no-store" })).json();
    const node = new URLSearchParams(location.search).get("node");
    const sum = (list) => list.reduce((all, one) => all + (one ?? 0), 0);
    const [fleet, top, one] = await Promise.all([
        ask("history?from=-1h&to=now"),
        ask("top?by=sum&limit=1000&from=-1h&to=now"),
        ask(`nodes/${node}/history?from=-1h&to=now`),
    ]);
    const pairs = {};
    for (const [side, name] of [["rx", "download"], ["tx", "upload"]]) {
        const kpi = `.past-kpi[data-direction=${name}] `;
        pairs[`${side} peak`] = [number(text(`${kpi}.kpi-note`)), Math.max(...fleet[`${side}_max_bps`])];
        pairs[`${side} moved`] = [number(text(`[data-direction=${name}] .past-bytes`)), sum(fleet[`${side}_bytes`])];
    }
    const row = [...document.querySelectorAll("#past-node tbody tr")].map((row) => [...row.cells].map((cell) => number(cell.innerText)));
    const means = [sum(one.rx_bytes), sum(one.tx_bytes)].map((bytes) => bytes / sum(one.covered_ms) * 1000);
    pairs["node's mean download"] = [row[0]?.[1], means[0]];
    pairs["node's mean upload"] = [row[1]?.[1], means[1]];
    pairs["node's peak download"] = [row[0]?.[2], Math.max(...one.rx_max_bps)];
    pairs["node's upload"] = [row[1]?.[3], sum(one.tx_bytes)];
    const longest = Math.max(...top.nodes.map((node) => node.covered_ms));
    for (const { node, rx_bytes } of top.nodes.slice(0, 5)) {
        const shown = document.querySelector(`.grid-node[data-node="${node}"] [data-cell=rx]`);
        if (shown) pairs[`${node} in the list`] = [shown.textContent * 1e6, rx_bytes / longest * 1000];
    }
    const known = fleet.covered_ms.filter((covered) => covered > 0).length / fleet.covered_ms.length * 100;
    const share = /Known: (less than )?(\d+) %/.exec(text("#past"));
    pairs["percent known"] = [share?.[1] ? 0 : +share?.[2], known];
    return pairs;
})()"##;

/// Whether a shown number is the right one: three digits, two decimals in a list, whole percent.
fn is_right(name: &str, shown: f64, right: f64) -> bool {
    let within = match name {
        // A minute that has only begun counts by the part of it that is over.
        "percent known" => 2.0,
        _ if name.ends_with("in the list") => 5_100.0_f64.max(right * 0.006),
        _ => right * 0.006,
    };
    (shown - right).abs() <= within
}

/// Some nodes have moved something in each of the last minutes, one more than another.
async fn begin_earlier(data: &Path, url: &str) {
    let nodes = eventually(EVENT_TIMEOUT, || async {
        let nodes: Vec<NodeJson> = get_json(format!("{url}/api/nodes?limit=7&status=online")).await?;
        ensure!(nodes.len() == 7, "{} nodes", nodes.len());
        Ok(nodes)
    });
    let client = connect_to_up(data).await.unwrap();
    let now = u32::try_from(unix_ms() / 60_000).unwrap();
    for (number, node) in nodes.await.unwrap().iter().enumerate() {
        let bytes = 7_000_000 * (number as u64 + 1);
        let row = |minute: u32| MinuteRow {
            minute,
            samples: 60,
            covered_ms: 60_000,
            rx_bytes: bytes + u64::from(minute % 7) * 100_000,
            tx_bytes: bytes / 3,
            rates: Some(Extremes { rx_max: bytes / 20, tx_max: bytes / 50, rx_min: 9, tx_min: 8 }),
            counters: Vec::new(),
            host: HostMinute::default(),
        };
        let rows: Vec<MinuteRow> = (now - MINUTES..now).map(row).collect();
        publish_minutes(&client, &NodeId::from_name(&node.name).unwrap(), &rows).await.unwrap();
    }
}

#[tokio::test]
async fn a_past_range_says_what_the_station_says() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    let args = ["up", "--simulate", NODES, "--http", "127.0.0.1:0", "--data-dir", data];
    let mut up = Tidemap::start(&args).unwrap();
    let url = up.url().await.unwrap();
    begin_earlier(folder.path(), &url).await;
    let known = eventually(EVENT_TIMEOUT, || async {
        let history: HistoryJson = get_json(format!("{url}/api/history?from=-1h&to=now")).await?;
        let known = history.covered_ms.iter().filter(|covered| **covered > 0).count();
        ensure!(known as u32 >= MINUTES, "{known} minutes");
        Ok(known)
    });
    known.await.with_context(|| up.log()).unwrap();
    let top: Value = get_json(format!("{url}/api/top?limit=1&from=-1h&to=now")).await.unwrap();
    let node = top["nodes"][0]["node"].as_str().unwrap();

    let browser = Browser::start(1440, 900).await.unwrap();
    browser.page.goto(&format!("{url}/?range=1h&node={node}")).await.unwrap();
    let compared = eventually(EQUAL_TIMEOUT, || async {
        let pairs: serde_json::Map<String, Value> =
            serde_json::from_value(browser.eval(PAIRS).await?).context("the numbers")?;
        ensure!(pairs.len() >= 9, "not all is shown: {pairs:?}");
        for (name, pair) in &pairs {
            let (Some(shown), Some(right)) = (pair[0].as_f64(), pair[1].as_f64()) else {
                anyhow::bail!("{name} is not shown: {pairs:?}");
            };
            ensure!(is_right(name, shown, right), "{name} is {shown} on the page, and {right} by the API");
        }
        Ok(pairs.len())
    });
    compared.await.unwrap();

    // The live page begins with what the station knows: its line reaches further back than the last minute.
    browser.page.goto(&url).await.unwrap();
    let line = "document.querySelector('.kpi-rate[data-direction=download] path')?.getAttribute('d')";
    eventually(EQUAL_TIMEOUT, || async {
        let from = browser.eval(&format!("+(/^M([\\d.]+)/.exec({line}) ?? [])[1]")).await?;
        ensure!(from.as_f64().is_some_and(|from| from < 600.0 * 0.7), "the line begins at {from} of 600");
        Ok(())
    })
    .await
    .unwrap();
    assert_eq!(browser.console().await.unwrap(), Vec::<String>::new());
    browser.close().await.unwrap();
    up.terminate().await.unwrap();
}
