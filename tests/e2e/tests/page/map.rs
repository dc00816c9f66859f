//! The map: what it shows, how it is moved, and how the table follows it.

use anyhow::{Context, ensure};
use serde_json::Value;
use tidemap_testkit::{
    broker::TestBroker,
    browser::Browser,
    eventually,
    fake::{FakeFleet, FakeNode},
};

use crate::{PAGE_TIMEOUT, visit::Visit};

/// The names that the table lists, in the order of the alphabet.
const LISTED: &str =
    "[...document.querySelectorAll('.grid-node[data-node]')].map(e => e.dataset.node).sort().join()";

/// A pointer's actions on the map, in pixels from its middle.
const POINTERS: &str = r"
    const stage = document.querySelector('.map-stage'), box = stage.getBoundingClientRect();
    const at = (x, y) => ({ clientX: box.x + box.width / 2 + x, clientY: box.y + box.height / 2 + y, bubbles: true });
    const pointer = (kind, x, y, more) => stage.dispatchEvent(
        new PointerEvent(kind, { pointerId: 7, button: 0, buttons: 1, pointerType: 'mouse', ...at(x, y), ...more }));
    const tap = () => { pointer('pointerdown', 0, 0); pointer('pointerup', 0, 0); };
    const wheel = deltaY => stage.dispatchEvent(new WheelEvent('wheel', { deltaY, cancelable: true, ...at(0, 0) }));
";

/// One node in Zürich, one in Sydney, three in one house in Quito, and one without a place.
fn fleet() -> FakeFleet {
    let quito = || Some(("Quito".to_owned(), -0.18, -78.47));
    let node = |name: &str, place, rate| FakeNode {
        name: name.to_owned(),
        place,
        rate: Some(rate),
        age_ms: 400,
        ..FakeNode::default()
    };
    FakeFleet::of(vec![
        node("zurich", Some(("Zürich".to_owned(), 47.37, 8.54)), 5e6),
        node("sydney", Some(("Sydney".to_owned(), -33.87, 151.21)), 2e6),
        node("quito-1", quito(), 1e6),
        node("quito-2", quito(), 20e6),
        node("quito-3", quito(), 300e6),
        node("lost", None, 4e6),
    ])
}

async fn expect_listed(visit: &Visit, expected: &str) {
    visit.expect(&format!("{LISTED} === '{expected}'")).await;
}

/// Gives the map the focus and presses keys.
pub(crate) async fn press(visit: &Visit, keys: &str) {
    visit.browser.eval("document.querySelector('.map-stage').focus()").await.unwrap();
    visit.browser.press(keys).await.unwrap();
}

pub(crate) async fn do_on_map(visit: &Visit, script: &str) {
    visit.browser.page.execute(&[POINTERS, script].concat(), vec![]).await.unwrap();
}

#[tokio::test]
async fn the_table_lists_what_the_map_shows_and_what_it_cannot() {
    let visit = Visit::start(fleet(), 1440, 900).await;
    visit.open_live("/").await;
    expect_listed(&visit, "lost,quito-1,quito-2,quito-3,sydney,zurich").await;
    visit.browser.eval("document.querySelector('#in-view').focus()").await.unwrap();
    visit.browser.press(" ").await.unwrap();
    visit.expect("document.querySelector('#in-view').ariaPressed === 'true'").await;
    visit.expect("location.search === '?area=view'").await;
    expect_listed(&visit, "quito-1,quito-2,quito-3,sydney,zurich").await;

    // The shorter way round this fleet leads across the Pacific, so Zürich comes last. At this zoom it is the
    // only node in view.
    press(&visit, "[").await;
    visit.expect("!!document.querySelector('.map-popup[data-popup=zurich]')").await;
    press(&visit, "++++").await;
    expect_listed(&visit, "zurich").await;
    visit.expect_text("#count", "1 of 6").await;
    press(&visit, "0").await;
    expect_listed(&visit, "quito-1,quito-2,quito-3,sydney,zurich").await;

    // Nodes without a place are counted beside the map, and reached from there by keyboard.
    visit.expect_text(".map-nowhere", "1 without a place").await;
    visit.browser.eval("document.querySelector('.map-nowhere').focus()").await.unwrap();
    visit.browser.press("\u{e007}").await.unwrap();
    expect_listed(&visit, "lost").await;
    visit.expect("document.activeElement.dataset.node === 'lost'").await;
    visit.expect("location.search === '?area=none'").await;

    // The address alone opens it, too.
    visit.open_live("/?area=view").await;
    visit.expect("document.querySelector('#in-view').ariaPressed === 'true'").await;
    expect_listed(&visit, "quito-1,quito-2,quito-3,sydney,zurich").await;
    visit.click("#in-view").await;
    visit.expect("location.search === ''").await;
    expect_listed(&visit, "lost,quito-1,quito-2,quito-3,sydney,zurich").await;
    visit.end().await;
}

