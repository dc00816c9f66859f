//! A time other than now: chosen from the list, by dragging and by an address, of the fleet and of a node.

use std::path::Path;

use tidemap_testkit::fake::FakeFleet;

use crate::{axe, visit::Visit};

/// Whether the peak of ten seconds a hundred days ago, 812 MB/s, stands at its height: the axis goes up to 1
/// GB/s and down to half of that, over 100 pixels.
const BURST: &str = "(() => {
    const chart = document.querySelector('#past svg');
    const tops = [...chart.querySelector('.chart-edge.chart-down').getAttribute('d').matchAll(/[V ](\\d+)/g)];
    const peak = +chart.querySelector('.chart-peak.chart-down').getAttribute('cy');
    return Math.min(...tops.map(([, top]) => +top)) === peak && Math.abs(peak - (8 + (1 - 0.812) / 1.5 * 100)) < 1;
})()";

/// Moves a pointer over the fleet's chart: parts of its width and height.
fn pointer(name: &str, x: f64, y: f64) -> String {
    format!(
        "(box => document.querySelector('#past .chart-box').dispatchEvent(new PointerEvent('{name}', {{ \
            clientX: box.x + 68 + (box.width - 70) * {x}, clientY: box.y + box.height * {y}, button: 0, \
            pointerId: 1, bubbles: true }})))(document.querySelector('#past .chart-box').getBoundingClientRect())"
    )
}

async fn choose(visit: &Visit, time: &str) {
    let choose = format!(
        "(time => {{ time.value = '{time}'; time.dispatchEvent(new Event('change', {{ bubbles: true }})); }})\
        (document.querySelector('#time'))"
    );
    visit.browser.eval(&choose).await.unwrap();
}

async fn start(path: &str, width: u32, height: u32) -> Visit {
    let mut visit = Visit::start(FakeFleet::world(), width, height).await;
    visit.server.keep_beating();
    visit.open(path).await;
    visit
}

/// Each row on screen, in both directions: the fake's nodes are twice as fast at most as in the mean, but for
/// the one that makes the burst.
const PEAKS_ARE_TWICE_THE_MEANS: &str = "(cells => cells.length > 0 && cells.every(([mean, peak]) => \
    Math.abs(peak - 2 * mean) <= 0.02 + 0.01 * peak))\
    ([...document.querySelectorAll('.grid-node[data-node]:not([data-node=web-01]) .cell-rate')]\
    .filter(cell => cell.textContent !== '–')\
    .map(cell => [cell.textContent, cell.dataset.peak].map(text => +text.replaceAll(',', ''))))";

async fn expect_known(visit: &Visit) {
    visit.expect("document.querySelector('#past')?.dataset.state === 'known'").await;
}

#[tokio::test]
async fn a_time_is_chosen_shown_everywhere_and_left_again() {
    let visit = start("/?q=edge-12", 1440, 900).await;
    visit.expect_link("live").await;
    visit.expect("!document.querySelector('#past')").await;
    choose(&visit, "range=24h").await;
    visit.expect("location.search === '?q=edge-12&range=24h'").await;
    expect_known(&visit).await;
    visit.expect("/^24 hours to 3[01] Dec|^24 hours to 1 Jan/.test(document.title)").await;
    // Totals: the mean with the peak and its moment, and the bytes.
    visit.expect_text(".past-kpi[data-direction=download] .kpi-note", "peak 600 MB/s · ").await;
    visit.expect("/[1-9][\\d.]* TB|GB/.test(document.querySelector('.past-bytes').textContent)").await;
    visit.expect("!document.querySelector('.kpi-rate:not(.past-kpi)').checkVisibility()").await;
    // The list shows means of that time: of one who is offline now, too.
    let rate = "[...document.querySelectorAll('.grid-node')].find(row => row.dataset.node === 'edge-12')\
        ?.querySelector('[data-cell=rx]').textContent";
    visit.expect(&format!("/^\\d+\\.\\d\\d$/.test({rate})")).await;
    visit.expect_text("#past", "List, map and groups: means of ").await;
    visit.expect("document.querySelectorAll('.grid-node[data-node]').length === 1").await;
    visit.expect(PEAKS_ARE_TWICE_THE_MEANS).await;
    // Gaps are gaps, and what moved meanwhile is said.
    visit.expect("document.querySelectorAll('#past .chart-gap').length === 1").await;
    visit.expect_text("#past", "Known: 99 % of this time, complete until ").await;
    visit.expect_text("#past", "Besides ↓ 12.0 MB at moments that are not known.").await;
    visit.expect_text("#past", "Each point is 1 min; peaks are the sum over one second.").await;

    visit.click("[data-past=back]").await;
    visit.expect("location.search === '?q=edge-12'").await;
    visit.expect("document.querySelector('.kpi-rate:not(.past-kpi)').checkVisibility()").await;
    visit
        .expect("!document.querySelector('.past-kpi') && document.querySelector('#time').value === ''")
        .await;
    visit.expect("document.title.endsWith(' – Tidemap') && document.title.startsWith('(2 offline) ↓')").await;
    visit.expect("!document.querySelector('[data-peak]')").await;
    // The way back leads to the time again.
    visit.browser.page.back().await.unwrap();
    expect_known(&visit).await;
    visit.expect("document.querySelector('#time').value === 'range=24h'").await;
    visit.end().await;
}

