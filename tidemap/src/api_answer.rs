//! Asking the API, as commands do that run once.

mod address;

use std::{fmt, time::Duration};

use anyhow::{Context, bail};
use serde::{Serialize, de::DeserializeOwned};
use tidemap_service::cli::UsageError;
use tidemap_wire::http::ErrorJson;
use ureq::{Body, RequestBuilder, http::Response};
use url::Url;

pub(crate) use self::address::ApiAddressArgs;

/// How long to wait for an answer. The API waits a few seconds for its turn, and counts for some more.
const TIMEOUT: Duration = Duration::from_secs(60);
/// No answer is longer: a list of 100,000 nodes is about 200 MB.
const MAX_BYTES: u64 = 512 << 20;

/// The API knows nothing of this name.
#[derive(Debug)]
pub(crate) struct Missing(String);

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Missing {}

impl ApiAddressArgs {
    /// The body of the answer for a path that begins with `/api/`.
    pub(crate) fn ask(&self, path: &str) -> anyhow::Result<String> {
        let request = self.agent(TIMEOUT)?.get(self.url_of(path)?.as_str());
        self.body(self.with_key(request)?.call())
    }

    /// The body of the answer after something was put there.
    pub(crate) fn put(&self, path: &str, value: &impl Serialize) -> anyhow::Result<String> {
        let request = self.agent(TIMEOUT)?.put(self.url_of(path)?.as_str());
        let request = self.with_key(request)?.content_type("application/json");
        self.body(request.send(serde_json::to_vec(value)?))
    }

    /// Removes what is there; [`Missing`] when nothing is.
    pub(crate) fn delete(&self, path: &str) -> anyhow::Result<()> {
        let request = self.agent(TIMEOUT)?.delete(self.url_of(path)?.as_str());
        self.body(self.with_key(request)?.call()).map(|_| ())
    }

    fn with_key<B>(&self, request: RequestBuilder<B>) -> Result<RequestBuilder<B>, UsageError> {
        let keys = self.keys()?;
        Ok(keys.into_iter().fold(request, |request, (name, value)| request.header(name, value)))
    }

    fn url_of(&self, path: &str) -> Result<Url, UsageError> {
        let mut url = self.url()?;
        let (path, query) = path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)));
        url.set_path(&format!("{}{path}", url.path().trim_end_matches('/')));
        url.set_query(query);
        Ok(url)
    }

    /// The body of an answer, or what it says is wrong.
    fn body(&self, answer: Result<Response<Body>, ureq::Error>) -> anyhow::Result<String> {
        let mut answer = answer.with_context(|| format!("the API at {} does not answer", self.address()))?;
        let status = answer.status();
        let body = answer.body_mut().with_config().limit(MAX_BYTES).read_to_string();
        let body = body.context("the API's answer broke off")?;
        if status.is_success() {
            return Ok(body);
        }
        let detail = serde_json::from_str::<ErrorJson>(&body).map(|error| error.detail);
        match (status.as_u16(), detail) {
            (404, Ok(detail)) => Err(Missing(detail).into()),
            (422, Ok(detail)) => Err(UsageError(detail).into()),
            (_, Ok(detail)) => bail!(detail),
            (code, Err(_)) => bail!("the API at {} answers with status {code}", self.address()),
        }
    }

    /// The answer as what it is.
    pub(crate) fn read<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<T> {
        read(&self.ask(path)?)
    }
}

/// Asks in a thread of its own, as asking blocks.
pub(crate) async fn asked<T: Send + 'static>(
    ask: impl FnOnce() -> anyhow::Result<T> + Send + 'static,
) -> anyhow::Result<T> {
    tokio::task::spawn_blocking(ask).await.context("the API was not asked")?
}

/// Reads a body.
pub(crate) fn read<T: DeserializeOwned>(body: &str) -> anyhow::Result<T> {
    serde_json::from_str(body).context("the API's answer cannot be read")
}
