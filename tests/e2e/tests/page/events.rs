//! What fires: the bell, the view of events, a node's own alerts, and marks on its charts.

use anyhow::{Context, ensure};
use fantoccini::key::Key;
use serde_json::json;
use tidemap_testkit::{
    fake::{FakeAlerts, FakeFleet},
    undisturbed,
};
use tidemap_wire::{Alert, AlertTarget, Severity, TargetKind};

use crate::{axe, visit::Visit};

/// When every fake fleet begins: the first second of 2026.
const AT_MS: i64 = 1_767_225_600_000;
const ICON: &str = "decodeURIComponent(document.querySelector('link[rel=icon]').getAttribute('href'))";
const FIRING: &str = "document.querySelectorAll('#events [aria-label=Firing] .event').length";

/// Two nodes and a place fire, two are over.
fn alerts() -> FakeAlerts {
    let place = AlertTarget {
        kind: TargetKind::Group,
        id: "location=Frankfurt".to_owned(),
        name: "Frankfurt".to_owned(),
        labels: std::collections::BTreeMap::new(),
    };
    let over = FakeAlerts::over(FakeAlerts::about("db-02", AT_MS, 9_000), 5_400);
    FakeAlerts {
        rules: Some(3),
        warnings: Vec::new(),
        firing: vec![
            Alert { severity: Severity::Critical, ..FakeAlerts::about("edge-12", AT_MS, 301) },
            Alert {
                target: place,
                summary: "58 % of the nodes offline (limit 50 %)".to_owned(),
                ..FakeAlerts::about("fra", AT_MS, 200)
            },
            Alert {
                severity: Severity::Info,
                silenced_until_ms: Some(AT_MS + 3_600_000),
                ..busy("web-17", AT_MS, 7_260)
            },
        ],
        log: vec![FakeAlerts::over(busy("cache-03", AT_MS, 4_000), 1_200), over],
    }
}

fn busy(node: &str, at_ms: i64, ago_s: i64) -> Alert {
    Alert {
        rule: "busy uplink".to_owned(),
        summary: "download 941 Mbit/s for 5 min (limit 900 Mbit/s)".to_owned(),
        peak: Some(123_125_000.0),
        threshold: Some(112_500_000.0),
        unit: "bps".to_owned(),
        ..FakeAlerts::about(node, at_ms, ago_s)
    }
}

async fn start(alerts: FakeAlerts, path: &str, width: u32, height: u32) -> Visit {
    let mut visit = Visit::start(FakeFleet::world(), width, height).await;
    visit.server.set_alerts(alerts);
    visit.server.keep_beating();
    visit.open_live(path).await;
    visit
}

/// Looks at what is there, in the folder that `TIDEMAP_LOOK` names.
async fn look(visit: &Visit, name: &str) {
    if let Some(folder) = std::env::var_os("TIDEMAP_LOOK") {
        for theme in ["light", "dark"] {
            visit.browser.prefer(&[("prefers-color-scheme", theme)]).await.unwrap();
            let png = visit.browser.screenshot().await.unwrap();
            std::fs::write(std::path::Path::new(&folder).join(format!("events-{name}-{theme}.png")), png)
                .unwrap();
        }
    }
}

async fn expect_accessible(visit: &Visit, what: &str) {
    axe::join(&visit.browser).await.unwrap();
    for theme in ["light", "dark"] {
        visit.browser.prefer(&[("prefers-color-scheme", theme)]).await.unwrap();
        assert_eq!(axe::violations(&visit.browser).await.unwrap(), Vec::<String>::new(), "{what}, {theme}");
    }
}

async fn press(visit: &Visit, key: Key) {
    visit.browser.press(&String::from(char::from(key))).await.unwrap();
}

async fn tab_to(visit: &Visit, css: &str) {
    let is_there = format!("document.activeElement.matches({})", json!(css));
    let mut steps = 0;
    while visit.browser.eval(&is_there).await.unwrap() != true {
        assert!(steps < 60, "the tab key does not come to {css}");
        press(visit, Key::Tab).await;
        steps += 1;
    }
}

