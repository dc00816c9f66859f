//! The page behind a real nginx, under any prefix: nothing tells either of them which.

use anyhow::{Context, ensure};
use fantoccini::Locator;
use serde_json::Value;
use tidemap_testkit::{broker::TestBroker, browser::Browser, eventually, http, nginx::Nginx};

use crate::PAGE_TIMEOUT;

/// Where the page is, and what nginx says about it. It has its defaults otherwise, so it asks the API with
/// HTTP/1.0 and by its address.
const LOCATIONS: [(&str, &str); 4] = [
    ("/", "location / { proxy_pass API/; }"),
    ("/tidemap/", "location /tidemap/ { proxy_pass API/; }"),
    ("/a/b/", "location /a/b/ { proxy_pass API/; }"),
    // Without slashes at its end, which makes the page `//`, and its files `//app.js`.
    ("/bare", "location /bare { proxy_pass API/; }"),
];

fn directives(api: &str) -> String {
    LOCATIONS.map(|(_, directive)| directive.replace("API", api)).join("\n")
}

async fn expect_text(browser: &Browser, css: &str, expected: &str) {
    eventually(PAGE_TIMEOUT, || async {
        let text = browser.text(css).await?;
        ensure!(text.contains(expected), "{css} says {text:?}, not {expected:?}");
        Ok(())
    })
    .await
    .unwrap();
}

/// Opens the page, and a node's details in it.
async fn visit(browser: &Browser, origin: &str, path: &str) {
    browser.page.goto("about:blank").await.unwrap();
    browser.page.goto(&format!("{origin}{path}?node=here")).await.unwrap();
    eventually(PAGE_TIMEOUT, || async {
        let chip = browser.page.find(Locator::Css("[data-connection]")).await?;
        let state = chip.attr("data-connection").await?;
        ensure!(state.as_deref() == Some("live"), "{path}: the link is {state:?}");
        Ok(())
    })
    .await
    .unwrap();
    expect_text(browser, "#detail", "Identity").await;
    let place = browser.eval("location.pathname + location.search").await.unwrap();
    assert_eq!(place, format!("{}/?node=here", path.trim_end_matches('/')));
    assert_eq!(browser.console().await.unwrap(), Vec::<String>::new(), "{path}");
}

#[tokio::test]
async fn the_page_works_under_any_prefix_with_tls_http_2_and_a_password() {
    let broker = TestBroker::start().await.unwrap();
    let _ingest = broker.ingest(&[]).unwrap();
    let _agent = broker.agent("here", &["--include", "lo"]).unwrap();
    let (_api, api) = broker.api().await.unwrap();
    eventually(PAGE_TIMEOUT, || http::get_json::<Value>(format!("{api}/api/nodes/here"))).await.unwrap();
    let plain = Nginx::start(&directives(&api), &[]).await.unwrap();
    let browser = Browser::start(1440, 900).await.unwrap();
    for (path, _) in LOCATIONS {
        visit(&browser, &format!("http://{}", plain.address), path).await;
    }

    let (nginx, _) = Nginx::secured(&directives(&api)).await.unwrap();
    for (path, _) in LOCATIONS {
        visit(&browser, &format!("https://{}@{}", Nginx::READER, nginx.address), path).await;
        let protocol = "performance.getEntriesByType('navigation')[0].nextHopProtocol";
        assert_eq!(browser.eval(protocol).await.unwrap(), "h2");
    }
    browser.close().await.unwrap();
}

#[tokio::test]
async fn an_unknown_path_answers_a_page_to_a_browser_that_leads_to_the_fleet() {
    let broker = TestBroker::start().await.unwrap();
    let (_api, api) = broker.api().await.unwrap();
    let nginx = Nginx::start(&directives(&api), &[]).await.unwrap();
    let url = |path: &str| format!("http://{}{path}", nginx.address);
    let browser = Browser::start(1440, 900).await.unwrap();
    for (path, top) in [("/old", "/"), ("/tidemap/old/place", "/tidemap/"), ("/a/b/api/old", "/a/b/")] {
        browser.page.goto(&url(path)).await.unwrap();
        expect_text(&browser, "h1", "There is nothing at this address").await;
        browser.page.find(Locator::Css("a")).await.unwrap().click().await.unwrap();
        expect_text(&browser, "h1", "Tidemap").await;
        assert_eq!(browser.eval("location.pathname").await.unwrap(), top);
        let other = http::get(url(path)).await.unwrap();
        assert_eq!((other.status, other.header("content-type")), (404, Some("application/json")));
    }
    browser.close().await.unwrap();
}

#[tokio::test]
async fn behind_a_proxy_that_keeps_its_prefix_every_answer_says_so() {
    let broker = TestBroker::start().await.unwrap();
    let (_api, api) = broker.api().await.unwrap();
    // Without a slash after the address, nginx passes the path on as it is.
    let kept = "location /tidemap/ { proxy_pass API; }".replace("API", &api);
    let nginx = Nginx::start(&kept, &[]).await.unwrap();
    let url = |path: &str| format!("http://{}{path}", nginx.address);
    for path in ["/tidemap/", "/tidemap/api/nodes", "/tidemap/api/stream", "/tidemap/metrics"] {
        let answer = http::get(url(path)).await.unwrap();
        assert_eq!((answer.status, answer.header("content-type")), (404, Some("application/json")), "{path}");
        assert!(answer.body.contains("must remove the prefix"), "{path}: {}", answer.body);
    }
    let browser = Browser::start(1440, 900).await.unwrap();
    browser.page.goto(&url("/tidemap/")).await.unwrap();
    expect_text(&browser, "h1", "There is nothing at this address").await;
    expect_text(&browser, "body", "it must remove that prefix before it passes a request on").await;
    expect_text(&browser, "code", "proxy_pass http://127.0.0.1:8080/;").await;
    browser.close().await.unwrap();
}

#[tokio::test]
async fn who_asks_for_what_is_there_already_goes_on_from_the_newest_id() {
    let broker = TestBroker::start().await.unwrap();
    let _ingest = broker.ingest(&[]).unwrap();
    let _agent = broker.agent("here", &["--include", "lo"]).unwrap();
    let (_api, api) = broker.api().await.unwrap();
    let ask = async |id: Option<String>| {
        let mut answer = http::events(format!("{api}/api/stream?once"), id);
        let mut events = Vec::new();
        while let Some(event) = answer.recv().await {
            events.push((event.name, event.id));
        }
        events
    };
    eventually(PAGE_TIMEOUT, || async {
        let first = ask(None).await;
        let id = first.first().and_then(|(_, id)| id.clone());
        // The API replays the 4 s before it, which it must have seen.
        let again = ask(Some(id.context("a snapshot without an id")?)).await;
        let names: Vec<&str> = again.iter().map(|(name, _)| &**name).collect();
        ensure!(names.first() == Some(&"delta") && names.last() == Some(&"stats"), "{names:?}");
        ensure!(!names.contains(&"snapshot"), "{names:?}");
        Ok(())
    })
    .await
    .unwrap();
}