#[tokio::test]
async fn the_legend_stands_beside_the_map_at_every_width() {
    let visit = Visit::start(fleet(), 1440, 900).await;
    visit.open_live("/").await;
    let edge = |css: &str, of: &str| format!("document.querySelector('{css}').getBoundingClientRect().{of}");
    for width in [1440, 900, 768, 360] {
        visit.browser.resize(width, 900).await.unwrap();
        if width < 768 {
            visit.press_unseen(".tab:nth-child(2)").await;
        }
        let (above, below) = (edge(".map-stage", "bottom"), edge(".map-legend", "top"));
        visit.expect(&format!("{} > 100 && {above} <= {below}", edge(".map-stage", "height"))).await;
        visit.expect(&format!("{} <= {}", edge(".map-legend", "bottom"), edge(".map", "bottom"))).await;
    }
    visit.end().await;
}

#[tokio::test]
async fn a_popup_tells_rates_averages_and_the_sums_of_a_place() {
    let visit = Visit::start(fleet(), 1440, 900).await;
    visit.open_live("/").await;
    visit.expect("!!document.querySelector('[role=application][aria-label=\"World map: 6 online\"]')").await;
    press(&visit, "[").await;
    for part in ["zurich", "Zürich", "online", " ago", "MB/s", "10 s", "1 min", "5 min", "15 min"] {
        visit.expect_text("[data-popup=zurich]", part).await;
    }
    // Present and average rates, down and up. The fleet has not run for fifteen minutes, so that average is
    // unknown.
    visit
        .expect(
            "[...document.querySelectorAll('[data-popup=zurich] td')].map(cell => cell.innerText).join(' ') \
             === '5.00 2.25 5.00 2.25 5.00 2.25 5.00 2.25 – –'",
        )
        .await;
    press(&visit, "\u{e007}").await;
    visit.expect("!!document.querySelector('#detail[data-node=zurich]')").await;
    visit.browser.press("\u{e00c}").await.unwrap();

    // One marker to the west stands for three nodes in one house.
    press(&visit, "[").await;
    visit.expect_text(".map-others", "3 nodes here").await;
    visit.click(".map-others").await;
    visit.expect_text(".map-list", "Quito: 3 nodes").await;
    let sums = visit
        .browser
        .eval(
            "(number => [number(document.querySelector('.map-list .live').innerText), \
             [...document.querySelectorAll('.map-line .map-down')].map(e => number(e.innerText))])\
             (text => Number(text.match(/[\\d.]+/)[0]))",
        )
        .await
        .unwrap();
    let sum = sums[0].as_f64().unwrap();
    let parts: Vec<f64> = sums[1].as_array().unwrap().iter().filter_map(Value::as_f64).collect();
    assert!(parts.len() == 3 && (parts.iter().sum::<f64>() - sum).abs() < 0.03, "{sum}: {parts:?}");
    visit.end().await;
}

#[tokio::test]
async fn the_map_is_moved_by_wheel_drag_pinch_double_click_and_keys() {
    let visit = Visit::start(fleet(), 1440, 900).await;
    visit.open_live("/?area=view").await;
    let all = "quito-1,quito-2,quito-3,sydney,zurich";
    expect_listed(&visit, all).await;
    // Zürich into the middle and close; then away with it.
    let home = async || {
        press(&visit, "0").await;
        expect_listed(&visit, all).await;
        press(&visit, "]").await;
        visit.expect("!!document.querySelector('.map-popup:not([hidden])')").await;
        press(&visit, "\u{e00c}").await;
    };
    for closer in [
        "wheel(-300);",
        "tap(); tap(); pointer('pointercancel', 0, 0);",
        "const finger = (id, kind, x) => pointer(kind, x, 0, { pointerId: id, pointerType: 'touch' });
         finger(1, 'pointerdown', -20); finger(2, 'pointerdown', 20);
         finger(1, 'pointermove', -60); finger(2, 'pointermove', 60);
         finger(1, 'pointerup', -60); finger(2, 'pointerup', 60);",
    ] {
        // Repeated until nothing is left in view: the middle of this fleet is in the Pacific.
        let script = format!(
            "const go = () => {{ if (document.querySelector('#no-match')) return; {closer}; setTimeout(go, 300); }}; go();"
        );
        do_on_map(&visit, &script).await;
        visit.expect("!!document.querySelector('#no-match')").await;
        home().await;
    }

    press(&visit, "[").await;
    visit.expect("!!document.querySelector('.map-popup[data-popup=zurich]')").await;
    press(&visit, "+++++").await;
    expect_listed(&visit, "zurich").await;
    // Released after a pause, because a flick would continue.
    do_on_map(
        &visit,
        "pointer('pointerdown', 0, 0); pointer('pointermove', -900, 0); setTimeout(() => pointer('pointerup', -900, 0, { buttons: 0 }), 200);",
    )
    .await;
    visit.expect("!!document.querySelector('#no-match')").await;
    // Keys lead back: as far again to the west.
    press(&visit, &"\u{e012}".repeat(11)).await;
    expect_listed(&visit, "zurich").await;
    visit.end().await;
}