#[tokio::test]
async fn each_row_has_its_own_peak_wherever_the_list_is_scrolled_and_in_every_unit() {
    let visit = start("/?range=24h", 1440, 500).await;
    expect_known(&visit).await;
    visit.expect(PEAKS_ARE_TWICE_THE_MEANS).await;
    let first =
        "[...document.querySelectorAll('.grid-node[data-node]')].map(row => row.dataset.node).sort()[0]";
    let before = visit.browser.eval(first).await.unwrap();
    visit.browser.eval("document.querySelector('.scroller').scrollTop = 1e6").await.unwrap();
    visit.expect(&format!("{first} !== {before}")).await;
    visit.expect(PEAKS_ARE_TWICE_THE_MEANS).await;
    let bits = "(unit => { unit.value = 'Mbit/s'; unit.dispatchEvent(new Event('change', { bubbles: true })); })\
        (document.querySelector('#unit'))";
    visit.browser.eval(bits).await.unwrap();
    visit.expect("document.querySelector('.grid-head').textContent.includes('Mbit/s')").await;
    visit.expect(PEAKS_ARE_TWICE_THE_MEANS).await;
    visit.end().await;
}

#[tokio::test]
async fn ten_seconds_stand_at_their_height_in_a_year() {
    let visit = start("/?range=1y", 1440, 900).await;
    expect_known(&visit).await;
    visit.expect_text("#past .chart", "peak 812 MB/s").await;
    visit.expect(BURST).await;
    visit.expect_text("#past", "Each point is 6 h").await;
    visit.expect_text("#past", ", from ").await;
    visit.expect("document.querySelectorAll('#past .chart-gap').length === 2").await;
    // As a table there is the same number.
    visit.click("#past .past-chart .link").await;
    visit.expect("[...document.querySelectorAll('#past tbody tr')].some(row => row.textContent.includes('812 MB/s'))").await;
    visit.end().await;
}

