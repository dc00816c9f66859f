//! Axe, a checker of accessibility. `cargo xtask test` fetches it.

use anyhow::Context;
use serde_json::Value;
use tidemap_testkit::browser::Browser;

/// The folder's name, which `cargo xtask test` sets.
const AXE: &str = "axe-core@4.14.1/package/axe.min.js";

/// Each rule that is broken, and where.
const RUN: &str = "
    const done = arguments[arguments.length - 1];
    const describe = ({ violations }) => violations.flatMap(({ id, nodes }) =>
        nodes.map(({ target, any, all, none }) =>
            [id, target.join(' '), ...[...any, ...all, ...none].map(check => check.message)].join(': ')));
    axe.run(document, { resultTypes: ['violations'] }).then(describe, error => [`${error}`]).then(done);";

/// Adds axe to the open page. It bypasses the page's policy, which would forbid it.
pub(crate) async fn join(browser: &Browser) -> anyhow::Result<()> {
    let path = std::path::absolute(tidemap_broker::default_tools_dir())?.join(AXE);
    let source = std::fs::read_to_string(&path)
        .with_context(|| format!("{AXE} is missing: `cargo xtask test --only tools` fetches it"))?;
    browser.page.execute(&format!("{source}; window.axe = axe;"), vec![]).await?;
    Ok(())
}

/// The rules of axe that the page breaks now.
pub(crate) async fn violations(browser: &Browser) -> anyhow::Result<Vec<String>> {
    let found = browser.page.execute_async(RUN, vec![]).await?;
    let found = found.as_array().context("axe answers with a list")?;
    Ok(found.iter().filter_map(Value::as_str).map(str::to_owned).collect())
}
