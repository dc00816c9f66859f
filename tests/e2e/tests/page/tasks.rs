//! The common tasks, once with a mouse and once with the keyboard alone.

use std::time::Duration;

use anyhow::ensure;
use fantoccini::{Locator, key::Key};
use serde_json::json;
use tidemap_testkit::{eventually, fake::FakeFleet};

use crate::{PAGE_TIMEOUT, visit::Visit};

const COPY: &str = "#detail-copy";
const CLOSED: &str = "!document.querySelector('#detail')?.checkVisibility()";
const STATUSES: &str =
    "[...new Set([...document.querySelectorAll('.grid-node[data-node]')].map(e => e.dataset.status))].join()";

async fn at_the_desk() -> Visit {
    let visit = Visit::start(FakeFleet::world(), 1440, 900).await;
    visit.browser.allow(&["clipboardReadWrite", "clipboardSanitizedWrite"]).await.unwrap();
    visit.open_live("/").await;
    visit.expect("document.querySelectorAll('.grid-node[data-node]').length > 10").await;
    visit
}

/// Presses the tab key until the element of the selector has the focus.
async fn tab_to(visit: &Visit, css: &str) {
    let is_there = format!("document.activeElement.matches({})", json!(css));
    let mut steps = 0;
    while visit.browser.eval(&is_there).await.unwrap() != true {
        assert!(steps < 60, "the tab key does not come to {css}");
        press(visit, Key::Tab).await;
        steps += 1;
    }
}

async fn press(visit: &Visit, key: Key) {
    visit.browser.press(&String::from(char::from(key))).await.unwrap();
}

async fn expect_first(visit: &Visit, name: &str) {
    visit.expect(&format!("document.querySelector('[aria-rowindex=\"2\"]').dataset.node === '{name}'")).await;
}

async fn expect_focus(visit: &Visit, css: &str) {
    visit.expect(&format!("document.activeElement.matches({})", json!(css))).await;
}

/// The clipboard holds the page's address, which names the node.
async fn expect_copied(visit: &Visit) {
    visit.expect_text(COPY, "Copied").await;
    let script = "const done = arguments[0];
        navigator.clipboard.readText().then(text => done(text), error => done(`${error}`))";
    let copied = visit.browser.page.execute_async(script, vec![]).await.unwrap();
    let url = visit.browser.page.current_url().await.unwrap();
    assert_eq!(copied, json!(url.as_str()));
    let node = visit.browser.text("#detail-title").await.unwrap();
    assert!(url.query_pairs().any(|(key, value)| key == "node" && value == node), "{url}");
}

/// While the page is paused nothing moves, whatever the fleet does.
async fn expect_paused(visit: &Visit) {
    visit.expect_link("paused").await;
    visit.next_frame().await;
    let before = visit.browser.text(".grid-body").await.unwrap();
    visit.beat(2, Duration::from_secs(20)).await;
    visit.next_frame().await;
    assert_eq!(visit.browser.text(".grid-body").await.unwrap(), before);
}

/// A list's choice by the arrow keys, as people make it, until it is this one.
async fn choose_by_key(visit: &Visit, css: &str, value: &str) {
    tab_to(visit, css).await;
    let mut steps = 0;
    while visit.browser.eval(&format!("document.querySelector('{css}').value")).await.unwrap() != value {
        assert!(steps < 4, "{css} has no {value}");
        press(visit, Key::Down).await;
        steps += 1;
    }
}

async fn choose_by_mouse(visit: &Visit, css: &str, value: &str) {
    let list = visit.browser.page.find(Locator::Css(css)).await.unwrap();
    list.select_by_label(value).await.unwrap();
}

