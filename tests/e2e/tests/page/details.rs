//! What the page's second program adds to a node's details: what its host did, and its round trips.

use std::{path::Path, time::Duration};

use tidemap_testkit::fake::FakeFleet;

use crate::{axe, visit::Visit};

/// The page asks every ten seconds for the newest minute; here every second.
const HURRY: &str = "const every = window.setInterval; \
    window.setInterval = (then, ms) => every(then, ms === 10000 ? 1000 : ms);";

async fn start(path: &str, width: u32, height: u32) -> Visit {
    let mut visit = Visit::start(FakeFleet::world(), width, height).await;
    visit.browser.prepare(HURRY).await.unwrap();
    visit.server.keep_beating();
    visit.open_live(path).await;
    visit
}

/// Looks at it in both themes; the pictures are left in the folder that `TIDEMAP_LOOK` names.
async fn judge(visit: &Visit, what: &str) {
    axe::join(&visit.browser).await.unwrap();
    for theme in ["light", "dark"] {
        visit.browser.prefer(&[("prefers-color-scheme", theme)]).await.unwrap();
        visit.next_frame().await;
        let found = axe::violations(&visit.browser).await.unwrap();
        assert_eq!(found, Vec::<String>::new(), "{what}, {theme}");
        if let Some(folder) = std::env::var_os("TIDEMAP_LOOK") {
            let png = visit.browser.screenshot().await.unwrap();
            std::fs::write(Path::new(&folder).join(format!("{what}-{theme}.png")), png).unwrap();
        }
    }
}

async fn bring_up(visit: &Visit, css: &str) {
    visit.browser.eval(&format!("document.querySelector('{css}').scrollIntoView()")).await.unwrap();
}

#[tokio::test]
async fn a_past_time_tells_what_the_nodes_host_did() {
    let visit = start("/?range=7d&node=web-01", 1440, 900).await;
    visit.expect("document.querySelectorAll('#past-node .host').length === 4").await;
    visit.expect_text("#past-node .past-host", "Processors\nmean 25 %, peak 80 % · ").await;
    let titles = "[...document.querySelectorAll('.host-title')].map(title => title.textContent).join()";
    visit.expect(&format!("{titles} === 'Processors,Memory,Disk,Load, 1 min'")).await;
    // Two days of which nothing is known are a gap in each, and no line goes through it.
    visit
        .expect("[...document.querySelectorAll('.host')].every(host => host.querySelector('.chart-gap'))")
        .await;
    let broken = "[...document.querySelectorAll('.host')].every(host => \
        host.querySelector('.host-line').getAttribute('d').split('M').length - 1 \
        === host.querySelectorAll('.chart-gap').length + 1)";
    visit.expect(broken).await;
    // The chart ends where that of the traffic does.
    let right = "[...document.querySelectorAll('#past-node :is(.past-chart, .host) .chart-grid')]\
        .map(line => Math.round(line.getBoundingClientRect().right)).filter(right => right > innerWidth - 40)";
    visit.expect(&format!("new Set({right}).size === 1")).await;
    bring_up(&visit, ".past-host").await;
    judge(&visit, "host-1440").await;

    // Of a host of which nothing is known nothing is said.
    visit.open_live("/?range=7d&node=db-02").await;
    visit.expect_text("#past-node", "peaks are of single reports").await;
    visit.expect("!document.querySelector('.host')").await;
    // And nothing of the present, which has it as numbers.
    visit.open_live("/?node=web-01").await;
    visit.expect_text("#detail", "Processors").await;
    visit.expect("!document.querySelector('.host')").await;
    visit.end().await;
}