#[tokio::test]
async fn a_drag_looks_closer_and_a_click_names_five_nodes() {
    let visit = start("/?range=1h", 1440, 900).await;
    expect_known(&visit).await;
    // Twenty minutes ago, two thirds from the left.
    visit.browser.eval(&pointer("pointermove", 0.67, 0.2)).await.unwrap();
    visit.expect_text("#past .past-reading", ": ↓ ").await;
    for name in ["pointerdown", "pointerup"] {
        visit.browser.eval(&pointer(name, 0.67, 0.2)).await.unwrap();
    }
    visit.expect("document.querySelectorAll('.past-culprit').length === 5").await;
    visit.expect_text(".past-culprits h3", "Most ↓ download").await;
    // The list is in the address, so a link shows it.
    visit.expect("/^\\?range=1h&spike=rx-\\d+-\\d+$/.test(location.search)").await;
    visit.expect("document.querySelector('#time').value === 'range=1h'").await;
    visit.browser.page.refresh().await.unwrap();
    visit.expect("document.querySelectorAll('.past-culprit').length === 5").await;
    visit.click(".past-culprits .link").await;
    visit
        .expect(
            "location.search === '?range=1h' && !document.querySelector('.past-culprits').checkVisibility()",
        )
        .await;
    visit.browser.page.back().await.unwrap();
    visit.expect("document.querySelector('.past-culprits').checkVisibility()").await;
    let first = "document.querySelector('.past-culprit')";
    let name = visit.browser.eval(&format!("{first}.textContent")).await.unwrap();
    visit.expect(&format!("/[?&]node=[^&]+&from=\\S+&to=/.test({first}.getAttribute('href'))")).await;
    visit.click(".past-culprit").await;
    visit.expect(&format!("document.querySelector('#detail').dataset.node === {name}")).await;
    visit.expect_text("#past-node", "Known throughout").await;
    visit.expect_text("#past-node .past-now", "Now").await;
    visit.expect_text("#past-node", "peaks are of single reports").await;
    visit.expect("document.querySelectorAll('.past-culprit').length === 5").await;

    choose(&visit, "range=30d").await;
    visit.expect_text("#past .past-title", "30 days to ").await;
    visit.expect_text("#past-node h3", "30 days to ").await;
    for (name, x) in [("pointerdown", 0.5), ("pointermove", 0.6), ("pointerup", 0.6)] {
        visit.browser.eval(&pointer(name, x, 0.5)).await.unwrap();
    }
    visit.expect("/[?&]from=2025-12-1\\dT[\\d:]+Z&to=2025-12-[12]\\dT/.test(location.search)").await;
    visit.expect("document.querySelector('#time').selectedOptions[0].textContent === 'from – to'").await;
    visit.expect("/^1\\d Dec/.test(document.querySelector('#past .past-title').textContent)").await;
    visit.end().await;
}

#[tokio::test]
async fn a_chart_of_the_past_is_used_by_keys_alone() {
    let visit = start("/?range=7d", 1440, 900).await;
    expect_known(&visit).await;
    visit.browser.eval("document.querySelector('#past .chart-box').focus()").await.unwrap();
    visit.browser.press("\u{e012}").await.unwrap();
    visit.expect("/: (↓ |not known)/.test(document.querySelector('#past output').textContent)").await;
    visit.browser.press("\u{e012}\u{e012}\u{e007}").await.unwrap();
    visit.expect("document.querySelectorAll('.past-culprit').length === 5").await;
    // With Shift the arrows choose, and Enter shows it.
    let key = |name: &str, shift: bool| {
        format!(
            "document.querySelector('#past .chart-box').dispatchEvent(new KeyboardEvent('keydown', \
            {{ key: '{name}', shiftKey: {shift}, bubbles: true, cancelable: true }}))"
        )
    };
    for _ in 0..3 {
        visit.browser.eval(&key("PageUp", true)).await.unwrap();
    }
    visit.expect("!!document.querySelector('#past .chart-chosen')").await;
    visit.browser.eval(&key("Enter", false)).await.unwrap();
    visit.expect("location.search.startsWith('?from=')").await;
    visit.end().await;
}

#[tokio::test]
async fn keys_choose_a_time_unless_somebody_types() {
    let visit = start("/", 1440, 900).await;
    visit.expect_link("live").await;
    for (key, time) in [("2", "range=1h"), ("6", "range=1y"), ("3", "range=24h")] {
        visit.browser.press(key).await.unwrap();
        visit
            .expect(&format!(
                "location.search === '?{time}' && document.querySelector('#time').value === '{time}'"
            ))
            .await;
        expect_known(&visit).await;
    }
    visit.browser.press("l").await.unwrap();
    visit.expect("location.search === '' && document.querySelector('#time').value === ''").await;
    visit.browser.press("/l2").await.unwrap();
    visit.expect("location.search === '?q=l2'").await;
    visit.end().await;
}

#[tokio::test]
async fn the_maps_popup_answers_for_the_time_too() {
    let visit = start("/?range=24h", 1440, 900).await;
    expect_known(&visit).await;
    visit.expect_text("#past", "List, map and groups: means of ").await;
    crate::map::press(&visit, "]").await;
    visit.expect("document.querySelector('.map-popup').checkVisibility()").await;
    let shown = "[...document.querySelectorAll('.map-popup :is(.map-figures tr, .map-fact)')]\
        .filter(row => row.checkVisibility()).map(row => row.cells?.[0].innerText ?? row.innerText)";
    visit.expect(&format!("/^Status\\W+online,MB\\/s,Mean$/.test({shown}.join())")).await;
    // The rate is the list's, which is of that time.
    let same = "(([, down], name) => [...document.querySelectorAll('.grid-node')].some(row => \
        row.dataset.node === name && row.querySelector('[data-cell=rx]').textContent === down.innerText))\
        ([...document.querySelectorAll('.map-figures tr')[1].cells], document.querySelector('.map-popup').dataset.popup)";
    visit.expect(same).await;
    choose(&visit, "").await;
    visit.expect(&format!("{shown}.join().endsWith('MB/s,Now,10 s,1 min,5 min,15 min')")).await;
    visit.end().await;
}

