//! The view of what billing cycles and months came to, and quotas in a node's details.

use std::path::Path;

use tidemap_service::clock;
use tidemap_testkit::fake::FakeFleet;
use tidemap_wire::http::{P95Json, PlanJson, PlansJson, QuotaJson, TrafficJson, TrafficPeriodJson};

use crate::{axe, visit::Visit};

fn plan(name: &str, of: &str, period: TrafficPeriodJson) -> PlanJson {
    let is_quota = period.quota.is_some();
    let period = TrafficPeriodJson {
        to_ms: clock::unix_ms() + (6 * 24 + 4) * 3_600_000 + 1_800_000,
        from: "2026-05-01T00:00:00+02:00".to_owned(),
        to: "2026-06-01T00:00:00+02:00".to_owned(),
        partial: true,
        rx_bytes: Some(5_000_000_000),
        tx_bytes: Some(7_000_000_000),
        ..period
    };
    let present = TrafficJson {
        plan: Some(name.to_owned()),
        of: of.to_owned(),
        cycle: "month".to_owned(),
        time_zone: "Europe/Zurich".to_owned(),
        direction: "out".to_owned(),
        quota_bytes: is_quota.then_some(1_000_000_000_000),
        quota_unit: is_quota.then(|| "TB".to_owned()),
        periods: vec![period],
        ..TrafficJson::default()
    };
    PlanJson { name: name.to_owned(), present: Some(present) }
}

fn used(used_bytes: u64, forecast_bytes: u64, threshold: Option<u16>) -> TrafficPeriodJson {
    let quota = QuotaJson {
        used_bytes,
        percent: used_bytes as f64 / 1e10,
        threshold,
        forecast_bytes: Some(forecast_bytes),
        ..QuotaJson::default()
    };
    TrafficPeriodJson { quota: Some(quota), ..TrafficPeriodJson::default() }
}

fn plans() -> PlansJson {
    let transit = P95Json { direction: "larger".to_owned(), billed_bps: 25_000_000, ..P95Json::default() };
    let plans = vec![
        plan("transit", "label site=fra", TrafficPeriodJson { p95: Some(transit), ..used(1, 1, None) }),
        plan("web-01 at home", "web-01", used(735_000_000_000, 787_000_000_000, None)),
        plan("rising", "web-02", used(810_000_000_000, 1_900_000_000_000, Some(80))),
        plan("over", "web-03, web-04", used(1_310_000_000_000, 1_400_000_000_000, Some(100))),
    ];
    PlansJson { plans, warning: None }
}

async fn start(path: &str, width: u32, height: u32) -> Visit {
    let mut visit = Visit::start(FakeFleet::world(), width, height).await;
    visit.server.set_plans(plans());
    visit.server.keep_beating();
    visit.open(path).await;
    visit
}

/// The names of the plans, as they are ordered.
const ORDER: &str = "[...document.querySelectorAll('.traffic-plans tbody th .traffic-name')].map(name => name.textContent).join()";

#[tokio::test]
async fn plans_are_listed_by_what_is_used_and_by_what_is_to_come() {
    let visit = start("/?view=traffic&q=edge", 1440, 900).await;
    visit.expect(&format!("{ORDER} === 'over,rising,web-01 at home,transit'")).await;
    visit.expect("!document.querySelector('.region-nodes').checkVisibility()").await;
    visit.expect_text("#traffic", "735 GB of 1.00 TB, 73 %").await;
    visit.expect_text("#traffic", "810 GB of 1.00 TB, 81 %, over 80 %").await;
    visit.expect_text("#traffic", "1.31 TB of 1.00 TB, 131 %, used up").await;
    visit.expect("document.querySelectorAll('.quota-bar[data-over]').length === 1").await;
    visit.expect_text("#traffic", "in 6 d 4 h").await;
    visit.expect_text("#traffic", "1 Jun 00:00 Europe/Zurich").await;
    visit.expect_text("#traffic", "200 Mbit/s (p95)").await;
    visit.expect("document.querySelectorAll('.traffic-nodes tbody tr').length > 5").await;
    visit.click("[data-rank=forecast] button").await;
    visit.expect(&format!("{ORDER} === 'rising,over,web-01 at home,transit'")).await;
    visit.expect("location.search === '?q=edge&view=traffic&rank=forecast'").await;
    visit.click("[data-step='-1']").await;
    visit.expect("/&month=\\d{4}-\\d\\d/.test(location.search)").await;
    visit.expect("!document.querySelector('[data-step=\"1\"]').disabled").await;
    visit.browser.page.back().await.unwrap();
    visit.expect("document.querySelector('[data-step=\"1\"]').disabled").await;
    // Another view leaves nothing of it, neither in the address.
    visit.click(".switch[data-view='']").await;
    visit.expect("location.search === '?q=edge'").await;
    visit.expect("document.querySelector('.region-nodes').checkVisibility()").await;
    visit.expect("!document.querySelector('#traffic').checkVisibility()").await;
    visit.end().await;
}

