//! The page in print, in forced colours, and on a touch screen.

use serde_json::{Value, json};
use tidemap_testkit::fake::FakeFleet;

use crate::visit::Visit;

/// Elements that are too small for a finger: everything that can be pressed or typed into and is less than 44
/// pixels high or wide, including its padding.
const TOO_SMALL: &str = "[...document.querySelectorAll('button, input, select, [role=row][tabindex]')]
    .filter(e => e.checkVisibility() && !e.closest('[aria-hidden=true]'))
    .map(e => {
        const { width, height } = e.getBoundingClientRect();
        const around = getComputedStyle(e, '::after'), more = -2 * parseFloat(around.top) || 0;
        const isPart = around.content !== 'none' && around.position === 'absolute';
        return [e.id || e.className || e.tagName, width, height + (isPart ? more : 0)];
    })
    .filter(([, width, height]) => width < 43 || height < 43)
    .map(found => found.join(' '))";

#[tokio::test]
async fn on_paper_there_are_the_numbers_and_all_rows_black_on_white() {
    let visit = Visit::start(FakeFleet::world(), 1000, 700).await;
    visit.open_live("/").await;
    visit.expect("document.querySelectorAll('.grid-node[data-node]').length > 5").await;
    visit.browser.prefer(&[("prefers-color-scheme", "dark")]).await.unwrap();
    visit.browser.devtools("Emulation.setEmulatedMedia", json!({ "media": "print" })).await.unwrap();
    visit.browser.eval("dispatchEvent(new Event('beforeprint'))").await.unwrap();
    visit.expect("document.querySelectorAll('.grid-node[data-node]').length === 36").await;
    visit.expect("getComputedStyle(document.body).backgroundColor === 'rgb(255, 255, 255)'").await;
    visit.expect("document.querySelector('.kpi-value').checkVisibility()").await;
    for gone in [".header-end", ".search", ".region-map", ".switches", ".tabs"] {
        visit.expect(&format!("!document.querySelector('{gone}').checkVisibility()")).await;
    }
    // Each below the previous one, in the order of the list, and none cut off by a box that scrolls.
    let tops = "[...document.querySelectorAll('.grid-node[data-node]')]
        .sort((a, b) => a.ariaRowIndex - b.ariaRowIndex).map(e => e.getBoundingClientRect().top)";
    visit.expect(&format!("(tops => tops.every((top, at) => !at || top > tops[at - 1]))({tops})")).await;
    visit
        .expect("document.querySelector('.scroller').scrollHeight <= document.querySelector('.scroller').clientHeight + 1")
        .await;
    visit.end().await;
}

#[tokio::test]
async fn in_the_systems_colours_statuses_choices_and_land_can_be_distinguished() {
    let visit = Visit::start(FakeFleet::world(), 1440, 900).await;
    visit.browser.prefer(&[("forced-colors", "active")]).await.unwrap();
    visit.open_live("/?status=offline").await;
    visit.expect("matchMedia('(forced-colors: active)').matches").await;
    let style = |css: &str, of: &str| format!("getComputedStyle(document.querySelector('{css}')).{of}");
    // A choice is shown by its outline, because backgrounds are the system's.
    let pressed = style(".count[data-status=offline]", "outlineStyle");
    visit.expect(&format!("{pressed} === 'solid'")).await;
    let free = style(".count[data-status=online]", "outlineStyle");
    visit.expect(&format!("{free} === 'none'")).await;
    // Shapes: a disc is filled, a ring is not.
    let face = |status: &str| style(&format!(".count .status-sign[data-status={status}]"), "backgroundColor");
    visit.expect(&format!("{} !== {}", face("online"), face("warning"))).await;
    let colours = visit.browser.page.execute(COLOURS, vec![]).await.unwrap();
    assert!(colours.as_u64().is_some_and(|colours| colours >= 1), "{colours} colours of land");
    visit.end().await;
}

/// How many colours the base map has, of those that cover something.
const COLOURS: &str = r"
    const map = document.querySelector('.map-canvas');
    const copy = new OffscreenCanvas(map.width, map.height).getContext('2d', { willReadFrequently: true });
    copy.drawImage(map, 0, 0);
    const { data } = copy.getImageData(0, 0, map.width, map.height), counts = new Map();
    for (let at = 0; at < data.length; at += 4) {
        if (data[at + 3] === 255) counts.set(data.slice(at, at + 3).join(), (counts.get(data.slice(at, at + 3).join()) ?? 0) + 1);
    }
    const sea = getComputedStyle(document.querySelector('.map')).backgroundColor.match(/\d+/g).slice(0, 3).join();
    return [...counts].filter(([colour, count]) => count > 1000 && colour !== sea).length;";

#[tokio::test]
async fn under_a_finger_everything_is_large_enough() {
    let visit = Visit::start(FakeFleet::world(), 360, 780).await;
    visit.browser.devtools("Emulation.setTouchEmulationEnabled", json!({ "enabled": true })).await.unwrap();
    visit.open_live("/?q=e&node=edge-08").await;
    visit.expect("matchMedia('(pointer: coarse)').matches").await;
    visit.expect_text("#detail", "eth0").await;
    let mut found = Vec::new();
    let mut look = async |what: &str| {
        let small = visit.browser.eval(TOO_SMALL).await.unwrap();
        if small != Value::Array(Vec::new()) {
            found.push(format!("{what}: {small}"));
        }
    };
    look("details").await;
    visit.click("#detail-close").await;
    for tab in 1..=3 {
        visit.press_unseen(&format!(".tab:nth-child({tab})")).await;
        visit.next_frame().await;
        look(&format!("tab {tab}")).await;
    }
    assert!(found.is_empty(), "{found:#?}");
    visit.end().await;
}