#[tokio::test]
async fn without_a_station_one_line_says_so_and_the_page_stays_live() {
    let visit = start("/", 1440, 900).await;
    visit.expect_link("live").await;
    visit.server.refuse_history(Some("no station of the history answers"));
    choose(&visit, "range=7d").await;
    visit.expect_text("#past", "The past cannot be shown. No station of the history answers.").await;
    visit.expect("location.search === '' && document.querySelector('#time').value === ''").await;
    visit.expect("document.querySelector('#connection').checkVisibility()").await;
    visit.expect("!document.querySelector('.past-kpi')").await;
    visit.server.refuse_history(None);
    visit.click("#past .button").await;
    expect_known(&visit).await;
    visit.expect("location.search === '?range=7d'").await;
    // What is there stays when the station goes.
    visit.server.refuse_history(Some("no station of the history answers"));
    choose(&visit, "range=1h").await;
    visit.expect_text("#past", "No station of the history answers.").await;
    visit.click("#past .button + .button").await;
    visit.expect("!document.querySelector('#past').checkVisibility()").await;
    visit.end().await;
}

/// Every range in both themes on three screens. All pictures are left in the folder that `TIDEMAP_LOOK`
/// names.
#[tokio::test]
async fn the_past_breaks_no_rule_and_moves_nothing() {
    for (width, height) in [(1440, 900), (900, 1000), (390, 844)] {
        let visit = start("/?range=1h&node=web-01", width, height).await;
        axe::join(&visit.browser).await.unwrap();
        visit.expect_text("#past-node", "peaks are of single reports").await;
        visit.browser.eval(WATCH_SHIFTS).await.unwrap();
        look(&visit, &format!("past-node-{width}")).await;
        visit.press_unseen("#detail-close").await;
        for range in ["1h", "24h", "7d", "30d", "1y"] {
            choose(&visit, &format!("range={range}")).await;
            visit.expect(&format!("location.search === '?range={range}'")).await;
            visit.expect("!document.title.startsWith('Tidemap')").await;
            expect_known(&visit).await;
            look(&visit, &format!("past-{range}-{width}")).await;
            visit.expect("document.documentElement.scrollWidth <= innerWidth").await;
            // What scrolls is the region, not the page around it.
            visit.expect("document.documentElement.scrollHeight <= innerHeight").await;
        }
        let shifted = visit.browser.eval("window.shifted").await.unwrap();
        assert!(
            visit.browser.eval("window.shifts").await.unwrap().as_f64().unwrap() < 0.05,
            "{width}: {shifted}"
        );
        visit.end().await;
    }
}

/// How far things have moved that nobody had just moved, by the browser's measure.
const WATCH_SHIFTS: &str = "(() => {
    [window.shifts, window.shifted] = [0, []];
    new PerformanceObserver(list => {
        for (const { value, hadRecentInput, sources } of list.getEntries()) {
            if (hadRecentInput) continue;
            window.shifts += value;
            window.shifted.push([value, ...sources.map(({ node }) => `${node?.nodeName} ${node?.className}`)]);
        }
    }).observe({ type: 'layout-shift' });
})()";

async fn look(visit: &Visit, name: &str) {
    for theme in ["light", "dark"] {
        visit.browser.prefer(&[("prefers-color-scheme", theme)]).await.unwrap();
        visit.next_frame().await;
        assert_eq!(axe::violations(&visit.browser).await.unwrap(), Vec::<String>::new(), "{theme}, {name}");
        if let Some(folder) = std::env::var_os("TIDEMAP_LOOK") {
            let picture = visit.browser.screenshot().await.unwrap();
            std::fs::write(Path::new(&folder).join(format!("{name}-{theme}.png")), picture).unwrap();
        }
    }
}
