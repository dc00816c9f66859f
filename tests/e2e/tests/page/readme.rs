//! The pictures that the readme shows: the real services and five hundred simulated nodes, and the past of a
//! made-up fleet, because no other has one yet. `TIDEMAP_BLESS=1` replaces them.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, ensure};
use tidemap_testkit::{broker::TestBroker, browser::Browser, eventually, fake::FakeFleet};

use crate::{is_blessing, picture::Picture, visit::Visit};

/// Name, theme, width, height, and whether a node is open.
const PICTURES: [(&str, &str, u32, u32, bool); 3] = [
    ("page-light.png", "light", 1440, 900, false),
    ("page-dark.png", "dark", 1440, 900, true),
    ("page-phone.png", "light", 390, 844, false),
];
/// That of a past range.
const PAST: (&str, &str, u32, u32) = ("page-past.png", "/?range=30d", 1440, 900);
const MOST_BYTES: usize = 300_000;
const NODES: u32 = 500;
/// After this long all nodes have averages, and the sparklines points of their own.
const SETTLED: &str = "performance.now() > 75000";

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(name)
}

async fn expect(browser: &Browser, expression: &str) {
    eventually(Duration::from_secs(100), || async {
        let value = browser.eval(expression).await?;
        ensure!(value == true, "{expression} is {value}");
        Ok(())
    })
    .await
    .unwrap();
}

async fn replace_pictures() {
    let broker = TestBroker::start().await.unwrap();
    let _ingest = broker.ingest(&[]).unwrap();
    let (_api, url) = broker.api().await.unwrap();
    let _fleet = broker.simulate(NODES).unwrap();
    let browser = Browser::start(1440, 900).await.unwrap();
    browser.page.goto(&url).await.unwrap();
    expect(&browser, SETTLED).await;
    for (name, theme, width, height, is_open) in PICTURES {
        browser.resize(width, height).await.unwrap();
        browser.prefer(&[("prefers-color-scheme", theme)]).await.unwrap();
        if is_open {
            // The node that moves most, by a click as a reader would.
            browser.eval("document.querySelector('[aria-rowindex=\"2\"]').click()").await.unwrap();
            expect(&browser, "document.querySelector('#detail').innerText.includes('eth0')").await;
        }
        expect(&browser, "document.querySelector('[data-connection]').dataset.connection === 'live'").await;
        let png = browser.screenshot().await.unwrap();
        // Compressed again: the browser compresses fast rather than well.
        std::fs::write(path(name), Picture::read(&png).unwrap().write().unwrap()).unwrap();
        browser.eval("document.querySelector('#detail-close')?.click()").await.unwrap();
    }
    browser.close().await.unwrap();
}

async fn replace_past() {
    let (name, path_of_page, width, height) = PAST;
    let mut visit = Visit::start(FakeFleet::world(), width, height).await;
    visit.server.keep_beating();
    visit.browser.prefer(&[("prefers-color-scheme", "light")]).await.unwrap();
    visit.open(path_of_page).await;
    visit.expect_text("#past", "List, map and groups: means of ").await;
    visit.next_frame().await;
    let png = visit.browser.screenshot().await.unwrap();
    std::fs::write(path(name), Picture::read(&png).unwrap().write().unwrap()).unwrap();
    visit.end().await;
}

#[tokio::test]
async fn the_readme_has_its_pictures() {
    if is_blessing() {
        replace_pictures().await;
        replace_past().await;
    }
    let live = PICTURES.map(|(name, _, width, height, _)| (name, width, height));
    for (name, width, height) in live.into_iter().chain([(PAST.0, PAST.2, PAST.3)]) {
        let png = std::fs::read(path(name)).with_context(|| path(name).display().to_string()).unwrap();
        let picture = Picture::read(&png).unwrap();
        assert_eq!((picture.width, picture.height), (width, height), "{name}");
        assert!(png.len() <= MOST_BYTES, "{name}: {} bytes", png.len());
    }
}