#[tokio::test]
async fn a_nodes_round_trips_are_a_strip_of_the_minutes_that_were_heard() {
    let visit = start("/?node=edge-04", 1440, 900).await;
    visit.expect_text("#latency", "Broker\n0.42 ms, 99 % in 1.80 ms, 0 % lost").await;
    visit.expect_text("#latency h3", "Latency, ").await;
    visit.expect("document.querySelectorAll('#latency .trip').length === 3").await;
    // What is lost altogether has no time: neither a line nor a number.
    let lost = "document.querySelector('#latency .trip:last-child')";
    visit.expect(&format!("{lost}.querySelector('.trip-words').textContent === '100 % lost'")).await;
    visit.expect(&format!("{lost}.querySelector('.trip-line').getAttribute('d') === ''")).await;
    visit.expect(&format!("{lost}.querySelectorAll('.trip-loss').length > 0")).await;
    let minutes = "document.querySelectorAll('#latency .trip:nth-of-type(2) .trip-band').length";
    visit.expect(&format!("{minutes} >= 1")).await;
    // It grows while the node is looked at, and is kept while another one is.
    for known in 2..=3 {
        visit.server.beat(Duration::from_secs(60));
        visit.expect(&format!("{minutes} >= {known}")).await;
    }
    visit.expect("/^Latency, last \\d+ min$/.test(document.querySelector('#latency h3').textContent)").await;
    bring_up(&visit, "#latency").await;
    judge(&visit, "latency-1440").await;
    let go = |node: &str| {
        format!("history.pushState(null, '', '?node={node}'), dispatchEvent(new PopStateEvent('popstate'))")
    };
    visit.browser.eval(&go("web-01")).await.unwrap();
    visit.expect("document.querySelector('#detail').dataset.node === 'web-01'").await;
    visit.expect("document.querySelector('#detail-title').textContent === 'web-01'").await;
    visit.expect("!document.querySelector('#latency')").await;
    visit.browser.eval(&go("edge-04")).await.unwrap();
    visit.expect(&format!("{minutes} >= 3")).await;
    visit.end().await;
}

#[tokio::test]
async fn on_a_phone_charts_of_the_host_and_strips_fit() {
    let visit = start("/?range=24h&node=edge-04", 390, 844).await;
    visit.expect("document.querySelectorAll('#past-node .host').length === 4").await;
    visit.expect("document.querySelectorAll('#latency .trip').length === 3").await;
    visit.expect("document.documentElement.scrollWidth <= innerWidth").await;
    visit.expect("[...document.querySelectorAll('.host svg, .trip svg')].every(svg => svg.getBoundingClientRect().right <= 390)").await;
    bring_up(&visit, ".past-host").await;
    judge(&visit, "host-390").await;
    bring_up(&visit, "#latency").await;
    judge(&visit, "latency-390").await;
    // They follow the window's width.
    visit.browser.resize(600, 844).await.unwrap();
    let widths = "[...document.querySelectorAll('.host svg')].map(svg => svg.viewBox.baseVal.width)";
    visit
        .expect(&format!(
            "new Set([...{widths}, document.querySelector('#past-node').clientWidth]).size === 1"
        ))
        .await;
    visit.expect(&format!("{widths}[0] > 400")).await;
    visit.end().await;
}

#[tokio::test]
async fn the_open_node_has_arcs_to_those_it_measures_round_trips_with() {
    let visit = start("/?node=db-02", 1440, 900).await;
    // Nine edge nodes probe it; eight are shown, the nearest.
    let arcs = "(document.querySelector('.map-arc')?.getAttribute('d').match(/M/g) ?? []).length";
    visit.expect(&format!("{arcs} === 8")).await;
    visit.expect_text("#probed-by", "Probed by edge-04 (11 ms), ").await;
    visit.expect("document.querySelector('#probed-by').textContent.endsWith(' and 1 more.')").await;
    let begins =
        "new Set(document.querySelector('.map-arc').getAttribute('d').match(/M-?\\d+ -?\\d+/g)).size";
    visit.expect(&format!("{begins} === 1")).await;
    judge(&visit, "arcs-1440").await;
    // They follow the map.
    let path = "document.querySelector('.map-arc').getAttribute('d')";
    let before = visit.browser.eval(path).await.unwrap();
    crate::map::press(&visit, "+").await;
    visit.expect(&format!("{path} !== {before}")).await;
    // One that probes has one arc, and no word of who probes it; without details there are none.
    let go = "history.pushState(null, '', '?node=edge-04'), dispatchEvent(new PopStateEvent('popstate'))";
    visit.browser.eval(go).await.unwrap();
    visit.expect(&format!("{arcs} === 1")).await;
    visit.expect("!document.querySelector('#probed-by')").await;
    visit.click("#detail-close").await;
    visit.expect("!document.querySelector('.map-arcs')").await;
    visit.end().await;
}
