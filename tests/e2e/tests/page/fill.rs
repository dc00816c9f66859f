//! Small lines are full as soon as the page is: with what was before it opened.

use std::{panic::Location, time::Duration};

use anyhow::{Context, ensure};
use serde_json::json;
use tidemap_testkit::{eventually, fake::FakeFleet};

use crate::{PAGE_TIMEOUT, visit::Visit};

/// A node with a place on screen in `/?q=web`.
const NODE: &str = "web-01";
/// The small line of that node's row.
const TREND: &str = "document.querySelector('[data-node=\"web-01\"] .cell-trend path').getAttribute('d')";
/// The small line of the fleet's download.
const LINE: &str = "document.querySelector('.kpi-rate[data-direction=download] path').getAttribute('d')";
/// How many requests the rows' lines have taken.
const ASKED: &str =
    "performance.getEntriesByType('resource').filter(({ name }) => name.includes('/api/nodes/')).length";
/// How many rows are in the page.
const ROWS: &str = "document.querySelectorAll('.grid-node[data-node]').length";

/// The page has heard of one second, and its clock stands still: lines of its own have one point each.
async fn open(visit: &Visit, path: &str) {
    visit.hold_clock().await;
    visit.open_live(path).await;
}

/// The row's line begins a minute ago, and has the gap that the node's minute has.
async fn expect_full_rows(visit: &Visit) {
    visit.expect(&format!("{TREND}.startsWith('M0 ') && {TREND}.split('M').length === 3")).await;
}

/// The fleet's line begins at most this many pixels of 600 from the left, and has no hole.
#[track_caller]
fn expect_line_from(visit: &Visit, left: f64) -> impl Future<Output = ()> {
    let place = Location::caller();
    async move {
        let drawn = eventually(PAGE_TIMEOUT, || async {
            let line = visit.browser.eval(LINE).await?;
            let parts: Vec<&str> = line.as_str().context("no line")?.split('M').skip(1).collect();
            let begin = parts.first().and_then(|part| part.split([',', ' ', 'H', 'V', 'L']).next());
            let begin: f64 = begin.context("nothing is drawn")?.parse()?;
            ensure!(parts.len() == 1 && begin <= left, "it is drawn from {begin} in {} parts", parts.len());
            Ok(())
        });
        drawn.await.with_context(|| place.to_string()).unwrap();
    }
}

/// Every row of a node that reports has its line, which begins a minute ago and has no hole but the one that
/// the server itself has.
const ROWS_ARE_FULL: &str = "[...document.querySelectorAll('.grid-node[data-node]')].every(row => \
    /^M0 [^M]*M[^M]*$/.test(row.querySelector('.cell-trend path').getAttribute('d')) \
    || row.querySelector('.status-sign').dataset.status !== 'online')";

#[tokio::test]
async fn lines_are_full_at_load_and_again_after_an_interruption() {
    let visit = Visit::start(FakeFleet::world(), 1440, 900).await;
    open(&visit, "/?q=web").await;
    expect_full_rows(&visit).await;
    expect_line_from(&visit, 8.0).await;
    // Rows that come to the screen later are filled too, and each is asked for once.
    let before = visit.browser.eval(ASKED).await.unwrap();
    assert_eq!(before, visit.browser.eval(ROWS).await.unwrap());
    visit.browser.press("/").await.unwrap();
    visit.browser.eval("document.querySelector('#search').select()").await.unwrap();
    visit.browser.press("edge").await.unwrap();
    visit.expect(&format!("!!document.querySelector('[data-node=edge-04]') && {ROWS} === {before}")).await;
    visit.beat(1, Duration::from_secs(1)).await;
    visit.expect(ROWS_ARE_FULL).await;
    visit.expect(&format!("{ASKED} <= {before} + {ROWS}")).await;
    // A new snapshot begins new lines, which are filled again.
    visit.server.hang_up();
    visit.advance_clock(Duration::from_secs(3)).await;
    visit.expect(&format!("{ASKED} > {before} + {ROWS}")).await;
    visit.expect(ROWS_ARE_FULL).await;
    expect_line_from(&visit, 8.0).await;
    visit.end().await;
}

