//! A browser at a fake server; the test controls the page's clock.

use std::time::Duration;

use anyhow::{Context, ensure};
use fantoccini::Locator;
use serde_json::json;
use tidemap_testkit::{
    browser::Browser,
    eventually,
    fake::{FakeFleet, FakeServer},
};

use crate::PAGE_TIMEOUT;

/// Runs before the page: a monotonic clock that can be stopped and advanced, constant random numbers, a wall
/// clock with the error that the address gives behind `#`, and a count of the stream's events.
const SCRIPT: &str = r#"
    const real = performance.now.bind(performance);
    const clock = { held: null, ahead: 0 };
    performance.now = () => clock.held ?? real() + clock.ahead;
    Math.random = () => 0.5;
    window.heard = 0;
    window.holdClock = () => { clock.held ??= performance.now(); };
    window.advanceClock = (ms) => { clock.held === null ? clock.ahead += ms : clock.held += ms; };
    const wrong = Number(location.hash.slice(1)) || 0;
    const now = Date.now;
    Date.now = () => now() + wrong;
    window.Date = class extends Date {
        constructor(...parts) { parts.length ? super(...parts) : super(Date.now()); }
    };
    window.SharedWorker = class extends SharedWorker {
        constructor(...parts) {
            super(...parts);
            this.port.addEventListener("message", ({ data: [kind] }) => {
                if (["snapshot", "delta", "stats"].includes(kind)) window.heard++;
            });
        }
    };
"#;

/// The browser, and the server that it looks at.
pub(crate) struct Visit {
    pub(crate) browser: Browser,
    pub(crate) server: FakeServer,
}

impl Visit {
    /// Starts both. The page is not opened yet.
    pub(crate) async fn start(fleet: FakeFleet, width: u32, height: u32) -> Self {
        let (browser, server) = tokio::join!(Browser::start(width, height), FakeServer::start(fleet));
        let (browser, server) = (browser.unwrap(), server.unwrap());
        browser.prepare(SCRIPT).await.unwrap();
        browser.resize(width, height).await.unwrap();
        Self { browser, server }
    }

    /// Opens the page at this path.
    pub(crate) async fn open(&self, path: &str) {
        // An address that differs only behind `#` would not load again.
        self.browser.page.goto("about:blank").await.unwrap();
        self.browser.page.goto(&(self.server.url() + path)).await.unwrap();
    }

    /// Opens the page and waits until it is live.
    pub(crate) async fn open_live(&self, path: &str) {
        self.open(path).await;
        self.expect_link("live").await;
    }

    /// Waits until the page shows this state of its link.
    pub(crate) async fn expect_link(&self, expected: &str) {
        eventually(PAGE_TIMEOUT, || async {
            let chip = self.browser.page.find(Locator::Css("[data-connection]")).await?;
            let state = chip.attr("data-connection").await?;
            ensure!(state.as_deref() == Some(expected), "the link is {state:?}, not {expected}");
            Ok(())
        })
        .await
        .unwrap();
    }

    /// Waits until the page has closed its stream.
    pub(crate) async fn expect_no_listener(&self) {
        eventually(PAGE_TIMEOUT, || async {
            // A server notices a closed stream only when it sends.
            self.server.beat(Duration::ZERO);
            ensure!(self.server.listeners() == 0, "it still listens");
            Ok(())
        })
        .await
        .unwrap();
    }

    /// Waits until the first element of a selector has this text.
    pub(crate) async fn expect_text(&self, css: &str, expected: &str) {
        eventually(PAGE_TIMEOUT, || async {
            let text = self.browser.text(css).await?;
            ensure!(text.contains(expected), "{css} says {text:?}, not {expected:?}");
            Ok(())
        })
        .await
        .unwrap();
    }

    /// Waits until a JavaScript expression is true.
    pub(crate) async fn expect(&self, expression: &str) {
        eventually(PAGE_TIMEOUT, || async {
            let value = self.browser.eval(expression).await?;
            ensure!(value == true, "{expression} is {value}");
            Ok(())
        })
        .await
        .unwrap();
    }

    /// Waits until the stream has been asked for this often.
    pub(crate) async fn expect_asked(&self, times: u64) {
        eventually(PAGE_TIMEOUT, || async {
            let asked = self.server.asked();
            ensure!(asked >= times, "asked {asked} times, not {times}");
            Ok(())
        })
        .await
        .unwrap();
    }

    /// Clicks the first element that a selector finds, as soon as there is one.
    pub(crate) async fn click(&self, css: &str) {
        let clicked = eventually(PAGE_TIMEOUT, || async {
            let element = self.browser.page.find(Locator::Css(css)).await?;
            element.click().await.context("it cannot be clicked")
        });
        clicked.await.with_context(|| css.to_owned()).unwrap();
    }

    /// Presses a button without a pointer, which would rest on it and change its looks.
    pub(crate) async fn press_unseen(&self, css: &str) {
        self.browser.eval(&format!("document.querySelector({}).click()", json!(css))).await.unwrap();
    }

    /// Stops the clock of the page, and of every page that is opened from now on before it runs: on a slow
    /// machine a page would be stale before its clock could be stopped.
    pub(crate) async fn hold_clock(&self) {
        self.browser.prepare("holdClock();").await.unwrap();
        self.browser.eval("window.holdClock?.()").await.unwrap();
    }

    /// Puts the page's clock forward.
    pub(crate) async fn advance_clock(&self, by: Duration) {
        self.browser.eval(&format!("advanceClock({})", by.as_millis())).await.unwrap();
    }

    /// Lets time pass for the fleet, and waits until the page has received the events.
    pub(crate) async fn beat(&self, times: u32, by: Duration) {
        let heard = self.browser.eval("heard").await.unwrap().as_u64().unwrap();
        for _ in 0..times {
            self.server.beat(by);
        }
        // Each is a delta and the totals.
        self.expect(&format!("heard >= {}", heard + 2 * u64::from(times))).await;
    }

    /// Waits until the page has drawn what it was asked to.
    pub(crate) async fn next_frame(&self) {
        let script =
            "const done = arguments[0]; requestAnimationFrame(() => requestAnimationFrame(() => done()))";
        self.browser.page.execute_async(script, vec![]).await.unwrap();
    }

    /// Fails when the page itself has logged an error.
    pub(crate) async fn end(self) {
        assert_eq!(self.browser.faults().await.unwrap(), Vec::<String>::new());
        self.browser.close().await.unwrap();
    }
}
