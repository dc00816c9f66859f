//! A real Chromium, driven through its own driver, with a profile of its own.

use std::{process::Stdio, time::Duration};

use anyhow::Context;
use fantoccini::{
    Client, ClientBuilder, Locator,
    actions::{InputSource, KeyAction, KeyActions},
    wd::WindowHandle,
};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tempfile::TempDir;
use tidemap_service::child_watchdog::ChildWatchdog;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};

use crate::within;

/// With these arguments it sends requests to the page's server only.
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

/// For chromedriver to listen; it takes a tenth of a second on an idle machine.
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// A browser with one page, ended with the test.
pub struct Browser {
    /// The page.
    pub page: Client,
    driver: Child,
    _watchdog: ChildWatchdog,
    _profile: TempDir,
}

impl Browser {
    /// Starts Chromium with a window of this size.
    pub async fn start(width: u32, height: u32) -> anyhow::Result<Self> {
        let (driver, port) = start_driver().await?;
        let watchdog = ChildWatchdog::of_group(driver.id().context("it runs")?)?;
        let profile = tempfile::tempdir()?;
        let mut flags: Vec<String> = CHROMIUM_FLAGS.map(str::to_owned).to_vec();
        flags.push(format!("--user-data-dir={}", profile.path().display()));
        flags.push(format!("--window-size={width},{height}"));
        let options = json!({ "args": flags });
        let mut wishes = serde_json::Map::new();
        wishes.insert("goog:chromeOptions".to_owned(), options);
        // Tests make their own certificates.
        wishes.insert("acceptInsecureCerts".to_owned(), json!(true));
        wishes.insert("goog:loggingPrefs".to_owned(), json!({ "browser": "ALL" }));
        let page = ClientBuilder::new(HttpConnector::new())
            .capabilities(wishes)
            .connect(&format!("http://127.0.0.1:{port}"))
            .await
            .context("cannot start Chromium")?;
        Ok(Self { page, driver, _watchdog: watchdog, _profile: profile })
    }

    /// Text of the first element that a CSS selector finds.
    pub async fn text(&self, css: &str) -> anyhow::Result<String> {
        Ok(self.page.find(Locator::Css(css)).await?.text().await?)
    }

    /// The value of a JavaScript expression.
    pub async fn eval(&self, expression: &str) -> anyhow::Result<Value> {
        Ok(self.page.execute(&format!("return {expression}"), vec![]).await?)
    }

    /// Presses these keys, one after the other, wherever the focus is.
    pub async fn press(&self, keys: &str) -> anyhow::Result<()> {
        let press = |actions: KeyActions, value| {
            actions.then(KeyAction::Down { value }).then(KeyAction::Up { value })
        };
        let actions = keys.chars().fold(KeyActions::new("keyboard".to_owned()), press);
        Ok(self.page.perform_actions(actions).await?)
    }

    /// Gives the page a window of this size, at one device pixel per pixel.
    pub async fn resize(&self, width: u32, height: u32) -> anyhow::Result<()> {
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.devtools("Emulation.setDeviceMetricsOverride", size).await
    }

    /// Sets the reader's preferences: `[("prefers-color-scheme", "dark")]`.
    pub async fn prefer(&self, wishes: &[(&str, &str)]) -> anyhow::Result<()> {
        let features: Vec<Value> =
            wishes.iter().map(|(name, value)| json!({ "name": name, "value": value })).collect();
        self.devtools("Emulation.setEmulatedMedia", json!({ "features": features })).await
    }

    /// Runs a script before any of the page's own, on every page from now on.
    pub async fn prepare(&self, script: &str) -> anyhow::Result<()> {
        self.devtools("Page.addScriptToEvaluateOnNewDocument", json!({ "source": script })).await
    }

    /// Opens another tab, which has the focus from now on and hides the others. Returns the one that had it.
    pub async fn open_tab(&self) -> anyhow::Result<WindowHandle> {
        let before = self.page.window().await?;
        let opened = self.page.new_window(true).await?;
        self.page.switch_to_window(opened.handle).await?;
        Ok(before)
    }