#[tokio::test]
async fn without_a_history_the_fleets_line_begins_now_and_no_error_is_logged() {
    let visit = Visit::start(FakeFleet::world(), 1440, 900).await;
    visit.server.refuse_history(Some("no station of the history answers"));
    visit.server.forget_totals();
    open(&visit, "/?q=web").await;
    expect_full_rows(&visit).await;
    let begin = visit.browser.eval(&format!("+(/^M([\\d.]+)/.exec({LINE}) ?? [0, 600])[1]")).await.unwrap();
    assert_eq!(begin, json!(600), "nothing is invented");
    visit.end().await;
}

#[tokio::test]
async fn a_page_that_hears_by_asking_is_filled_and_a_phone_asks_for_no_rows() {
    let visit = Visit::start(FakeFleet::world(), 1440, 900).await;
    visit.server.set_line(tidemap_testkit::fake::Line::Refused);
    visit.open(&format!("/?q={NODE}")).await;
    visit.expect_link("polled").await;
    expect_full_rows(&visit).await;
    visit.browser.resize(390, 844).await.unwrap();
    visit.open("/").await;
    visit.expect_link("polled").await;
    expect_line_from(&visit, 8.0).await;
    let asked = visit.browser.eval(ASKED).await.unwrap();
    assert_eq!(asked, json!(0), "nobody sees lines of rows on a phone");
    visit.end().await;
}

#[tokio::test]
async fn a_stream_that_was_interrupted_and_goes_on_leaves_no_hole() {
    let visit = Visit::start(FakeFleet::world(), 1440, 900).await;
    open(&visit, "/?q=web").await;
    expect_line_from(&visit, 8.0).await;
    // Nothing comes for a while, and then what is new, without a snapshot.
    visit.beat(1, Duration::from_secs(40)).await;
    expect_line_from(&visit, 8.0).await;
    visit.end().await;
}

/// Puts another tab in front, lets the page's clock go on by `page` and the fleet's by `fleet`, the latter in
/// steps of a second, and returns to the page.
async fn hide(visit: &Visit, page: Duration, fleet: u32, closes_its_stream: bool) {
    let tab = visit.browser.open_tab().await.unwrap();
    let other = visit.server.url() + "/api/stats";
    visit.browser.page.goto(&other).await.unwrap();
    let advance = format!("new BroadcastChannel('clock').postMessage({})", page.as_millis());
    visit.browser.page.execute(&advance, vec![]).await.unwrap();
    if closes_its_stream {
        visit.expect_no_listener().await;
    }
    for _ in 0..fleet {
        visit.server.beat(Duration::from_secs(1));
    }
    visit.browser.return_to(tab).await.unwrap();
    visit.expect("!document.hidden && wasHidden").await;
}

/// The page hears of it when it is hidden, and its clock can be put forward from another tab.
const HIDDEN: &str = "window.wasHidden = false;
    document.addEventListener('visibilitychange', () => { wasHidden ||= document.hidden; });
    new BroadcastChannel('clock').onmessage = ({ data }) => advanceClock(data);";

#[tokio::test]
async fn lines_have_no_hole_when_a_hidden_tab_returns() {
    let visit = Visit::start(FakeFleet::world(), 1440, 900).await;
    visit.browser.prepare(HIDDEN).await.unwrap();
    open(&visit, "/?q=web").await;
    expect_full_rows(&visit).await;
    expect_line_from(&visit, 8.0).await;
    // For less than a minute, it hears everything and draws nothing.
    hide(&visit, Duration::from_secs(20), 20, false).await;
    visit.expect_link("live").await;
    // A busy server may have left events out; what is missing is asked for with the next one.
    visit.beat(1, Duration::from_secs(1)).await;
    expect_line_from(&visit, 8.0).await;
    visit.expect(&format!("/^M0 [^M]*(M[^M]*)?$/.test({TREND})")).await;
    // For longer, it lets go of its stream, and nothing that the fleet moves reaches it.
    hide(&visit, Duration::from_secs(61), 90, true).await;
    visit.expect_link("live").await;
    visit.beat(1, Duration::from_secs(1)).await;
    visit.expect(ROWS_ARE_FULL).await;
    expect_line_from(&visit, 8.0).await;
    visit.end().await;
}