#[tokio::test]
async fn without_rules_there_is_no_bell_no_view_and_no_request() {
    let visit = Visit::start(FakeFleet::world(), 1440, 900).await;
    visit.open_live("/").await;
    visit.beat(2, std::time::Duration::from_secs(1)).await;
    visit.expect("document.title.startsWith('(2 offline) ↓')").await;
    visit.expect("!document.querySelector('#bell, [data-view=events]')").await;
    assert_eq!(visit.server.alerts_asked(), 0);
    // An old link says so.
    visit.open("/?view=events").await;
    visit.expect_text("#events", "No rule is watched here: alerts are switched off.").await;
    visit.end().await;
}

#[tokio::test]
async fn the_bell_counts_what_fires_and_leads_to_it() {
    // High enough for all rows.
    let visit = start(alerts(), "/", 1440, 1700).await;
    visit.expect_text("#bell", "3").await;
    visit.expect("document.querySelector('#bell').ariaLabel === 'Alerts: 3 firing'").await;
    visit.expect("document.title.startsWith('(3 alerts) ↓')").await;
    visit.expect(&format!("{ICON}.includes('>3<')")).await;
    // Rows of the nodes that it is about have a bell, and no others.
    let bells = "[...document.querySelectorAll('.grid-node[data-node] .cell-name')]\
        .filter(cell => getComputedStyle(cell, '::after').content !== 'none')\
        .map(cell => cell.textContent).sort().join()";
    visit.expect(&format!("{bells} === 'edge-12,web-17'")).await;
    assert_eq!(visit.server.alerts_asked(), 1, "one small request");
    look(&visit, "rows").await;

    visit.click("#bell").await;
    visit.expect("location.search === '?view=events'").await;
    visit.expect(&format!("{FIRING} === 3")).await;
    visit.expect("document.querySelectorAll('#events .events-log .event').length === 2").await;
    visit.expect_text("#events", "3 rules are watched.").await;
    visit.expect_text("#events .event", "edge-12 offline").await;
    visit.expect_text("#events .event .event-when", "5 min").await;
    visit
        .expect(
            "/^\\d+ \\w+ 20\\d\\d \\d\\d:\\d\\d:\\d\\d$/.test(document.querySelector('.event-when').title)",
        )
        .await;
    visit.expect_text("#events", "silenced until ").await;
    visit.expect_text("#events .events-log", "busy uplink · lasted 20 min · peak 123 MB/s").await;
    visit.expect_text("#events .events-log", "nodes · lasted 1 h 30 min").await;
    expect_accessible(&visit, "events").await;
    look(&visit, "view").await;

    // Without what is over, which is in the address too.
    visit.click("#events .events-choice button + button").await;
    visit.expect("location.search === '?view=events&state=firing'").await;
    visit.expect("!document.querySelector('#events .events-log').checkVisibility()").await;
    // A place leads to its nodes.
    visit.click("#events a[href*=group]").await;
    visit.expect("location.search === '?group=location&is=Frankfurt'").await;
    visit.expect_text("#count", "3 of 36").await;
    visit.browser.page.back().await.unwrap();
    visit.expect(&format!("{FIRING} === 3 && document.querySelector('#events').checkVisibility()")).await;

    // Less fires: the stream says so, and nobody waits for the next time to ask.
    let mut fewer = alerts();
    let first = fewer.firing.remove(0);
    fewer.log.insert(0, FakeAlerts::over(first, 300));
    visit.server.set_alerts(fewer);
    visit.expect(&format!("{FIRING} === 2")).await;
    visit.expect_text("#bell", "2").await;
    visit.server.set_alerts(FakeAlerts { firing: Vec::new(), ..alerts() });
    visit.expect_text("#events .events-calm", "Nothing is firing.").await;
    visit.expect("document.querySelector('#bell').textContent === '' && document.title.startsWith('(2 offline) ↓')").await;
    visit.expect(&format!("{ICON}.includes('>2<')")).await;
    visit.expect(&format!("{bells} === ''")).await;
    look(&visit, "calm").await;
    visit.end().await;
}

#[tokio::test]
async fn nobody_watching_is_not_said_to_be_well() {
    let away = FakeAlerts {
        rules: None,
        warnings: vec!["alerts.toml: line 7 is not read <b>bold</b>".to_owned()],
        firing: Vec::new(),
        log: alerts().log,
    };
    let visit = start(away, "/?view=events", 1440, 900).await;
    visit.expect_text("#bell", "?").await;
    visit.expect("document.querySelector('#bell').ariaLabel === 'Alerts: nobody watches, none firing'").await;
    visit.expect_text("#events", "Nobody watches: no station that judges the rules is heard.").await;
    visit.expect_text("#events", "line 7 is not read <b>bold</b>").await;
    visit.expect("!document.querySelector('#events').innerText.includes('Nothing is firing')").await;
    expect_accessible(&visit, "nobody watches").await;
    look(&visit, "away").await;
    visit.end().await;
}

