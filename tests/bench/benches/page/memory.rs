//! An hour of a fleet in which nodes join and leave, as fast as the page can process it.

use anyhow::Context;
use serde_json::json;
use tidemap_testkit::browser::Browser;

use crate::{NODES, Plan, devtools, fleet::Fleet, recorder, server::Server};
use tidemap_bench::table::{Goal, Table};

const MB: f64 = 1_000_000.0;
/// Ticks until everything that is kept for a limited time has reached that time: five minutes of totals.
const WARM_UP: u32 = 320;

pub(crate) async fn measure(plan: &Plan, table: &mut Table) -> anyhow::Result<()> {
    let (server, mut fleet) = (Server::start().await?, Fleet::new(NODES));
    let browser = recorder::start(1440, 900).await?;
    server.say(fleet.snapshot()?).await?;
    recorder::visit(&browser, &server.url).await?;
    recorder::reset(&browser).await?;
    for _ in 0..WARM_UP {
        server.say(fleet.churn()?).await?;
    }
    recorder::heard(&browser, u64::from(WARM_UP)).await?;
    let before = Heap::look(&browser).await?;
    for _ in 0..plan.ticks {
        server.say(fleet.churn()?).await?;
    }
    recorder::heard(&browser, u64::from(WARM_UP + plan.ticks)).await?;
    let after = Heap::look(&browser).await?;
    let what = |what: &str| format!("{} ticks with churn: {what}", plan.ticks);
    table.note(what("scripts' heap"), after.scripts / MB, "MB", Goal::None);
    table.note(what("elements and their like"), after.elements / MB, "MB", Goal::None);
    table.note(what("wasm's memory"), after.wasm / MB, "MB", Goal::None);
    table.note(what("all"), after.total() / MB, "MB", Goal::AtMost(60.0));
    table.note(what("growth"), (after.total() - before.total()) / MB, "MB", Goal::AtMost(2.0));
    table.note(
        what("complaints on the console"),
        recorder::complaints(&browser).await? as f64,
        "",
        Goal::AtMost(0.0),
    );
    browser.close().await
}

/// The page's memory after a garbage collection, in bytes.
#[derive(Debug)]
struct Heap {
    scripts: f64,
    elements: f64,
    wasm: f64,
}

impl Heap {
    async fn look(browser: &Browser) -> anyhow::Result<Self> {
        devtools::execute(browser, "HeapProfiler.enable", json!({})).await?;
        devtools::execute(browser, "HeapProfiler.collectGarbage", json!({})).await?;
        let usage = devtools::execute(browser, "Runtime.getHeapUsage", json!({})).await?;
        eprintln!("  {usage}");
        let bytes = |name: &str| usage[name].as_f64().with_context(|| format!("no {name} in {usage}"));
        let wasm = recorder::read(browser).await?.wasm_bytes as f64;
        Ok(Self { scripts: bytes("usedSize")?, elements: bytes("embedderHeapUsedSize")?, wasm })
    }

    fn total(&self) -> f64 {
        self.scripts + self.elements + self.wasm
    }
}
