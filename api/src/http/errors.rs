//! Errors as JSON: `{"detail": "…"}`.
//!
//! A route's own failures are [`ApiError`]s. [`answer`] converts warp's rejections into one, so status and
//! text are chosen in one place.

use std::convert::Infallible;

use tidemap_client::RequestError;
use tidemap_wire::http::ErrorJson;
use warp::{
    Rejection,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    reject::Reject,
    reply::Response,
};

use crate::{answers::NotBuilt, fleet_task::Stopping, json, memory_budget::OverBudget};

/// Why a request is not answered as asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApiError {
    #[error("there is no {0}")]
    NotFound(String),
    #[error("{0}")]
    Query(String),
    #[error("{detail}")]
    Unauthorized { detail: &'static str, challenge: &'static str },
    #[error(
        "this API is not known as {0}: start it with --host {0} (TIDEMAP_HOSTS) if it is reached by that name"
    )]
    Misdirected(String),
    #[error("a page of another origin may not change anything: start the API with --allow-origin to let it")]
    ForeignOrigin,
    #[error(transparent)]
    Ingest(#[from] RequestError),
    #[error(transparent)]
    Stopping(#[from] Stopping),
    #[error(transparent)]
    NotBuilt(#[from] NotBuilt),
    #[error("{0}")]
    NotReady(String),
}

/// Marks an answer that is a page for people.
#[derive(Clone, Copy, Debug)]
enum Page {
    /// No route has this path.
    UnknownPath,
    /// The request is for a name that is not the API's.
    Misdirected,
}

/// Says nothing of the path itself, which anybody may have written into a link.
const UNKNOWN_PATH_PAGE: &str = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">\
    <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
    <meta name=\"color-scheme\" content=\"light dark\"><title>Not found – Tidemap</title>\
    <h1>There is nothing at this address</h1><p><a href=\"{top}\">Show the fleet</a></p>\
    <p>If a reverse proxy serves Tidemap under a prefix, it must remove that prefix before it passes a request \
    on. In nginx: <code>location /tidemap/ { proxy_pass http://127.0.0.1:8080/; }</code>, with the slash at the \
    end.</p></html>";

/// Says nothing of the name either. Behind a proxy it may be its operator who reads this.
const MISDIRECTED_PAGE: &str = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">\
    <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
    <meta name=\"color-scheme\" content=\"light dark\"><title>Unknown name – Tidemap</title>\
    <h1>Tidemap is not known by this name</h1>\
    <p>Start it with <code>--host NAME</code> (<code>TIDEMAP_HOSTS</code>) if it is reached by the name in \
    this address: nobody else's name leads to it. A reverse proxy may also pass requests on with the address \
    of the API as <code>Host</code>.</p></html>";

/// The policy of a page that needs nothing.
const NOTHING_ALLOWED: &str =
    "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// A method that this route does not accept. Another route may have the same path, so any other error takes
/// precedence.
#[derive(Debug, thiserror::Error)]
#[error("this path takes {allow} only")]
pub(crate) struct WrongMethod {
    pub(crate) allow: &'static str,
}

impl From<OverBudget> for ApiError {
    fn from(error: OverBudget) -> Self {
        Self::NotBuilt(error.into())
    }
}

impl Reject for ApiError {}

impl Reject for WrongMethod {}

impl ApiError {
    pub(crate) fn into_response(self) -> Response {
        self.response()
    }

    fn response(&self) -> Response {
        let mut response = detail(self.status(), &self.to_string());
        if let Self::Unauthorized { challenge, .. } = self {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        if let Self::Misdirected(_) = self {
            response.extensions_mut().insert(Page::Misdirected);
        }
        response
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::Query(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Unauthorized { .. } => StatusCode::UNAUTHORIZED,
            Self::Misdirected(_) => StatusCode::MISDIRECTED_REQUEST,
            Self::ForeignOrigin => StatusCode::FORBIDDEN,
            Self::Ingest(_)
            | Self::Stopping(_)
            | Self::NotReady(_)
            | Self::NotBuilt(NotBuilt::OverBudget(_)) => StatusCode::SERVICE_UNAVAILABLE,
            Self::NotBuilt(NotBuilt::Lost) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

impl WrongMethod {
    fn response(&self) -> Response {
        let mut response = detail(StatusCode::METHOD_NOT_ALLOWED, &self.to_string());
        response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(self.allow));
        response
    }
}

/// Answers a request that no route accepted.
pub(crate) async fn answer(rejection: Rejection) -> Result<Response, Infallible> {
    let refused = rejection.find().map(ApiError::response);
    let wrong_method = || rejection.find().map(WrongMethod::response);
    Ok(refused.or_else(wrong_method).unwrap_or_else(|| {
        if !rejection.is_not_found() {
            // No route parses a body or a header through warp, so no other rejection is possible.
            tracing::error!(?rejection, "a request was rejected in an unknown way");
        }
        let mut response = ApiError::NotFound("such path".to_owned()).into_response();
        response.extensions_mut().insert(Page::UnknownPath);
        response
    }))
}

/// The answer to a path or a name that does not exist, for people: a browser that opens an address asks for HTML,
/// other programs do not. `path` begins with `/`.
pub(super) fn for_people(request: &HeaderMap, path: &str, mut answer: Response) -> Response {
    let Some(&page) = answer.extensions().get::<Page>() else { return answer };
    answer.headers_mut().insert(header::VARY, HeaderValue::from_static("accept"));
    let takes_html = |value: &HeaderValue| value.to_str().is_ok_and(|value| value.contains("text/html"));
    if !request.get_all(header::ACCEPT).iter().any(takes_html) {
        return answer;
    }
    // Relative, because the API cannot know under which prefix a proxy serves it.
    let folders = path.matches('/').count().saturating_sub(1);
    let top = if folders == 0 { "./".to_owned() } else { "../".repeat(folders) };
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(NOTHING_ALLOWED));
    *answer.body_mut() = match page {
        Page::UnknownPath => UNKNOWN_PATH_PAGE.replace("{top}", &top).into(),
        Page::Misdirected => MISDIRECTED_PAGE.into(),
    };
    answer
}

pub(super) fn detail(status: StatusCode, detail: &str) -> Response {
    let mut response = Response::new(json::encode(&ErrorJson { detail: detail.to_owned() }).into());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