#[tokio::test]
async fn the_keyboard_alone_goes_to_an_event_its_node_and_back() {
    let visit = start(alerts(), "/", 1440, 900).await;
    visit.expect_text("#bell", "3").await;
    tab_to(&visit, "#bell").await;
    press(&visit, Key::Enter).await;
    visit.expect(&format!("{FIRING} === 3")).await;
    visit.expect("document.activeElement.id === 'events'").await;
    tab_to(&visit, ".event-name[href]").await;
    press(&visit, Key::Enter).await;
    visit.expect("location.search === '?node=edge-12&view=events'").await;
    visit.expect_text("#detail #node-alerts", "offline").await;
    // It comes first among the node's details.
    visit.expect("document.querySelector('.drawer-body').firstElementChild.id === 'node-alerts'").await;
    expect_accessible(&visit, "a node's alerts").await;
    look(&visit, "node").await;
    press(&visit, Key::Escape).await;
    visit.expect("location.search === '?view=events'").await;
    visit.expect("document.activeElement.matches('.event-name') && document.activeElement.textContent === 'edge-12'").await;
    // What is read stays where it is while its time goes on.
    let mut later = alerts();
    later.firing.insert(0, FakeAlerts::about("db-06", AT_MS, 1));
    visit.server.set_alerts(later);
    visit.expect(&format!("{FIRING} === 4")).await;
    visit.expect("document.activeElement.textContent === 'edge-12'").await;
    // From anywhere there is a key.
    visit.open_live("/").await;
    visit.expect_text("#bell", "4").await;
    visit.browser.press("e").await.unwrap();
    visit.expect("location.search === '?view=events' && document.activeElement.id === 'events'").await;
    visit.end().await;
}

#[tokio::test]
async fn names_are_texts_and_a_thousand_alerts_are_no_burden() {
    let hostile = "<img src=x onerror=alert(1)>";
    let named = |at: usize| {
        let mut alert =
            Alert { id: format!("a{at}"), ..FakeAlerts::about(&format!("n-{at}"), AT_MS, 60 + at as i64) };
        if at == 0 {
            alert.rule = hostile.to_owned();
            alert.summary = format!("{hostile}\u{202e}");
            alert.target.name = "\"]{} </style>".to_owned() + hostile;
        }
        alert
    };
    let many = FakeAlerts { rules: Some(1), firing: (0..1000).map(named).collect(), ..FakeAlerts::default() };
    let visit = start(many.clone(), "/", 1440, 900).await;
    visit.expect_text("#bell", "999+").await;
    visit.click("#bell").await;
    visit.expect(&format!("{FIRING} === 200")).await;
    visit.expect_text("#events", "and 800 more").await;
    visit.expect_text("#events .event-notes", hostile).await;
    visit.expect("!document.querySelector('#events img, #node-alerts img')").await;
    visit
        .browser
        .eval("window.longest = 0, new PerformanceObserver(list => list.getEntries().forEach(task => window.longest = Math.max(longest, task.duration))).observe({ entryTypes: ['longtask'] })")
        .await
        .unwrap();
    // All new, and drawn again without a long task.
    let mut turns = 0;
    let longest = undisturbed(async || {
        visit.browser.eval("longest = 0").await?;
        turns += 1;
        let mut firing = many.firing.clone();
        if turns % 2 == 1 {
            firing.reverse();
        }
        let warning = format!("turn {turns}");
        visit.server.set_alerts(FakeAlerts { firing, warnings: vec![warning.clone()], ..many.clone() });
        visit.expect_text("#events", &warning).await;
        visit.next_frame().await;
        let longest = visit.browser.eval("longest").await?.as_f64().context("a number")?;
        ensure!(longest < 500.0, "{longest} ms");
        Ok(longest)
    })
    .await
    .unwrap();
    eprintln!("200 of 1,000 alerts replaced: longest task {longest} ms");
    visit.end().await;
}

