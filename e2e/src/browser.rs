//! A real Chromium, driven through its own driver, with a profile of its own.

use std::{process::Stdio, time::Duration};

use anyhow::Context;
use fantoccini::{
    Client, ClientBuilder, Locator,
    actions::{InputSource, KeyAction, KeyActions},
};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    time::timeout,
};

/// Started so, it talks to nobody but the page.
const CHROMIUM_FLAGS: [&str; 8] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
];

/// A browser with one page, ended with the test.
pub struct Browser {
    /// The page.
    pub page: Client,
    driver: Child,
    _profile: TempDir,
}

impl Browser {
    /// Starts Chromium with a window of this size.
    ///
    /// # Errors
    ///
    /// When Chromium or its driver is not installed or does not start.
    pub async fn start(width: u32, height: u32) -> anyhow::Result<Self> {
        let (driver, port) = start_driver().await?;
        let profile = tempfile::tempdir()?;
        let mut flags: Vec<String> = CHROMIUM_FLAGS.map(str::to_owned).to_vec();
        flags.push(format!("--user-data-dir={}", profile.path().display()));
        flags.push(format!("--window-size={width},{height}"));
        let options = json!({ "args": flags });
        let mut wishes = serde_json::Map::new();
        wishes.insert("goog:chromeOptions".to_owned(), options);
        wishes.insert("goog:loggingPrefs".to_owned(), json!({ "browser": "ALL" }));
        let page = ClientBuilder::new(HttpConnector::new())
            .capabilities(wishes)
            .connect(&format!("http://127.0.0.1:{port}"))
            .await
            .context("cannot start Chromium")?;
        Ok(Self { page, driver, _profile: profile })
    }

    /// Text of the first element that a CSS selector finds.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub async fn text(&self, css: &str) -> anyhow::Result<String> {
        Ok(self.page.find(Locator::Css(css)).await?.text().await?)
    }

    /// What a JavaScript expression evaluates to.
    ///
    /// # Errors
    ///
    /// When it throws.
    pub async fn eval(&self, expression: &str) -> anyhow::Result<Value> {
        Ok(self.page.execute(&format!("return {expression}"), vec![]).await?)
    }

    /// Presses these keys, one after the other, wherever the focus is.
    ///
    /// # Errors
    ///
    /// When the driver refuses.
    pub async fn press(&self, keys: &str) -> anyhow::Result<()> {
        let press = |actions: KeyActions, value| {
            actions.then(KeyAction::Down { value }).then(KeyAction::Up { value })
        };
        let actions = keys.chars().fold(KeyActions::new("keyboard".to_owned()), press);
        Ok(self.page.perform_actions(actions).await?)
    }

    /// Takes a picture of what the window shows, as PNG.
    ///
    /// # Errors
    ///
    /// When the driver refuses.
    pub async fn screenshot(&self) -> anyhow::Result<Vec<u8>> {
        Ok(self.page.screenshot().await?)
    }

    /// What the page has written to the console since the last call, errors of the network included.
    ///
    /// # Errors
    ///
    /// When the driver does not tell.
    pub async fn console(&self) -> anyhow::Result<Vec<String>> {
        let log = self.page.issue_cmd(ConsoleLog).await?;
        let entries = log.as_array().cloned().unwrap_or_default();
        Ok(entries
            .iter()
            .filter(|entry| matches!(entry["level"].as_str(), Some("SEVERE" | "WARNING")))
            .map(|entry| entry["message"].as_str().unwrap_or_default().to_owned())
            .collect())
    }

    /// Ends the browser in peace.
    ///
    /// # Errors
    ///
    /// When the driver refuses.
    pub async fn close(self) -> anyhow::Result<()> {
        Ok(self.page.clone().close().await?)
    }
}

impl Drop for Browser {
    /// A test that fails leaves Chromium running: it is the driver's child, in the driver's process group.
    fn drop(&mut self) {
        let pid = self.driver.id().and_then(|pid| rustix::process::Pid::from_raw(pid.cast_signed()));
        if let Some(pid) = pid {
            // It may have ended already.
            rustix::process::kill_process_group(pid, rustix::process::Signal::KILL).ok();
        }
    }
}

/// Starts chromedriver on a free port, which it tells.
async fn start_driver() -> anyhow::Result<(Child, u16)> {
    let mut driver = Command::new("chromedriver")
        .arg("--port=0")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .context("cannot run chromedriver (Debian: chromium, chromium-driver)")?;
    let mut lines = BufReader::new(driver.stdout.take().context("its output is piped")?).lines();
    let port = timeout(Duration::from_secs(20), async {
        while let Some(line) = lines.next_line().await? {
            if let Some((_, port)) = line.split_once("started successfully on port ") {
                return Ok(port.trim_end_matches('.').parse()?);
            }
        }
        anyhow::bail!("chromedriver ended")
    })
    .await
    .context("chromedriver does not start")??;
    // It must not block on a full pipe later.
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    Ok((driver, port))
}

/// Chromium's own command for the console's log.
#[derive(Debug)]
struct ConsoleLog;

impl fantoccini::wd::WebDriverCompatibleCommand for ConsoleLog {
    fn endpoint(&self, base: &url::Url, session: Option<&str>) -> Result<url::Url, url::ParseError> {
        base.join(&format!("session/{}/se/log", session.unwrap_or_default()))
    }

    fn method_and_body(&self, _: &url::Url) -> (http::Method, Option<String>) {
        (http::Method::POST, Some(json!({ "type": "browser" }).to_string()))
    }
}
