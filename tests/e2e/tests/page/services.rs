//! The page against the real services.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, ensure};
use fantoccini::Locator;
use tidemap_testkit::{broker::TestBroker, browser::Browser, eventually, fake, http, keep_pace};
use tokio::time::Instant;

use crate::PAGE_TIMEOUT;

/// Real traffic over loopback until dropped: a chunk every 10 ms, both ends in this process.
struct Traffic {
    stop: Arc<AtomicBool>,
}

impl Traffic {
    fn start(bytes_per_second: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut to = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut from, _) = listener.accept().unwrap();
        std::thread::spawn(move || {
            let mut buffer = vec![0; 1 << 20];
            while from.read(&mut buffer).is_ok_and(|read| read > 0) {}
        });
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        std::thread::spawn(move || {
            let chunk = vec![0; bytes_per_second / 100];
            let began = Instant::now();
            let mut sent = 0;
            while !stopped.load(Ordering::Relaxed) && to.write_all(&chunk).is_ok() {
                sent += 1;
                keep_pace(began, Duration::from_millis(10) * sent);
            }
        });
        Self { stop }
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// The number in a text such as `12.34` or `12.34 MB/s`.
fn number(text: &str) -> anyhow::Result<f64> {
    let digits: String = text.chars().filter(|c| c.is_ascii_digit() || *c == '.').collect();
    digits.parse().with_context(|| format!("no number: {text:?}"))
}

async fn status(browser: &Browser) -> anyhow::Result<String> {
    browser.text("[data-node=\"here\"] [data-cell=\"status\"]").await
}

async fn expect_status(browser: &Browser, expected: &str) {
    eventually(Duration::from_secs(40), || async {
        let status = status(browser).await?;
        ensure!(status.to_lowercase().contains(expected), "status is {status:?}, not {expected}");
        Ok(())
    })
    .await
    .unwrap();
}

async fn expect_live(browser: &Browser) {
    eventually(PAGE_TIMEOUT, || async {
        let chip = browser.page.find(Locator::Css("[data-connection]")).await?;
        let state = chip.attr("data-connection").await?;
        ensure!(state.as_deref() == Some("live"), "the link is {state:?}");
        Ok(())
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_person_sees_this_node_appear_move_and_fall_silent() {
    let broker = TestBroker::start().await.unwrap();
    // Long enough that its warning is seen also when the browser stands still for a while.
    let _ingest = broker.ingest(&["--offline-after", "20"]).unwrap();
    let (_api, url) = broker.api().await.unwrap();
    let browser = Browser::start(1440, 900).await.unwrap();
    browser.page.goto(&url).await.unwrap();

    // No node has reported yet, and the page says so.
    eventually(PAGE_TIMEOUT, || async {
        let text = browser.text("body").await?;
        ensure!(text.contains("No nodes have reported yet"), "{text}");
        Ok(())
    })
    .await
    .unwrap();

    // The node appears in the table, in the totals and on the map.
    let mut agent = broker.agent("here", &["--include", "lo", "--location", "47.37,8.54,Zürich"]).unwrap();
    expect_status(&browser, "online").await;
    expect_live(&browser).await;
    eventually(PAGE_TIMEOUT, || async {
        let online = browser.text("[data-kpi=\"online\"]").await?;
        ensure!(number(&online)? == 1.0, "{online}");
        let label =
            browser.page.find(Locator::Css("[role=\"application\"]")).await?.attr("aria-label").await?;
        ensure!(label.as_deref().is_some_and(|label| label.contains("1 online")), "{label:?}");
        Ok(())
    })
    .await
    .unwrap();
    let map = browser.page.find(Locator::Css("[role=\"application\"]")).await.unwrap();
    map.send_keys("]").await.unwrap();
    eventually(PAGE_TIMEOUT, || async {
        let popup = browser.text("[data-popup=\"here\"]").await?;
        ensure!(popup.contains("Zürich") && popup.contains("MB/s"), "{popup}");
        Ok(())
    })
    .await
    .unwrap();

    // Real traffic changes the numbers: 40 MB/s over loopback, far more than other tests send over it at the
    // same time.
    let traffic = Traffic::start(40_000_000);
    for css in [
        "[data-node=\"here\"] [data-cell=\"rx\"]",
        "[data-node=\"here\"] [data-cell=\"tx\"]",
        "[data-kpi=\"download\"]",
        "[data-kpi=\"upload\"]",
    ] {
        eventually(PAGE_TIMEOUT, || async {
            let shown = browser.text(css).await?;
            ensure!((35.0..50.0).contains(&number(&shown)?), "{css}: {shown}");
            Ok(())
        })
        .await
        .unwrap();
    }
    drop(traffic);
    eventually(PAGE_TIMEOUT, || async {
        let shown = browser.text("[data-node=\"here\"] [data-cell=\"rx\"]").await?;
        ensure!(number(&shown)? < 15.0, "{shown}");
        Ok(())
    })
    .await
    .unwrap();

    // The agent stops: first a warning, then offline, and the page stays live meanwhile.
    assert!(agent.terminate().await.unwrap().success(), "{}", agent.log());
    expect_status(&browser, "warning").await;
    expect_status(&browser, "offline").await;
    eventually(PAGE_TIMEOUT, || async {
        let offline = browser.text("[data-kpi=\"offline\"]").await?;
        ensure!(number(&offline)? == 1.0, "{offline}");
        Ok(())
    })
    .await
    .unwrap();
    expect_live(&browser).await;
    assert_eq!(browser.console().await.unwrap(), Vec::<String>::new());
    browser.close().await.unwrap();
}

#[tokio::test]
async fn a_lost_api_is_shown_and_the_page_goes_on_by_itself_when_it_is_back() {
    let broker = TestBroker::start().await.unwrap();
    let _ingest = broker.ingest(&[]).unwrap();
    let (mut api, url) = broker.api().await.unwrap();
    let _fleet = broker.simulate(30).unwrap();
    let browser = Browser::start(390, 844).await.unwrap();
    browser.page.goto(&url).await.unwrap();
    let connection = async |expected: &str| {
        eventually(Duration::from_secs(40), || async {
            let chip = browser.page.find(Locator::Css("[data-connection]")).await?;
            let state = chip.attr("data-connection").await?;
            ensure!(state.as_deref() == Some(expected), "{state:?}, not {expected}");
            Ok(())
        })
        .await
        .unwrap();
    };
    connection("live").await;
    assert_eq!(browser.console().await.unwrap(), Vec::<String>::new());
    api.kill().await.unwrap();
    connection("disconnected").await;
    let address = url.trim_start_matches("http://").to_owned();
    let (_again, _) = broker.api_at(&address).await.unwrap();
    connection("live").await;
    // On a phone nothing may scroll sideways.
    let wide = browser.eval("document.documentElement.scrollWidth - window.innerWidth").await.unwrap();
    assert!(wide.as_i64().unwrap() <= 0, "{wide} px too wide");
    browser.close().await.unwrap();
}

#[tokio::test]
async fn a_search_leaves_what_matches() {
    let broker = TestBroker::start().await.unwrap();
    let _ingest = broker.ingest(&[]).unwrap();
    let (_api, url) = broker.api().await.unwrap();
    let _fleet = broker.simulate(40).unwrap();
    let _agent = broker.agent("needle", &[]).unwrap();
    let browser = Browser::start(1024, 768).await.unwrap();
    browser.page.goto(&url).await.unwrap();
    let rows = async || browser.eval("document.querySelectorAll('[data-node]').length").await;
    eventually(PAGE_TIMEOUT, || async {
        let shown = rows().await?;
        ensure!(shown.as_u64().is_some_and(|shown| shown > 5), "{shown} rows");
        Ok(())
    })
    .await
    .unwrap();
    // Paper shows all rows, and the screen no more than it needs.
    for (event, all) in [("beforeprint", true), ("afterprint", false)] {
        let count =
            format!("(dispatchEvent(new Event('{event}')), document.querySelectorAll('[data-node]').length)");
        eventually(PAGE_TIMEOUT, || async {
            let shown = browser.eval(&count).await?;
            ensure!((shown == 41) == all, "{event}: {shown} rows");
            Ok(())
        })
        .await
        .unwrap();
    }
    browser.press("/needle").await.unwrap();
    eventually(PAGE_TIMEOUT, || async {
        let shown = browser
            .eval("[...document.querySelectorAll('[data-node]')].map(e => e.dataset.node).join()")
            .await?;
        ensure!(shown == "needle", "{shown}");
        Ok(())
    })
    .await
    .unwrap();
    assert_eq!(browser.console().await.unwrap(), Vec::<String>::new());
    browser.close().await.unwrap();
}

/// Stores the shown totals after each `stats` event, by the event's time.
const KEEP_SHOWN: &str = "window.shown = {};
window.said = {};
window.SharedWorker = class extends SharedWorker {
    constructor(...parts) {
        super(...parts);
        this.port.addEventListener('message', ({ data: [kind, data] }) => {
            if (kind !== 'stats') return;
            const moment = this.moment = JSON.parse(data).timestamp;
            const number = (name) => +document.querySelector(`[data-kpi=${name}]`).textContent.replace(/[^0-9.]/g, '');
            const keep = () => {
                if (moment !== this.moment) return; // What it shows is newer by now.
                const names = ['download', 'upload', 'mean-download', 'mean-upload', 'online', 'warning', 'offline'];
                window.shown[moment] = names.map((name) => [name, number(name)]);
            };
            requestAnimationFrame(() => setTimeout(keep));
        });
    }
};";

/// Name, the page's number and the API's number for each total at one common time; nothing if there is none.
const TOTALS: &str = "fetch('/api/stats').then((answer) => answer.json()).then((said) => {
    window.said[said.timestamp] = {
        download: said.total_network_rx_bytes_per_sec / 1e6,
        upload: said.total_network_tx_bytes_per_sec / 1e6,
        'mean-download': said.avg_network_rx_bytes_per_sec / 1e6,
        'mean-upload': said.avg_network_tx_bytes_per_sec / 1e6,
        online: said.online_nodes,
        warning: said.warning_nodes,
        offline: said.offline_nodes,
    };
    const both = Object.keys(window.said).find((moment) => window.shown[moment]);
    if (!both) return null;
    const totals = window.shown[both].map(([name, shown]) => [name, shown, window.said[both][name]]);
    delete window.shown[both]; // The next is of another moment.
    return totals;
})";

#[tokio::test]
async fn the_totals_are_those_of_the_api() {
    let broker = TestBroker::start().await.unwrap();
    let _ingest = broker.ingest(&[]).unwrap();
    let (_api, url) = broker.api().await.unwrap();
    let _fleet = broker.known_fleet(300, &url).await.unwrap();
    let browser = Browser::start(1440, 900).await.unwrap();
    browser.prepare(KEEP_SHOWN).await.unwrap();
    browser.page.goto(&url).await.unwrap();
    let mut compared = 0;
    while compared < 5 {
        let totals = eventually(PAGE_TIMEOUT, || async {
            let totals = browser.eval(TOTALS).await?;
            serde_json::from_value::<Vec<(String, f64, f64)>>(totals)
                .context("no moment of which both have spoken")
        });
        for (name, shown, said) in totals.await.unwrap() {
            assert!((shown - said).abs() < 0.0051, "{name} is {shown} on the page, and {said} by the API");
        }
        compared += 1;
    }
    browser.close().await.unwrap();
}

#[tokio::test]
async fn the_made_up_server_has_the_policy_of_the_real_one() {
    let broker = TestBroker::start().await.unwrap();
    let (_api, url) = broker.api().await.unwrap();
    let page = http::get(format!("{url}/")).await.unwrap();
    assert_eq!(page.header("content-security-policy"), Some(fake::CONTENT_SECURITY_POLICY));
}