#[tokio::test]
async fn on_a_phone_the_tab_is_the_bell() {
    let visit = start(alerts(), "/", 360, 780).await;
    visit.expect("document.querySelector('.tab[data-view=events]')?.dataset.count === '3'").await;
    visit.expect("!document.querySelector('#bell').checkVisibility()").await;
    visit.press_unseen(".tab[data-view=events]").await;
    visit.expect(&format!("{FIRING} === 3")).await;
    visit.expect("document.documentElement.scrollWidth <= 360").await;
    visit.expect("[...document.querySelectorAll('#events .event')].every(event => event.getBoundingClientRect().right <= 360)").await;
    expect_accessible(&visit, "events on a phone").await;
    look(&visit, "phone").await;
    visit.end().await;
}

#[tokio::test]
async fn a_nodes_chart_marks_when_alerts_fired_and_where_the_limit_is() {
    // Ranges end at the fleet's present, so alerts of the last hour are on the chart.
    let visit = start(alerts(), "/", 1440, 900).await;
    let over = FakeAlerts::over(busy("edge-12", AT_MS, 1_800), 600);
    visit.server.set_alerts(FakeAlerts { log: vec![Alert { threshold: Some(1.0), ..over }], ..alerts() });
    visit.open_live("/?range=1h&node=edge-12").await;
    visit.expect("document.querySelectorAll('#past-node .chart-event').length === 3").await;
    visit.expect("document.querySelectorAll('#past-node .chart-event-over').length === 1").await;
    visit.expect("document.querySelectorAll('#past-node .chart-limit').length === 1").await;
    visit.expect_text("#past-node", "Alerts: 2 fired (▼), 1 over (▽).").await;
    visit.expect("!document.querySelector('#past .chart-event')").await;
    look(&visit, "chart").await;
    visit.end().await;
}

#[tokio::test]
async fn the_charts_of_the_present_mark_alerts_and_their_limits_too() {
    // Half a megabyte is the limit, which every node's rate passes.
    let limited = |alert: Alert| Alert { threshold: Some(500_000.0), ..alert };
    let firing = limited(busy("edge-12", AT_MS, 90));
    let over = limited(FakeAlerts::over(busy("db-02", AT_MS, 200), 100));
    let some = FakeAlerts { firing: vec![firing], log: vec![over], ..alerts() };
    let visit = start(some, "/?node=edge-12", 1440, 900).await;
    let count =
        |chart: &str, class: &str| format!("document.querySelectorAll('#chart-{chart} .{class}').length");
    let expect = async |counts: [(&str, &str, usize); 4]| {
        for (chart, class, number) in counts {
            visit.expect(&format!("{} === {number}", count(chart, class))).await;
        }
    };
    // What fires has its limit on both charts, and its sign on the one that goes back so far.
    expect([
        ("15m", "chart-event", 1),
        ("15m", "chart-limit", 1),
        ("60s", "chart-event", 0),
        ("60s", "chart-limit", 1),
    ])
    .await;
    visit.expect_text("#chart-alerts", "Alerts: 1 fired (▼), 0 over (▽).").await;
    // It fired 90 s before the fleet's time began, of which some has passed.
    let ago_s = "(box => 885 - 885 * (+/^M(\\d+)/.exec(box.querySelector('.chart-event').getAttribute('d'))[1] \
        + 4 - 68) / (box.clientWidth - 70))(document.querySelector('#chart-15m .chart-box'))";
    visit.expect(&format!("(ago => ago > 85 && ago < 200)({ago_s})")).await;
    expect_accessible(&visit, "alerts on the charts of the present").await;
    look(&visit, "live-chart").await;

    // Another node has its own, also when nothing of it fires any more.
    visit.click("#detail-close").await;
    visit.open_live("/?node=db-02").await;
    expect([
        ("15m", "chart-event", 2),
        ("15m", "chart-event-over", 1),
        ("15m", "chart-limit", 1),
        ("60s", "chart-event", 0),
    ])
    .await;
    visit.expect_text("#chart-alerts", "Alerts: 1 fired (▼), 1 over (▽).").await;
    // And of a third one there are none.
    visit
        .browser
        .eval("history.pushState(null, '', '?node=web-01'), dispatchEvent(new PopStateEvent('popstate'))")
        .await
        .unwrap();
    visit.expect("document.querySelector('#detail').dataset.node === 'web-01'").await;
    visit.expect(&format!("{} === 0", count("15m", "chart-event"))).await;
    visit.expect("document.querySelectorAll('#chart-15m .chart-line').length > 0").await;
    visit.expect("!document.querySelector('#chart-alerts').checkVisibility()").await;
    visit.end().await;
}
