//! A stream that fails in every possible way: the page shows it at once, and recovers.

use std::time::Duration;

use anyhow::ensure;
use serde_json::json;
use tidemap_testkit::{
    eventually,
    fake::{FakeFleet, FakeNode, Line},
    machine, undisturbed,
};
use tokio::time::Instant;

use crate::{PAGE_TIMEOUT, visit::Visit};

/// The colour of the numbers.
const COLOUR: &str = "getComputedStyle(document.querySelector('.kpi-value')).color";

/// Events that contradict what the page knows: each makes it ask for a new snapshot.
const NONSENSE: [(&str, &str); 7] = [
    // As after a lost event: a row that was never introduced.
    ("delta", r#"{"at_ms":1,"rates":{"i":[900],"rx":"4q5","tx":"4q5"}}"#),
    ("delta", r#"{"at_ms":1,"status":{"i":[0],"status":[7],"age_ms":[0]}}"#),
    ("delta", r#"{"at_ms":1,"gone":[4294967295,4294967295]}"#),
    ("delta", r#"{"at_ms":1,"rates":{"i":[0,1],"rx":"4q5","tx":"4q5"}}"#),
    ("delta", r#"{"at_ms":"#),
    ("snapshot", r#"{"v":1,"at_ms":1,"nodes":{}}"#),
    ("stats", "\u{0}[[[[[[[["),
];

#[tokio::test]
async fn a_proxy_with_nobody_behind_it_is_counted_down_and_nobody_has_to_wait() {
    let visit = Visit::start(FakeFleet::world(), 1440, 900).await;
    // With the page's clock stopped, no countdown ends.
    visit.hold_clock().await;
    visit.open_live("/").await;
    let alive = visit.browser.eval(COLOUR).await.unwrap();
    visit.server.set_line(Line::BadGateway);
    visit.server.hang_up();
    visit.expect_link("disconnected").await;
    visit.expect_asked(2).await;
    visit.expect_text("#notice", "Connection lost. Next try in 2 s. What you see may be old.").await;
    // Known values stay, marked as old.
    visit.expect("document.querySelectorAll('[data-node]').length > 10").await;
    assert_ne!(visit.browser.eval(COLOUR).await.unwrap(), alive, "the numbers still look alive");
    // Each failure doubles the pause.
    visit.advance_clock(Duration::from_secs(2)).await;
    visit.expect_asked(3).await;
    visit.expect_text("#notice", "Next try in 3 s").await;
    visit.server.set_line(Line::Sound);
    visit.click("#notice button").await;
    visit.expect_link("live").await;
    visit.expect("!document.querySelector('#notice')?.innerText.includes('Connection')").await;
    visit.end().await;
}

#[tokio::test]
async fn a_link_that_dies_half_way_is_shown_in_seconds_and_given_up() {
    let mut visit = Visit::start(FakeFleet::world(), 1440, 900).await;
    visit.server.keep_beating();
    visit.open_live("/").await;
    visit.server.fall_silent();
    let silent = Instant::now();
    visit.expect_link("stale").await;
    eprintln!("a silent link is shown after {:.1} s", silent.elapsed().as_secs_f64());

    visit.hold_clock().await;
    visit.server.beat(Duration::from_secs(4));
    visit.expect_link("live").await;
    visit.advance_clock(Duration::from_secs(7)).await;
    visit.expect_text("#connection", "No data for 7 s").await;
    visit.expect("document.querySelectorAll('[data-node]').length > 10").await;
    // The page gives up this connection, and also the next one, which does not even answer.
    visit.server.set_line(Line::HalfOpen);
    visit.advance_clock(Duration::from_secs(3)).await;
    visit.expect_asked(2).await;
    visit.expect_text("#notice", "Connecting…").await;
    visit.advance_clock(Duration::from_secs(10)).await;
    visit.expect_text("#notice", "Next try in").await;
    visit.server.set_line(Line::Sound);
    visit.advance_clock(Duration::from_secs(5)).await;
    visit.expect_link("live").await;
    visit.end().await;
}

#[tokio::test]
async fn a_stream_that_a_proxy_withholds_is_noticed_and_the_page_asks_instead() {
    let mut visit = Visit::start(FakeFleet::world(), 1440, 900).await;
    visit.server.keep_beating();
    visit.server.set_line(Line::Withheld);
    let notices = async || {
        visit.open("/").await;
        let opened = Instant::now();
        visit.expect_link("polled").await;
        let noticed = opened.elapsed();
        ensure!(noticed < machine::scaled(Duration::from_secs(10)), "noticed after {noticed:?}");
        Ok(())
    };
    undisturbed(notices).await.unwrap();
    visit.expect_text("#notice", "A proxy holds back the live stream").await;
    visit.expect("document.querySelectorAll('[data-node]').length > 10").await;
    // What it shows goes on.
    let download = visit.browser.text("[data-kpi=download]").await.unwrap();
    visit
        .expect(&format!("document.querySelector('[data-kpi=download]').innerText !== {}", json!(download)))
        .await;
    // A stream that breaks off is tried again, and a sound one is followed again.
    visit.server.set_line(Line::Sound);
    visit.server.stop().await;
    visit.expect_link("disconnected").await;
    visit.server.come_back().await.unwrap();
    visit.expect_link("live").await;
    visit.expect("!document.querySelector('#notice').innerText.includes('proxy')").await;
    visit.end().await;
}

/// Opens the page behind a proxy that spoils the stream in this way: it shows values that go on, says why,
/// and streams once the proxy lets it.
async fn expect_asking_behind(line: Line) {
    let mut visit = Visit::start(FakeFleet::world(), 1440, 900).await;
    visit.server.keep_beating();
    visit.server.set_line(line);
    visit.open("/").await;
    visit.expect_link("polled").await;
    visit.expect_text("#notice", "Let the proxy pass on api/stream").await;
    visit.expect("document.querySelectorAll('[data-node]').length > 10").await;
    let download = visit.browser.text("[data-kpi=download]").await.unwrap();
    visit
        .expect(&format!("document.querySelector('[data-kpi=download]').innerText !== {}", json!(download)))
        .await;
    // A stream that has spoken is tried again only after a minute.
    if line != Line::Cut {
        visit.server.set_line(Line::Sound);
        visit.expect_link("live").await;
        visit.expect("!document.querySelector('#notice').innerText.includes('proxy')").await;
    }
    visit.server.set_line(Line::BadGateway);
    visit.server.hang_up();
    visit.expect_link("disconnected").await;
    visit.server.set_line(Line::Sound);
    visit.expect_link("live").await;
    visit.browser.close().await.unwrap();
}

#[tokio::test]
async fn a_stream_that_a_proxy_refuses_is_replaced_by_asking() {
    expect_asking_behind(Line::Refused).await;
}

#[tokio::test]
async fn a_stream_that_a_proxy_waits_for_in_vain_is_replaced_by_asking() {
    expect_asking_behind(Line::TimedOut).await;
}

#[tokio::test]
async fn a_stream_that_a_proxy_closes_is_replaced_by_asking() {
    expect_asking_behind(Line::Closed).await;
}

#[tokio::test]
async fn a_stream_that_a_proxy_calls_plain_text_is_replaced_by_asking() {
    expect_asking_behind(Line::Mistyped).await;
}

#[tokio::test]
async fn a_stream_that_a_proxy_cuts_again_and_again_is_replaced_by_asking() {
    expect_asking_behind(Line::Cut).await;
}

#[tokio::test]
async fn invalid_events_are_not_shown_and_lead_to_a_new_snapshot() {
    let visit = Visit::start(FakeFleet::world(), 1440, 900).await;
    visit.hold_clock().await;
    visit.open_live("/").await;
    for (round, (event, data)) in NONSENSE.into_iter().enumerate() {
        // Meanwhile a node joins that the broken stream does not mention.
        let name = format!("joined-{round}");
        visit.server.set_fleet(FakeFleet::of(vec![FakeNode { name: name.clone(), ..FakeNode::default() }]));
        visit.server.say(event, data);
        visit.expect_link("disconnected").await;
        visit.advance_clock(Duration::from_secs(30)).await;
        visit.expect_link("live").await;
        visit.expect_text(".grid-node [data-cell=name]", &name).await;
        visit.expect_text("#count", "1").await;
    }
    assert!(visit.server.asked() > NONSENSE.len() as u64, "each led to another request");
    visit.end().await;
}

#[tokio::test]
async fn a_server_that_starts_again_is_live_again_within_seconds() {
    let mut visit = Visit::start(FakeFleet::world(), 1440, 900).await;
    visit.open_live("/?node=web-01").await;
    visit.expect_text("#detail", "Identity").await;
    visit.server.stop().await;
    visit.expect_link("disconnected").await;
    visit.expect_text("#detail", "The server does not answer; this may be old.").await;
    visit.server.come_back().await.unwrap();
    let back = Instant::now();
    visit.expect_link("live").await;
    eprintln!("live again {:.1} s after the server is back", back.elapsed().as_secs_f64());
    // An open drawer requests its details again by itself.
    visit.expect("!document.querySelector('#detail').innerText.includes('may be old')").await;
    visit.end().await;
}

#[tokio::test]
async fn the_readers_clock_changes_nothing() {
    let visit = Visit::start(FakeFleet::world(), 1440, 900).await;
    visit.hold_clock().await;
    let mut seen = Vec::new();
    for wrong_ms in [0, -3_600_000, 3_600_000] {
        visit.open(&format!("/?node=web-17#{wrong_ms}")).await;
        visit.expect_link("live").await;
        visit.expect_text("#detail", "last seen 2 h ago").await;
        visit.expect("document.querySelectorAll('[data-node][role=row]').length > 10").await;
        let ahead = visit.browser.eval("Math.round((new Date() - performance.timeOrigin) / 36e5)").await;
        assert_eq!(ahead.unwrap(), json!(wrong_ms / 3_600_000), "the browser's clock is wrong");
        let ages = "[...document.querySelectorAll('.kpis, [data-node] .age, .drawer-since')]";
        seen.push(visit.browser.eval(&format!("{ages}.map(e => e.textContent)")).await.unwrap());
    }
    assert_eq!(seen[0], seen[1], "an hour behind");
    assert_eq!(seen[0], seen[2], "an hour ahead");
    visit.end().await;
}

#[tokio::test]
async fn a_hostile_name_is_only_a_name() {
    let longest = "W".repeat(128);
    let names = [
        "<script>window.hacked = 1</script>",
        "<img src=x onerror=window.hacked=1>",
        "\"'><svg onload=window.hacked=1>",
        "javascript:window.hacked=1",
        "\u{202e}gnp.tfel-ot-thgir\u{2066}",
        "../../etc/passwd?a=1&b=2#c%00%2e",
        "{{constructor.constructor('hacked=1')()}}",
        "Z̷͍̃a̸̛͕l̴̼̈́g̶̡͠o̵̱͌ \u{200d}\u{feff} 👩‍👩‍👧",
        &longest,
    ];
    let node = |name: &str| FakeNode {
        name: name.to_owned(),
        place: Some((name.to_owned(), 47.0, 8.0)),
        provider: Some(name.to_owned()),
        rate: Some(1e6),
        ..FakeNode::default()
    };
    let visit = Visit::start(FakeFleet::of(names.map(node).into()), 360, 780).await;
    visit.open_live("/").await;
    visit.click(".tab:nth-child(3)").await;
    let shown = "[...document.querySelectorAll('.grid-node [data-cell=name]')].map(e => e.textContent)";
    eventually(PAGE_TIMEOUT, || async {
        let shown = visit.browser.eval(shown).await?;
        let missing: Vec<_> = names
            .iter()
            .filter(|name| !shown.as_array().is_some_and(|all| all.contains(&json!(name))))
            .collect();
        ensure!(missing.is_empty(), "{missing:?} are not among {shown}");
        Ok(())
    })
    .await
    .unwrap();
    for name in names {
        let address: String = url::form_urlencoded::byte_serialize(name.as_bytes()).collect();
        visit.open_live(&format!("/?node={}", address.replace('+', "%20"))).await;
        visit
            .expect(&format!("document.querySelector('#detail-title').textContent === {}", json!(name)))
            .await;
        visit.expect_text("#detail", "Identity").await;
        visit.expect("document.documentElement.scrollWidth <= innerWidth").await;
    }
    visit
        .expect(
            "window.hacked === undefined && document.querySelector('#app img, #app script, #app a') === null",
        )
        .await;
    visit
        .expect("getComputedStyle(document.querySelector('.grid-node [data-cell=name]')).unicodeBidi === 'isolate'")
        .await;
    visit.end().await;
}