#[tokio::test]
async fn a_nodes_details_tell_the_quotas_that_cover_it() {
    let visit = start("/?node=web-01", 1440, 900).await;
    visit.expect_text("#quotas", "web-01 at home\n735 GB of 1.00 TB, 73 %").await;
    visit.expect_text("#quotas", "resets in 6 d 4 h, 1 Jun 00:00 Europe/Zurich · 787 GB by then").await;
    visit.expect("document.querySelectorAll('.quota-line').length === 1").await;
    visit.click("#detail-close").await;
    visit.expect("!document.querySelector('#quotas')").await;
    visit.end().await;
}

#[tokio::test]
async fn a_quota_over_a_label_is_in_the_details_of_its_nodes() {
    let visit = start("/", 1440, 900).await;
    let mut some = plans();
    some.plans.push(plan("rack seven", "label rack=r7", used(250_000_000_000, 300_000_000_000, None)));
    some.plans.push(plan("rack eight", "label rack=r8", used(1, 2, None)));
    some.plans.push(plan("Sydney", "location Sydney", used(3, 4, None)));
    visit.server.set_plans(some);
    visit.open("/?node=db-02").await;
    visit.expect_text("#quotas", "rack seven\n250 GB of 1.00 TB, 25 %").await;
    visit.expect("document.querySelectorAll('.quota-line').length === 1").await;
    visit.end().await;
}

/// The view asks once a minute; here once a second.
const HURRY: &str = "const every = window.setInterval; \
    window.setInterval = (then, ms) => every(then, ms === 60000 ? 1000 : ms);";

#[tokio::test]
async fn a_refresh_keeps_the_focus_and_the_place_to_which_one_has_scrolled() {
    let mut visit = Visit::start(FakeFleet::world(), 1440, 500).await;
    visit.browser.prepare(HURRY).await.unwrap();
    visit.server.set_plans(plans());
    visit.server.keep_beating();
    visit.open("/?view=traffic").await;
    visit.expect_text("#traffic", "735 GB of 1.00 TB, 73 %").await;
    visit.expect("document.querySelectorAll('.traffic-nodes tbody tr').length > 5").await;
    let link = "[...document.querySelectorAll('.traffic-plans tbody a')].find(link => link.ariaLabel.includes('rising'))";
    visit.browser.eval(&format!("window.link = {link}, link.focus()")).await.unwrap();
    visit.browser.eval("document.querySelector('.traffic-tables').scrollTop = 120").await.unwrap();
    visit.expect("document.querySelector('.traffic-tables').scrollTop === 120").await;
    // The figures change, one plan goes, and another one comes before the one that has the focus.
    let mut changed = plans();
    changed.plans.remove(0);
    changed.plans[1] = plan("rising", "web-02", used(905_000_000_000, 1_900_000_000_000, Some(90)));
    changed.plans.push(plan("new", "web-05", used(999_000_000_000, 1_000_000_000_000, Some(90))));
    visit.server.set_plans(changed);
    visit.expect_text("#traffic", "905 GB of 1.00 TB, 90 %, over 90 %").await;
    visit.expect(&format!("{ORDER} === 'over,new,rising,web-01 at home'")).await;
    visit.expect("window.link.isConnected && document.activeElement === window.link").await;
    visit.expect("document.querySelector('.traffic-tables').scrollTop === 120").await;
    // Another order moves the row, which keeps the focus.
    let order = "history.pushState(null, '', '?view=traffic&rank=forecast'), dispatchEvent(new PopStateEvent('popstate'))";
    visit.browser.eval(order).await.unwrap();
    visit.expect(&format!("{ORDER} === 'rising,over,new,web-01 at home'")).await;
    visit.expect("document.activeElement === window.link").await;
    // The bar is as wide as its words say.
    let width = "(row => row.querySelector('.quota-fill').style.width)(window.link.closest('tr'))";
    visit.expect(&format!("{width} === '90.5%'")).await;
    visit.end().await;
}

#[tokio::test]
async fn the_view_of_traffic_breaks_no_rule_of_accessibility() {
    for (width, height) in [(1440, 900), (1024, 800), (390, 844)] {
        let visit = start("/?view=traffic", width, height).await;
        axe::join(&visit.browser).await.unwrap();
        visit.expect_text("#traffic", "used up").await;
        visit.expect("document.documentElement.scrollWidth <= innerWidth").await;
        for theme in ["light", "dark"] {
            visit.browser.prefer(&[("prefers-color-scheme", theme)]).await.unwrap();
            visit.next_frame().await;
            assert_eq!(
                axe::violations(&visit.browser).await.unwrap(),
                Vec::<String>::new(),
                "{theme}, {width}"
            );
            if let Some(folder) = std::env::var_os("TIDEMAP_LOOK") {
                let picture = visit.browser.screenshot().await.unwrap();
                std::fs::write(Path::new(&folder).join(format!("traffic-{width}-{theme}.png")), picture)
                    .unwrap();
            }
        }
        visit.end().await;
    }
}
