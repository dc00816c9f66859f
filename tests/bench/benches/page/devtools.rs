//! Commands of Chromium's own protocol, through its driver.

use serde_json::{Value, json};
use tidemap_testkit::browser::Browser;

/// One command of the browser's own protocol.
#[derive(Debug)]
struct Command {
    name: &'static str,
    params: Value,
}

impl fantoccini::wd::WebDriverCompatibleCommand for Command {
    fn endpoint(&self, base: &url::Url, session: Option<&str>) -> Result<url::Url, url::ParseError> {
        base.join(&format!("session/{}/goog/cdp/execute", session.unwrap_or_default()))
    }

    fn method_and_body(&self, _: &url::Url) -> (http::Method, Option<String>) {
        (http::Method::POST, Some(json!({ "cmd": self.name, "params": self.params }).to_string()))
    }
}

/// Lets the browser carry out a command and returns its answer.
pub(crate) async fn execute(browser: &Browser, name: &'static str, params: Value) -> anyhow::Result<Value> {
    Ok(browser.page.issue_cmd(Command { name, params }).await?)
}