/// How many pixels the map's lowest layer has drawn, read from a copy.
async fn drawn(browser: &Browser) -> anyhow::Result<u64> {
    let script = r"
        const map = document.querySelector('.map-canvas');
        // A map whose place has changed keeps its old size until it is drawn again.
        if (!map || map.height !== Math.round(map.clientHeight * devicePixelRatio)) return 0;
        const copy = new OffscreenCanvas(map.width, map.height).getContext('2d', { willReadFrequently: true });
        copy.drawImage(map, 0, 0);
        const { data } = copy.getImageData(0, 0, map.width, map.height);
        let drawn = 0;
        for (let at = 3; at < data.length; at += 4) drawn += data[at] === 255;
        return drawn;
    ";
    browser.page.execute(script, vec![]).await?.as_u64().context("a number of pixels")
}

/// The origins that the page has asked, and how many tiles.
async fn asked(browser: &Browser) -> anyhow::Result<(Value, u64)> {
    let entries = "performance.getEntriesByType('resource')";
    let origins =
        browser.eval(&format!("[...new Set({entries}.map(it => new URL(it.name).origin))]")).await?;
    let tiles = browser.eval(&format!("{entries}.filter(it => it.name.includes('tile=')).length")).await?;
    Ok((origins, tiles.as_u64().context("a count")?))
}

#[tokio::test]
async fn tiles_are_laid_over_the_bundled_map_which_stays_where_none_come() {
    let broker = TestBroker::start().await.unwrap();
    let browser = Browser::start(1280, 800).await.unwrap();
    let http = ["--http", "127.0.0.1:0"];

    // Without tiles the page sends requests to its own origin only.
    let (_plain, url) = broker.api_with(&http).await.unwrap();
    browser.page.goto(&url).await.unwrap();
    let land = eventually(PAGE_TIMEOUT, || async {
        // No worker runs here. The notice about that takes some of the map's height.
        let trouble = browser.eval("document.querySelector('.notice').dataset.trouble").await?;
        ensure!(trouble == "silent", "{trouble}");
        let land = drawn(&browser).await?;
        ensure!(land > 10_000, "{land} pixels of land");
        Ok(land)
    })
    .await
    .unwrap();
    let icon = browser.eval("document.querySelector('link[rel=icon]').getAttribute('href')").await.unwrap();
    assert_eq!(asked(&browser).await.unwrap(), (serde_json::json!([url]), 0));
    assert!(browser.eval("document.querySelector('.map-credit')").await.unwrap().is_null());

    // An image that every API serves is used as tile; it covers more than the land does.
    let own = icon.as_str().unwrap().trim_start_matches('.').to_owned() + "?tile={z}/{x}/{y}";
    let hostile = "<img src=x onerror=alert(1)>\" © Nobody";
    let flags = [&http[..], &["--tiles-url", &own, "--tiles-attribution", hostile]].concat();
    let (_own, url) = broker.api_with(&flags).await.unwrap();
    browser.page.goto(&url).await.unwrap();
    eventually(PAGE_TIMEOUT, || async {
        ensure!(browser.text(".map-credit").await? == hostile, "the attribution is shown as it is");
        let (covered, (_, tiles)) = (drawn(&browser).await?, asked(&browser).await?);
        ensure!(
            covered > land + 1000 && tiles >= 4,
            "{covered} pixels, {tiles} tiles; land alone has {land}"
        );
        Ok(())
    })
    .await
    .unwrap();
    assert_eq!(browser.console().await.unwrap(), Vec::<String>::new());

    // No server listens there, so the land stays visible.
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let elsewhere = format!("https://{gone}/{{z}}/{{x}}/{{y}}.png?tile=");
    let flags = [&http[..], &["--tiles-url", &elsewhere]].concat();
    let (_nobody, url) = broker.api_with(&flags).await.unwrap();
    browser.page.goto(&url).await.unwrap();
    eventually(PAGE_TIMEOUT, || async {
        let (same, (_, tiles)) = (drawn(&browser).await?, asked(&browser).await?);
        ensure!(same == land && tiles >= 4, "{same} pixels, {tiles} tiles; land alone has {land}");
        Ok(())
    })
    .await
    .unwrap();
    let refused = browser.console().await.unwrap();
    // The policy had allowed the requests, but no server answered.
    let is_policy = |line: &String| line.contains("Content Security Policy");
    assert!(
        refused.iter().any(|line| line.contains("net::ERR_")) && !refused.iter().any(is_policy),
        "{refused:?}"
    );
    browser.close().await.unwrap();
}
