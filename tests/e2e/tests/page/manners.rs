//! How the page behaves in use: nothing jumps, nothing moves under a pointer, and "back" goes back.

use std::time::Duration;

use serde_json::json;
use tidemap_testkit::fake::{FakeFleet, FakeNode};

use crate::visit::Visit;

const FIRST: &str = "document.querySelector('[aria-rowindex=\"2\"]').dataset.node";

/// Nodes with these names and rates.
fn fleet(nodes: &[(&str, f64)]) -> FakeFleet {
    let node = |&(name, rate): &(&str, f64)| FakeNode {
        name: name.to_owned(),
        rate: Some(rate),
        age_ms: 400,
        ..FakeNode::default()
    };
    FakeFleet::of(nodes.iter().map(node).collect())
}

async fn expect_download(visit: &Visit, expected: &str) {
    let shown = "document.querySelector('.kpi-rate[data-direction=download] .kpi-figure').textContent";
    visit.expect(&format!("{shown} === '{expected}'")).await;
}

#[tokio::test]
async fn a_rate_that_wavers_about_a_thousand_does_not_change_its_unit_each_time() {
    let visit = Visit::start(fleet(&[("a", 998e6)]), 1440, 900).await;
    visit.open_live("/").await;
    expect_download(&visit, "998.00 MB/s").await;
    for (rate, expected) in
        [(1010e6, "1.01 GB/s"), (950e6, "0.95 GB/s"), (890e6, "890.00 MB/s"), (950e6, "950.00 MB/s")]
    {
        visit.server.set_fleet(fleet(&[("a", rate)]));
        visit.beat(1, Duration::ZERO).await;
        expect_download(&visit, expected).await;
    }
    visit.end().await;
}

#[tokio::test]
async fn rows_stand_still_under_a_pointer_and_are_sorted_when_it_has_left() {
    let visit = Visit::start(fleet(&[("a", 9e6), ("b", 1e6)]), 1440, 900).await;
    visit.hold_clock().await;
    visit.open_live("/").await;
    visit.expect(&format!("{FIRST} === 'a'")).await;
    let pointer = async |event: &str| {
        let script =
            format!("document.querySelector('.scroller').dispatchEvent(new PointerEvent('{event}'))");
        visit.browser.eval(&script).await.unwrap();
    };
    pointer("pointerenter").await;
    visit.server.set_fleet(fleet(&[("a", 1e6), ("b", 9e6)]));
    visit.advance_clock(Duration::from_secs(6)).await;
    visit.beat(1, Duration::ZERO).await;
    visit.expect_text("[data-node=b] [data-cell=rx]", "10.").await;
    visit.expect_text(".caption-held", "order held").await;
    assert_eq!(visit.browser.eval(FIRST).await.unwrap(), "a", "a row has moved under the pointer");
    pointer("pointerleave").await;
    visit.beat(1, Duration::ZERO).await;
    visit.expect(&format!("{FIRST} === 'b'")).await;
    visit.expect("document.querySelector('.caption-held').textContent === ''").await;
    visit.end().await;
}

#[tokio::test]
async fn a_slower_page_follows_when_it_is_time_to() {
    let visit = Visit::start(fleet(&[("a", 1e6)]), 1440, 900).await;
    visit.hold_clock().await;
    visit.open_live("/").await;
    let slower = "(pace => { pace.value = '5'; pace.dispatchEvent(new Event('change', { bubbles: true })); })(document.querySelector('#pace'))";
    visit.browser.eval(slower).await.unwrap();
    visit.expect_text("#connection", "Live, every 5 s").await;
    visit.server.set_fleet(fleet(&[("a", 7e6)]));
    visit.beat(1, Duration::ZERO).await;
    visit.next_frame().await;
    assert_eq!(visit.browser.text("[data-node=a] [data-cell=rx]").await.unwrap(), "1.00");
    visit.advance_clock(Duration::from_millis(5100)).await;
    visit.beat(1, Duration::ZERO).await;
    visit.expect_text("[data-node=a] [data-cell=rx]", "7.00").await;
    visit.end().await;
}

#[tokio::test]
async fn the_address_says_what_is_shown_and_back_closes_what_was_opened() {
    let visit = Visit::start(FakeFleet::world(), 1440, 900).await;
    visit.open_live("/?q=edge&sort=name&unit=Mbit%2Fs").await;
    visit.expect("document.querySelector('#search').value === 'edge'").await;
    visit.expect("document.querySelector('th.cell-name').ariaSort === 'ascending'").await;
    visit.expect("document.querySelector('#unit').value === 'Mbit/s'").await;
    visit.expect_text("#count", "9 of 36").await;
    let address = visit.browser.eval("location.search").await.unwrap();
    visit.click("[data-node=edge-08]").await;
    visit.expect("location.search.includes('node=edge-08')").await;
    visit.expect_text("#detail", "eth0").await;
    // Going back is leaving the node, not the page; going forward opens it again.
    visit.browser.page.back().await.unwrap();
    visit.expect("!document.querySelector('#detail').checkVisibility()").await;
    visit.expect(&format!("location.search === {}", json!(address))).await;
    visit.expect_text("#count", "9 of 36").await;
    visit.browser.page.forward().await.unwrap();
    visit.expect("document.querySelector('#detail').checkVisibility()").await;
    visit.expect_text("#detail-title", "edge-08").await;
    visit.end().await;
}
