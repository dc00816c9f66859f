//! Any number of tabs share one stream, and none notices when another goes.

use std::time::Duration;

use anyhow::ensure;
use fantoccini::wd::WindowHandle;
use serde_json::{Value, json};
use tidemap_testkit::{eventually, fake::FakeFleet};
use tokio::time::Instant;

use crate::{PAGE_TIMEOUT, visit::Visit};

/// More than the six connections that a browser opens to one server.
const TABS: usize = 9;

/// All rates that a page shows, whatever their order: rows are sorted every few seconds only.
const SHOWN: &str = "[...document.querySelectorAll('.kpi-rate .kpi-figure, .grid-node')].map(e => \
    [e.dataset.node, e.querySelector('[data-cell=rx]')?.textContent ?? e.textContent]).sort().join()";
/// Few enough nodes that each has a row.
const FEW: &str = "/?q=web";

/// Opens the page in one more tab, which is seen as the others are, and looks at it.
async fn open_one_more(visit: &Visit, path: &str) -> WindowHandle {
    let tab = visit.browser.page.new_window(false).await.unwrap().handle;
    visit.browser.page.switch_to_window(tab.clone()).await.unwrap();
    visit.browser.page.goto(&(visit.server.url() + path)).await.unwrap();
    tab
}

async fn look_at(visit: &Visit, tab: &WindowHandle) {
    visit.browser.page.switch_to_window(tab.clone()).await.unwrap();
}

/// Waits until the server has this number of open streams.
async fn expect_streams(visit: &Visit, expected: usize) {
    eventually(PAGE_TIMEOUT, || async {
        let open = visit.server.listeners();
        ensure!(open == expected, "{open} streams are open, not {expected}");
        Ok(())
    })
    .await
    .unwrap();
}

/// Lets one second pass for the fleet: every tab then shows the same numbers, also one that has just come.
async fn expect_all_show_the_same(visit: &mut Visit, tabs: &[WindowHandle]) {
    visit.server.fall_silent();
    visit.server.beat(Duration::from_secs(1));
    let newest = open_one_more(visit, FEW).await;
    visit.expect("document.querySelectorAll('.grid-node').length === 9").await;
    let right = visit.browser.eval(SHOWN).await.unwrap();
    assert_ne!(right, Value::from(""));
    for tab in tabs {
        look_at(visit, tab).await;
        visit.expect(&format!("{SHOWN} === {}", json!(right))).await;
    }
    look_at(visit, &newest).await;
    visit.browser.page.close_window().await.unwrap();
    look_at(visit, &tabs[0]).await;
    visit.server.keep_beating();
}

#[tokio::test]
async fn nine_tabs_are_live_with_one_stream_and_none_notices_when_another_closes() {
    let mut visit = Visit::start(FakeFleet::world(), 1440, 900).await;
    visit.server.keep_beating();
    visit.open_live(FEW).await;
    let mut tabs = vec![visit.browser.page.window().await.unwrap()];
    for _ in 1..TABS {
        tabs.push(open_one_more(&visit, "/?q=web&node=web-01").await);
    }
    let opened = Instant::now();
    for tab in &tabs {
        look_at(&visit, tab).await;
        visit.expect_link("live").await;
        if tab != &tabs[0] {
            visit.expect_text("#detail", "Identity").await;
        }
    }
    // With a stream for each tab, the last would never be live.
    eprintln!("the last of {TABS} tabs is live after {:.1} s", opened.elapsed().as_secs_f64());
    expect_streams(&visit, 1).await;
    expect_all_show_the_same(&mut visit, &tabs).await;

    // The first, which began the stream, and then one after the other.
    while tabs.len() > 1 {
        look_at(&visit, &tabs[0]).await;
        visit.browser.page.close_window().await.unwrap();
        tabs.remove(0);
        for tab in &tabs {
            look_at(&visit, tab).await;
            let link = "document.querySelector('[data-connection]').dataset.connection";
            let link = visit.browser.eval(link).await.unwrap();
            // Stale is a machine that is busy for three seconds, and the other states are a lost stream.
            assert!(link == "live" || link == "stale", "{} tabs are left: {link}", tabs.len());
            visit.expect_link("live").await;
        }
        if tabs.len() % 3 == 1 {
            expect_all_show_the_same(&mut visit, &tabs).await;
        }
    }
    look_at(&visit, &tabs[0]).await;
    visit.browser.page.goto("about:blank").await.unwrap();
    expect_streams(&visit, 0).await;
    visit.end().await;
}

#[tokio::test]
async fn a_tab_that_is_stopped_or_crashes_disturbs_no_other_and_comes_back_with_true_values() {
    let mut visit = Visit::start(FakeFleet::world(), 1440, 900).await;
    visit.server.keep_beating();
    visit.open_live(FEW).await;
    let first = visit.browser.page.window().await.unwrap();
    let second = open_one_more(&visit, FEW).await;
    visit.expect_link("live").await;
    // The browser stops the tab that has begun the stream. A driver can stop a page, but not make it visible
    // again, so the page only gets the events.
    look_at(&visit, &first).await;
    visit.browser.eval("document.dispatchEvent(new Event('freeze'))").await.unwrap();
    visit.expect_link("loading").await;
    look_at(&visit, &second).await;
    visit.expect_link("live").await;
    look_at(&visit, &first).await;
    visit.browser.eval("document.dispatchEvent(new Event('resume'))").await.unwrap();
    visit.expect_link("live").await;
    expect_all_show_the_same(&mut visit, &[first.clone(), second.clone()]).await;

    // It crashes, and the stream's process with it, if they have the same.
    look_at(&visit, &first).await;
    let crash = visit.browser.devtools("Page.crash", json!({})).await;
    assert!(crash.is_err(), "a crashed page does not answer");
    look_at(&visit, &second).await;
    let third = open_one_more(&visit, FEW).await;
    visit.expect_link("live").await;
    expect_all_show_the_same(&mut visit, &[second, third]).await;
    visit.browser.close().await.unwrap();
}

#[tokio::test]
async fn a_browser_without_shared_workers_has_a_stream_for_each_tab() {
    for script in [
        "delete globalThis.SharedWorker;",
        "globalThis.SharedWorker = class { constructor() { throw new Error('not here'); } };",
        "const Real = SharedWorker; globalThis.SharedWorker = class extends Real {
            constructor() { super('nothing.js', { type: 'module' }); }
        };",
    ] {
        let visit = Visit::start(FakeFleet::world(), 1440, 900).await;
        visit.browser.prepare(script).await.unwrap();
        visit.open_live("/").await;
        // A page that stood still may have opened another one. A server notices a closed stream only when it
        // sends.
        eventually(PAGE_TIMEOUT, || async {
            visit.server.beat(Duration::ZERO);
            ensure!(visit.server.listeners() == 1, "{} streams are open", visit.server.listeners());
            Ok(())
        })
        .await
        .unwrap();
        let moved = visit.browser.text("[data-kpi=download]").await.unwrap();
        visit.server.beat(Duration::from_secs(20));
        visit
            .expect(&format!("document.querySelector('[data-kpi=download]').innerText !== {}", json!(moved)))
            .await;
        // Chromium reports a worker's script that is missing.
        let faults = visit.browser.faults().await.unwrap();
        assert!(faults.iter().all(|fault| fault.contains("Failed to fetch a worker script")), "{faults:?}");
        visit.browser.close().await.unwrap();
    }
}
