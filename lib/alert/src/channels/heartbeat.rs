//! A call to an address outside, so that somebody watches the watcher.

use std::time::Duration;

use tidemap_traffic::document::{Checked, problem};
use toml::{Spanned, Value};
use url::Url;

use super::setting::Setting;

const USUAL: Duration = Duration::from_secs(60);
const SHORTEST: Duration = Duration::from_secs(10);
const LONGEST: Duration = Duration::from_secs(86_400);

/// An address that is called as long as alerts are judged. Who is there notices when no call comes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heartbeat {
    /// The address, to which each call is a GET.
    pub url: Setting,
    /// Between two calls.
    pub every: Duration,
}

pub(super) fn read(table: &Spanned<Value>) -> Checked<Heartbeat> {
    let bad = |what: String| problem(table, format!("heartbeat: {what}"));
    let fields = table.get_ref().as_table().ok_or_else(|| bad("must be a table [heartbeat]".to_owned()))?;
    let (mut urls, mut every) = (Vec::new(), USUAL);
    for (name, value) in fields {
        let text = value.as_str().ok_or_else(|| bad(format!("{name}: must be text")))?;
        match name.as_str() {
            "url" => {
                check_address(text).map_err(|what| bad(format!("url: {what}")))?;
                urls.push(Setting::Given(text.to_owned()));
            }
            "url_file" => urls.push(Setting::File(text.into())),
            "url_env" => urls.push(Setting::Variable(text.to_owned())),
            "every" => every = duration(text).ok_or_else(|| bad(every_says()))?,
            _ => {
                return Err(bad(format!(
                    "{name}: is no setting: there are url, url_file, url_env and every"
                )));
            }
        }
    }
    match (urls.pop(), urls.is_empty()) {
        (Some(url), true) => Ok(Heartbeat { url, every }),
        _ => Err(bad("it must have one of url, url_file and url_env".to_owned())),
    }
}

/// Checks an address, and does not repeat it.
///
/// # Errors
///
/// When it is none of HTTP.
pub(super) fn check_address(text: &str) -> Result<Url, &'static str> {
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    url.ok_or("must be an address that begins with https:// or http://")
}

fn every_says() -> String {
    format!("every: must be from {} s to {} s, such as 60s or 5m", SHORTEST.as_secs(), LONGEST.as_secs())
}

fn duration(text: &str) -> Option<Duration> {
    let ms = u64::try_from(crate::duration::read(text)?).ok()?;
    Some(Duration::from_millis(ms)).filter(|every| (SHORTEST..=LONGEST).contains(every))
}
