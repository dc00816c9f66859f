//! Asking the API, as commands do that run once.

use std::{path::PathBuf, time::Duration};

use anyhow::{Context, bail};
use serde::de::DeserializeOwned;
use tidemap_service::{cli::UsageError, text_file};
use tidemap_wire::http::ErrorJson;
use ureq::Agent;

/// How long to wait for an answer. The API waits a few seconds for its turn, and counts for some more.
const TIMEOUT: Duration = Duration::from_secs(60);
/// No answer is longer: a list of 100,000 nodes is about 200 MB.
const MAX_BYTES: u64 = 512 << 20;

/// Where the API is.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct ApiAddressArgs {
    /// The API's address.
    #[arg(long, env = "TIDEMAP_API_URL", default_value = "http://127.0.0.1:8080", value_name = "URL")]
    pub(crate) url: String,
    /// The file with the API's token, which it asks for beyond loopback.
    #[arg(long, env = "TIDEMAP_API_TOKEN_FILE", value_name = "FILE")]
    api_token_file: Option<PathBuf>,
}

impl ApiAddressArgs {
    /// The body of the answer for a path that begins with `/api/`.
    pub(crate) fn ask(&self, path: &str) -> anyhow::Result<String> {
        let url = self.url.trim_end_matches('/');
        if !url.starts_with("http://") {
            let problem = "must begin with http:// (what a proxy serves by https:// has an address of its own behind it)";
            return Err(UsageError(format!("--url {url}: {problem}")).into());
        }
        let config = Agent::config_builder().timeout_global(Some(TIMEOUT)).http_status_as_error(false);
        let agent: Agent = config.build().into();
        let mut request = agent.get(format!("{url}{path}"));
        if let Some(path) = &self.api_token_file {
            let token = text_file::read(path);
            let token = token.map_err(|error| UsageError::in_file("--api-token-file", path, error))?;
            request = request.header("authorization", format!("Bearer {}", token.trim_end()));
        }
        let mut answer =
            request.call().with_context(|| format!("the API at {} does not answer", self.url))?;
        let status = answer.status();
        let body = answer.body_mut().with_config().limit(MAX_BYTES).read_to_string();
        let body = body.context("the API's answer broke off")?;
        if status.is_success() {
            return Ok(body);
        }
        let detail = serde_json::from_str::<ErrorJson>(&body).map(|error| error.detail);
        match (status.as_u16(), detail) {
            (422, Ok(detail)) => Err(UsageError(detail).into()),
            (_, Ok(detail)) => bail!(detail),
            (code, Err(_)) => bail!("the API at {} answers with status {code}", self.url),
        }
    }

    /// The answer as what it is.
    pub(crate) fn read<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<T> {
        read(&self.ask(path)?)
    }
}

/// Reads a body.
pub(crate) fn read<T: DeserializeOwned>(body: &str) -> anyhow::Result<T> {
    serde_json::from_str(body).context("the API's answer cannot be read")
}
