//! What the page does outside the visible area: the tab's title and icon, announcements to screen readers,
//! and closing its stream while hidden.

use std::time::Duration;

use tidemap_testkit::fake::{FakeFleet, FakeNode, Line};

use crate::visit::Visit;

const ICON: &str = "decodeURIComponent(document.querySelector('link[rel=icon]').getAttribute('href'))";
/// The only live region about the fleet.
const SAID: &str = "document.querySelector('.app > [role=status]').textContent";

/// Three nodes, of which `offline` are offline.
fn fleet(offline: usize) -> FakeFleet {
    let node = |at: usize| FakeNode {
        name: format!("node-{at}"),
        status: if at < offline { 2 } else { 0 },
        age_ms: if at < offline { 90_000 } else { 400 },
        rate: Some(1e6),
        ..FakeNode::default()
    };
    FakeFleet::of((0..3).map(node).collect())
}

/// Lets seconds pass for the page and for the fleet; the link stays sound.
async fn live_on(visit: &Visit, times: u32, by: Duration) {
    for _ in 0..times {
        visit.advance_clock(by).await;
        visit.beat(1, by).await;
    }
}

async fn set_hidden(visit: &Visit, is_hidden: bool) {
    let script = format!(
        "Object.defineProperty(document, 'hidden', {{ configurable: true, get: () => {is_hidden} }}); \
         document.dispatchEvent(new Event('visibilitychange'))"
    );
    visit.browser.page.execute(&script, vec![]).await.unwrap();
}

#[tokio::test]
async fn the_tab_says_what_moves_and_how_many_are_offline() {
    let visit = Visit::start(fleet(2), 1000, 700).await;
    visit.open_live("/").await;
    visit.expect("document.title.startsWith('(2 offline) ↓ 1.23 MB/s ↑ ')").await;
    visit.expect(&format!("{ICON}.startsWith('data:image/svg+xml,') && {ICON}.includes('>2<')")).await;
    visit.server.set_fleet(fleet(0));
    visit.beat(1, Duration::ZERO).await;
    visit.expect("document.title.startsWith('↓ ')").await;
    visit.expect(&format!("{ICON}.endsWith('.svg')")).await;
    visit.end().await;
}

#[tokio::test]
async fn the_sign_of_the_link_says_how_old_the_totals_are_without_moving_or_being_read_aloud() {
    let visit = Visit::start(fleet(0), 1000, 700).await;
    visit.hold_clock().await;
    visit.open("/").await;
    visit.expect_link("live").await;
    // The age is the one that the server reported with the totals.
    visit.beat(1, Duration::ZERO).await;
    visit.expect_text("#connection", "Live 0.1 s").await;
    let width = "document.querySelector('#connection').getBoundingClientRect().width";
    let before = visit.browser.eval(width).await.unwrap();
    visit.advance_clock(Duration::from_millis(1_900)).await;
    visit.expect_text("#connection", "Live 2.0 s").await;
    assert_eq!(visit.browser.eval(width).await.unwrap(), before, "what stands beside it has moved");
    visit.expect("!document.querySelector('#connection').closest('[aria-live], [role=status]')").await;
    visit.beat(1, Duration::from_secs(2)).await;
    visit.expect_text("#connection", "Live 0.1 s").await;
    visit.end().await;
}

#[tokio::test]
async fn nodes_that_have_just_gone_are_announced_and_shown() {
    let visit = Visit::start(fleet(0), 1000, 700).await;
    visit.open_live("/").await;
    visit.expect("!document.querySelector('#notice').checkVisibility()").await;
    visit.server.set_fleet(fleet(2));
    visit.server.hang_up();
    visit.expect_text("#notice", "2 nodes have gone offline in the last 5 minutes.").await;
    visit.click("#notice button").await;
    visit.expect_text("#count", "2 of 3").await;
    visit.expect("location.search === '?status=offline'").await;
    visit.end().await;
}

#[tokio::test]
async fn announcements_come_at_most_every_half_minute_and_none_is_lost() {
    let visit = Visit::start(fleet(0), 1000, 700).await;
    visit.hold_clock().await;
    visit.open("/").await;
    visit.expect_link("live").await;
    visit.expect(&format!("{SAID} === '3 online, 0 warning, 0 offline'")).await;
    visit.server.set_fleet(fleet(1));
    live_on(&visit, 3, Duration::from_secs(8)).await;
    visit.expect("document.querySelector('[data-kpi=offline]').textContent === '1'").await;
    assert_eq!(visit.browser.eval(SAID).await.unwrap(), "3 online, 0 warning, 0 offline");
    live_on(&visit, 1, Duration::from_secs(8)).await;
    visit.expect(&format!("{SAID} === '2 online, 0 warning, 1 offline'")).await;
    // Changes now wait for their time, even if nothing else happens.
    visit.server.set_line(Line::BadGateway);
    visit.server.hang_up();
    visit.expect_link("disconnected").await;
    assert_eq!(visit.browser.eval(SAID).await.unwrap(), "2 online, 0 warning, 1 offline");
    visit.advance_clock(Duration::from_secs(31)).await;
    visit.expect(&format!("{SAID} === 'The connection to the server is lost.'")).await;
    visit.end().await;
}

#[tokio::test]
async fn a_hidden_page_lets_go_of_its_stream_after_a_minute_and_asks_again_when_it_is_seen() {
    let visit = Visit::start(fleet(0), 1000, 700).await;
    visit.hold_clock().await;
    visit.open_live("/").await;
    set_hidden(&visit, true).await;
    live_on(&visit, 7, Duration::from_millis(8500)).await;
    assert!(visit.server.listeners() >= 1, "it let go too early");
    visit.advance_clock(Duration::from_secs(1)).await;
    visit.expect_no_listener().await;
    let asked = visit.server.asked();
    visit.advance_clock(Duration::from_secs(30)).await;
    assert_eq!(visit.server.asked(), asked, "it asks though nobody looks");
    set_hidden(&visit, false).await;
    visit.expect_asked(asked + 1).await;
    visit.expect_link("live").await;
    visit.end().await;
}
