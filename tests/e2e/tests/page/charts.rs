//! Charts of one node: by eye, by pointer, by keys, and as tables.

use tidemap_testkit::fake::FakeFleet;

use crate::visit::Visit;

#[tokio::test]
async fn a_chart_is_read_by_pointer_by_keys_and_as_a_table() {
    let visit = Visit::start(FakeFleet::world(), 1440, 900).await;
    visit.open_live("/?node=web-01").await;
    visit.expect_text("#detail", "Last minute").await;
    // Three steps are missing in the middle: no line leads over them, and they are shaded.
    visit.expect("document.querySelectorAll('#chart-60s .chart-gap').length === 1").await;
    visit.expect("document.querySelector('#chart-60s .chart-gap').getBoundingClientRect().width > 10").await;
    visit
        .expect("document.querySelector('#chart-60s .chart-line.chart-down').getAttribute('d').split('M').length === 3")
        .await;

    visit.browser.eval("document.querySelector('#chart-60s .chart-box').focus()").await.unwrap();
    let read = async |key: &str, expected: &str| {
        visit.browser.press(key).await.unwrap();
        visit.expect(&format!("document.querySelector('#chart-60s output').textContent{expected}")).await;
    };
    read("\u{e012}", ".startsWith('0 s ago: ↓ ')").await;
    read("\u{e012}", ".startsWith('1 s ago: ↓ ')").await;
    visit.expect("!!document.querySelector('#chart-60s .chart-cross')").await;
    read("\u{e011}", ".startsWith('59 s ago: ↓ ')").await;
    // The crosshair shows the gap as a gap.
    read(&"\u{e00f}".repeat(3), ".startsWith('29 s ago: ↓ –, ↑ –')").await;
    // The first Escape takes the crosshair away, the second closes the details.
    visit.browser.press("\u{e00c}").await.unwrap();
    visit.expect("!document.querySelector('.chart-cross')").await;
    visit.expect("document.querySelector('#detail').checkVisibility()").await;

    let pointer = "(box => document.querySelector('#chart-60s .chart-box').dispatchEvent(new PointerEvent('pointermove', \
        { clientX: box.right - 3, clientY: box.y + 9, bubbles: true })))\
        (document.querySelector('#chart-60s .chart-box').getBoundingClientRect())";
    visit.browser.eval(pointer).await.unwrap();
    visit.expect_text("#chart-60s .chart-reading", "0 s ago").await;

    visit.click("#chart-60s .link").await;
    visit.expect("document.querySelectorAll('#chart-60s tbody tr:not([hidden])').length === 60").await;
    visit.expect("!document.querySelector('#chart-60s .chart-box').checkVisibility()").await;
    visit
        .expect("[...document.querySelectorAll('#chart-60s tbody tr')].filter(row => row.innerText.includes('–')).length === 3")
        .await;
    visit.click("#chart-60s .link").await;
    visit.expect("document.querySelector('#chart-60s .chart-box').checkVisibility()").await;
    visit.end().await;
}
