//! The page in a browser that notes what it costs.

use std::time::Duration;

use anyhow::{Context, ensure};
use serde::Deserialize;
use serde_json::json;
use tidemap_testkit::{browser::Browser, eventually};

use crate::devtools;

const PAGE_TIMEOUT: Duration = Duration::from_secs(20);

/// Measurements since the last call. Times are in milliseconds.
#[derive(Debug, Deserialize)]
pub(crate) struct Record {
    /// Times from frame to frame.
    pub(crate) frames: Vec<f64>,
    /// The time of the page's own part in each frame.
    pub(crate) page_frames: Vec<f64>,
    /// From a delta's text to its last column.
    pub(crate) deltas: Vec<f64>,
    pub(crate) snapshots: Vec<f64>,
    /// The rows' part of frames; like the next two, only with `?debug`.
    pub(crate) rows: Vec<f64>,
    /// The map's part.
    pub(crate) map: Vec<f64>,
    /// The browser's share of the map's part: copying the picture of all markers.
    pub(crate) pixels: Vec<f64>,
    /// Tasks of more than 50 ms.
    pub(crate) tasks: Vec<f64>,
    /// Frames of more than 50 ms, with layout and painting.
    pub(crate) long_frames: Vec<f64>,
    /// From a key or click to the paint that answers it; the browser reports none below 16 ms.
    pub(crate) interactions: Vec<f64>,
    pub(crate) first_paint_ms: Option<f64>,
    pub(crate) first_row_ms: Option<f64>,
    pub(crate) wasm_bytes: u64,
    pub(crate) row_elements: u64,
    pub(crate) elements: u64,
    /// Address, bytes as sent, bytes unpacked.
    pub(crate) weights: Vec<(String, u64, u64)>,
    /// Requests to other origins.
    pub(crate) foreign: u64,
    /// Reports of the content security policy.
    pub(crate) violations: u64,
}

/// Starts a browser that notes everything, on no page yet.
pub(crate) async fn start(width: u32, height: u32) -> anyhow::Result<Browser> {
    let browser = Browser::start(width, height).await?;
    let script = json!({ "source": include_str!("recorder.js") });
    devtools::execute(&browser, "Page.addScriptToEvaluateOnNewDocument", script).await?;
    // Without a cache, so that every visit is a first one.
    devtools::execute(&browser, "Network.enable", json!({})).await?;
    devtools::execute(&browser, "Network.setCacheDisabled", json!({ "cacheDisabled": true })).await?;
    Ok(browser)
}

/// Opens the page and returns when its first row has been painted.
pub(crate) async fn visit(browser: &Browser, url: &str) -> anyhow::Result<()> {
    browser.page.goto(url).await?;
    let shown = eventually(PAGE_TIMEOUT, || async {
        let record = read(browser).await?;
        record.first_row_ms.map(drop).context("no row")
    });
    if let Err(error) = shown.await {
        complaints(browser).await?;
        return Err(error.context(browser.text("body").await?));
    }
    Ok(())
}

pub(crate) async fn reset(browser: &Browser) -> anyhow::Result<()> {
    browser.page.execute("benchRecorder.reset()", vec![]).await?;
    Ok(())
}

pub(crate) async fn read(browser: &Browser) -> anyhow::Result<Record> {
    Ok(serde_json::from_value(browser.eval("benchRecorder.read()").await?)?)
}

/// Waits until the page has received this many deltas since the last reset.
pub(crate) async fn heard(browser: &Browser, deltas: u64) -> anyhow::Result<()> {
    eventually(PAGE_TIMEOUT, || async {
        let heard = browser.eval("benchRecorder.deltaCount()").await?.as_u64().context("a number")?;
        ensure!(heard >= deltas, "{heard} of {deltas} deltas heard");
        Ok(())
    })
    .await
}

/// The number of errors and warnings on the browser's console.
pub(crate) async fn complaints(browser: &Browser) -> anyhow::Result<u64> {
    let console = browser.console().await?;
    for line in &console {
        eprintln!("  console: {line}");
    }
    Ok(console.len() as u64)
}

/// The value below which this share of the values lies; an error without values.
pub(crate) fn quantile(values: &[f64], share: f64) -> anyhow::Result<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let place = (sorted.len() as f64 * share) as usize;
    sorted.get(place.min(sorted.len().saturating_sub(1))).copied().context("nothing was measured")
}

pub(crate) fn largest(values: &[f64]) -> f64 {
    values.iter().copied().fold(0.0, f64::max)
}