#[tokio::test]
async fn everything_can_be_done_with_a_mouse() {
    let visit = at_the_desk().await;
    // Find a node, and see all again.
    visit.click("#search").await;
    visit.browser.press("edge-16").await.unwrap();
    visit.expect_text("#count", "1 of 36").await;
    expect_first(&visit, "edge-16").await;
    visit.click(".filter[aria-label^=Remove]").await;
    visit.expect("document.querySelector('#count').textContent === '36'").await;
    // Sort.
    visit.click(".cell-name .sort").await;
    expect_first(&visit, "cache-03").await;
    visit.click(".cell-name .sort").await;
    expect_first(&visit, "web-33").await;
    visit.expect("document.querySelector('th.cell-name').ariaSort === 'descending'").await;
    // List those that are offline.
    visit.click(".count[data-status=offline]").await;
    visit.expect(&format!("{STATUSES} === 'offline'")).await;
    visit.expect("document.querySelector('.count[data-status=offline]').ariaPressed === 'true'").await;
    visit.click(".count[data-status=offline]").await;
    visit.expect("document.querySelector('#count').textContent === '36'").await;
    // Open a node, copy its link, close it.
    visit.click("[data-node=web-33]").await;
    visit.expect_text("#detail", "eth0").await;
    visit.click(COPY).await;
    expect_copied(&visit).await;
    visit.click("#detail-close").await;
    visit.expect(CLOSED).await;
    expect_focus(&visit, "[data-node=web-33]").await;
    // Pause, and go on.
    visit.click("#pause").await;
    expect_paused(&visit).await;
    visit.click("#pause").await;
    visit.expect_link("live").await;
    // Units and colours.
    choose_by_mouse(&visit, "#unit", "Mbit/s").await;
    visit.expect_text(".grid-head", "Mbit/s").await;
    choose_by_mouse(&visit, "#theme", "dark").await;
    visit.expect("getComputedStyle(document.body).backgroundColor !== 'rgb(247, 248, 250)'").await;
    // The map, closer: fewer nodes are in view.
    visit.click("#in-view").await;
    for _ in 0..4 {
        visit.click(".map-control[aria-label='Zoom in']").await;
    }
    visit.expect("parseInt(document.querySelector('#count').textContent) < 30").await;
    visit.end().await;
}

#[tokio::test]
async fn everything_can_be_done_with_a_keyboard() {
    let visit = at_the_desk().await;
    // Find a node, and see all again.
    visit.browser.press("/edge-16").await.unwrap();
    visit.expect_text("#count", "1 of 36").await;
    expect_first(&visit, "edge-16").await;
    press(&visit, Key::Escape).await;
    visit.expect("document.querySelector('#count').textContent === '36'").await;
    // Pause, and go on.
    tab_to(&visit, "#pause").await;
    press(&visit, Key::Enter).await;
    expect_paused(&visit).await;
    press(&visit, Key::Enter).await;
    visit.expect_link("live").await;
    // Units and colours.
    choose_by_key(&visit, "#unit", "Mbit/s").await;
    visit.expect_text(".grid-head", "Mbit/s").await;
    choose_by_key(&visit, "#theme", "dark").await;
    visit.expect("getComputedStyle(document.body).backgroundColor !== 'rgb(247, 248, 250)'").await;
    // List those that are offline.
    tab_to(&visit, ".count[data-status=offline]").await;
    visit.browser.press(" ").await.unwrap();
    visit.expect(&format!("{STATUSES} === 'offline'")).await;
    visit.browser.press(" ").await.unwrap();
    visit.expect("document.querySelector('#count').textContent === '36'").await;
    // The map: closer, from marker to marker, and what is known of one.
    tab_to(&visit, "[role=application]").await;
    visit.browser.press("]]").await.unwrap();
    let first = popup(&visit).await;
    visit.browser.press("]").await.unwrap();
    visit.expect(&format!("document.querySelector('[data-popup]').dataset.popup !== {}", json!(first))).await;
    visit.browser.press("++").await.unwrap();
    let second = popup(&visit).await;
    press(&visit, Key::Enter).await;
    visit.expect_text("#detail-title", &second).await;
    press(&visit, Key::Escape).await;
    visit.expect(CLOSED).await;
    // Sort.
    tab_to(&visit, ".cell-name .sort").await;
    press(&visit, Key::Enter).await;
    expect_first(&visit, "cache-03").await;
    // Open the third node, copy its link, close it: the focus is where it was.
    tab_to(&visit, ".grid-node[data-node]").await;
    press(&visit, Key::Home).await;
    press(&visit, Key::Down).await;
    press(&visit, Key::Down).await;
    expect_focus(&visit, "[aria-rowindex='4']").await;
    let third = visit.browser.eval("document.activeElement.dataset.node").await.unwrap();
    press(&visit, Key::Enter).await;
    visit.expect_text("#detail-title", third.as_str().unwrap()).await;
    expect_focus(&visit, "#detail").await;
    tab_to(&visit, COPY).await;
    press(&visit, Key::Enter).await;
    expect_copied(&visit).await;
    press(&visit, Key::Escape).await;
    visit.expect(CLOSED).await;
    expect_focus(&visit, &format!("[data-node={}]", third.as_str().unwrap())).await;
    visit.end().await;
}

/// The node whose popup is open.
async fn popup(visit: &Visit) -> String {
    let name = eventually(PAGE_TIMEOUT, || async {
        let name = visit.browser.eval("document.querySelector('[data-popup]')?.dataset.popup").await?;
        ensure!(name.is_string(), "no popup");
        Ok(name)
    });
    name.await.unwrap().as_str().unwrap().to_owned()
}
