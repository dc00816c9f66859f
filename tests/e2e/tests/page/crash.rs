//! The page's program panics: the page shows it, and the reader can copy a report and reload.

use tidemap_testkit::fake::FakeFleet;

use crate::visit::Visit;

const CRASH: &str = "document.dispatchEvent(new Event('tidemap-crash'))";

#[tokio::test]
async fn a_crash_is_shown_with_a_report_to_copy_and_a_reload_mends_it() {
    let visit = Visit::start(FakeFleet::empty(), 900, 700).await;
    // In ordinary use there is no listener.
    visit.open_live("/").await;
    visit.browser.eval(CRASH).await.unwrap();
    assert_eq!(
        visit.browser.eval("document.querySelector('.crash')").await.unwrap(),
        serde_json::Value::Null
    );

    visit.open_live("/?debug").await;
    visit.browser.eval(CRASH).await.unwrap();
    visit.expect_text(".crash h1", "The page has crashed").await;
    visit.expect("document.querySelector('.crash').getAttribute('role') === 'alertdialog'").await;
    let report = "document.querySelector('.crash textarea').value";
    visit.expect(&format!("{report}.includes('this crash was asked for at webui/src/page/crash.rs')")).await;
    // It can be marked and copied, and the reload has the focus.
    visit.expect("document.querySelector('.crash textarea').readOnly").await;
    visit.expect("document.activeElement.textContent === 'Reload'").await;
    visit.browser.press("\u{e007}").await.unwrap();
    visit.expect_link("live").await;
    visit.expect("!document.querySelector('.crash')").await;
    let console = visit.browser.console().await.unwrap();
    assert!(!console.is_empty() && console.iter().all(|line| line.contains("asked for")), "{console:?}");
}
