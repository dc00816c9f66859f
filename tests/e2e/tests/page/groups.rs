//! Totals beside the table: groups as the API sums them up, and who moves most.

use std::time::Duration;

use anyhow::ensure;
use tidemap_testkit::{broker::TestBroker, browser::Browser, eventually};

/// The API's totals differ from the page's only by the stream's rounding to three digits, and by changes
/// between the readings: what the page shows lies between what the API has said in the last seconds.
const AGREES: &str = "fetch('/api/stats?by=label:role').then((answer) => answer.json()).then(({ groups }) => {
    const rows = [...document.querySelectorAll('#groups tr:not([hidden])')].map((row) => [...row.children]);
    const shown = new Map(rows.map(([key, ...cells]) => [key.textContent, cells.map((cell) => +cell.textContent)]));
    const readings = (window.readings ??= []);
    readings.push(groups);
    if (readings.length > 30) readings.shift();
    const near = (shown, group, rate) => {
        const known = readings.flat().filter(({ key }) => key === group.key).map((reading) => reading[rate] / 1e6);
        return shown >= 0.97 * Math.min(...known) - 0.02 && shown <= 1.03 * Math.max(...known) + 0.02;
    };
    // Before all nodes are known, a group may still grow.
    const isWhole = groups.reduce((sum, group) => sum + group.total_nodes, 0) === 41;
    return isWhole && rows.length > 3 && rows.length === groups.length && groups.every((group) => {
        const [nodes, online, rx, tx] = shown.get(group.key ?? 'no role') ?? [];
        return nodes === group.total_nodes && online === group.online_nodes
            && near(rx, group, 'network_rx_bytes_per_sec') && near(tx, group, 'network_tx_bytes_per_sec');
    });
})";

const DETAIL_OPEN: &str = "document.querySelector('#detail:not([hidden])')?.dataset.node";

async fn expect(browser: &Browser, expression: &str) {
    eventually(Duration::from_secs(30), || async {
        let value = browser.eval(expression).await?;
        ensure!(value == true, "{expression} is {value}");
        Ok(())
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn groups_are_those_of_the_api_and_lead_to_their_nodes() {
    let broker = TestBroker::start().await.unwrap();
    let _ingest = broker.ingest(&[]).unwrap();
    let (_api, url) = broker.api().await.unwrap();
    let _fleet = broker.simulate(40).unwrap();
    let _agent = broker.agent("roleless", &[]).unwrap();
    let browser = Browser::start(1440, 900).await.unwrap();
    browser.page.goto(&format!("{url}/?view=summary")).await.unwrap();

    // Choose what to group by, as a person does; the address says so.
    expect(&browser, "[...document.querySelector('#by').options].some(o => o.value === 'label:role')").await;
    let choose = "(() => { const by = document.querySelector('#by'); by.value = 'label:role'; \
                  by.dispatchEvent(new Event('change', { bubbles: true })); return true; })()";
    expect(&browser, choose).await;
    expect(&browser, "location.search === '?by=label%3Arole&view=summary'").await;
    expect(&browser, AGREES).await;

    // Who moves most is a button that opens the details.
    let talker = browser
        .eval(
            "(() => { const first = document.querySelector('#top-download .talker'); \
                                first.click(); return first.firstChild.textContent; })()",
        )
        .await
        .unwrap();
    expect(&browser, &format!("{DETAIL_OPEN} === {talker}")).await;
    browser.eval("document.querySelector('#detail-close').click()").await.unwrap();

    // A group leads to its nodes, and the address to the same.
    let pick = "(() => { const group = document.querySelector('#groups .group'); const row = group.closest('tr'); \
                group.click(); return row.children[1].textContent + ' of 41'; })()";
    let count = browser.eval(pick).await.unwrap();
    expect(&browser, &format!("document.querySelector('#count').textContent === {count}")).await;
    expect(&browser, "location.search.startsWith('?group=label%3Arole&is=')").await;
    browser.page.refresh().await.unwrap();
    expect(&browser, &format!("document.querySelector('#count').textContent === {count}")).await;
    // The tab's title sums it all up.
    expect(&browser, r"/^↓ [\d.]+ \w+\/s ↑ [\d.]+ \w+\/s – Tidemap$/.test(document.title)").await;
    assert_eq!(browser.console().await.unwrap(), Vec::<String>::new());
    browser.close().await.unwrap();
}