    /// Closes this tab, and gives the focus to another.
    pub async fn return_to(&self, tab: WindowHandle) -> anyhow::Result<()> {
        self.page.close_window().await?;
        Ok(self.page.switch_to_window(tab).await?)
    }

    /// Grants a permission that a page must ask for, such as `clipboardReadWrite`.
    pub async fn allow(&self, what: &[&str]) -> anyhow::Result<()> {
        self.devtools("Browser.grantPermissions", json!({ "permissions": what })).await
    }

    /// Gives Chromium a command of its own.
    pub async fn devtools(&self, command: &'static str, parameters: Value) -> anyhow::Result<()> {
        self.page.issue_cmd(DevTools { command, parameters }).await?;
        Ok(())
    }

    /// Takes a picture of what the window shows, as PNG.
    pub async fn screenshot(&self) -> anyhow::Result<Vec<u8>> {
        Ok(self.page.screenshot().await?)
    }

    /// What the page has written to the console since the last call, errors of the network included.
    pub async fn console(&self) -> anyhow::Result<Vec<String>> {
        let log = self.page.issue_cmd(ConsoleLog).await?;
        let entries = log.as_array().cloned().unwrap_or_default();
        Ok(entries
            .iter()
            .filter(|entry| matches!(entry["level"].as_str(), Some("SEVERE" | "WARNING")))
            .map(|entry| entry["message"].as_str().unwrap_or_default().to_owned())
            .collect())
    }

    /// The same without errors of the network, for tests that break it.
    pub async fn faults(&self) -> anyhow::Result<Vec<String>> {
        let is_network =
            |message: &String| message.contains("Failed to load resource") || message.contains("net::ERR_");
        Ok(self.console().await?.into_iter().filter(|message| !is_network(message)).collect())
    }

    /// Closes the browser cleanly.
    pub async fn close(self) -> anyhow::Result<()> {
        Ok(self.page.clone().close().await?)
    }
}

impl Drop for Browser {
    /// After a failed test Chromium would keep running: it is the driver's child, in the driver's process
    /// group.
    fn drop(&mut self) {
        let pid = self.driver.id().and_then(|pid| rustix::process::Pid::from_raw(pid.cast_signed()));
        if let Some(pid) = pid {
            // It may have ended already.
            rustix::process::kill_process_group(pid, rustix::process::Signal::KILL).ok();
        }
    }
}

/// Starts chromedriver. It takes a port that is free for IPv4 and ends if another program has it for IPv6, or
/// the other way round.
async fn start_driver() -> anyhow::Result<(Child, u16)> {
    const ATTEMPTS: usize = 5;
    let mut failed = Vec::new();
    while failed.len() < ATTEMPTS {
        match try_driver().await? {
            Ok(started) => return Ok(started),
            Err(output) => failed.push(output),
        }
    }
    anyhow::bail!("chromedriver ended each time: {failed:#?}")
}

/// Starts chromedriver on a port that it chooses and prints; or all that it printed before it ended.
async fn try_driver() -> anyhow::Result<Result<(Child, u16), String>> {
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
    let mut output = String::new();
    let port = within(START_TIMEOUT, async {
        while let Some(line) = lines.next_line().await? {
            if let Some((_, port)) = line.split_once("started successfully on port ") {
                return Ok(Some(port.trim_end_matches('.').parse()?));
            }
            output += &format!("{line}\n");
        }
        anyhow::Ok(None)
    })
    .await
    .context("chromedriver does not start")??;
    let Some(port) = port else { return Ok(Err(output)) };
    // It must not block on a full pipe later.
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    Ok(Ok((driver, port)))
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

/// A command of Chromium's own, which webdriver lacks.
#[derive(Debug)]
struct DevTools {
    command: &'static str,
    parameters: Value,
}

impl fantoccini::wd::WebDriverCompatibleCommand for DevTools {
    fn endpoint(&self, base: &url::Url, session: Option<&str>) -> Result<url::Url, url::ParseError> {
        base.join(&format!("session/{}/goog/cdp/execute", session.unwrap_or_default()))
    }

    fn method_and_body(&self, _: &url::Url) -> (http::Method, Option<String>) {
        (http::Method::POST, Some(json!({ "cmd": self.command, "params": self.parameters }).to_string()))
    }
}
