//! Errors as JSON: `{"detail": "…"}`. Status and text are chosen in one place.

use std::time::Duration;

use tidemap_billing::CountError;
use tidemap_client::{EnrollError, HistoryRequestError, RequestError};
use tidemap_wire::{JoinRefusal, history_query::HistoryError, http::ErrorJson};
use warp::{
    http::{HeaderMap, HeaderValue, StatusCode, header},
    reply::Response,
};

use crate::{answers::NotBuilt, fleet_task::Stopping, json, memory_budget::OverBudget};

/// Why a request is not answered as asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApiError {
    #[error("there is no {0}")]
    NotFound(String),
    #[error("there is no such path")]
    UnknownPath,
    #[error(
        "there is no such path: a reverse proxy that serves Tidemap under a prefix must remove the prefix before it passes a \
         request on"
    )]
    Prefixed,
    /// With all methods of the path.
    #[error("this path takes {allow} only")]
    WrongMethod { allow: &'static str },
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
    History(#[from] HistoryRequestError),
    #[error("too many requests for the history are being answered")]
    TooManyQuestions,
    #[error("too many hosts join at the same time")]
    TooManyJoin(Duration),
    #[error("{1}")]
    NotJoined(JoinRefusal, String),
    #[error(transparent)]
    Enroller(#[from] EnrollError),
    #[error(transparent)]
    Stopping(#[from] Stopping),
    #[error(transparent)]
    NotBuilt(#[from] NotBuilt),
    #[error("{0}")]
    NotReady(String),
}

/// Marks an answer that is a page for people.
#[derive(Clone, Copy, Debug)]
enum ForPeople {
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
    end; in Caddy: <code>handle_path /tidemap/*</code>; in Traefik: the middleware <code>stripPrefix</code>.</p>\
    </html>";

/// Says nothing of the name either. Behind a proxy it may be its operator who reads this.
const MISDIRECTED_PAGE: &str = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">\
    <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
    <meta name=\"color-scheme\" content=\"light dark\"><title>Unknown name – Tidemap</title>\
    <h1>Tidemap is not known by this name</h1>\
    <p>Start it with <code>--host NAME</code> (<code>TIDEMAP_HOSTS</code>) if it is reached by the name in \
    this address: nobody else's name leads to it. A reverse proxy may also pass requests on with the address \
    of the API as <code>Host</code>.</p></html>";

/// When a client may ask again for what is not available: most of it is there again within a second.
const RETRY_AFTER_S: &str = "1";

/// The policy of a page that needs nothing.
const NOTHING_ALLOWED: &str =
    "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

impl From<OverBudget> for ApiError {
    fn from(error: OverBudget) -> Self {
        Self::NotBuilt(error.into())
    }
}

impl From<CountError> for ApiError {
    fn from(error: CountError) -> Self {
        match error {
            CountError::History(error) => error.into(),
            CountError::TooMuch => Self::Query(error.to_string()),
        }
    }
}

impl ApiError {
    pub(crate) fn into_response(self) -> Response {
        let status = self.status();
        let mut response = detail(status, &self.to_string());
        let mut set = |name, value| response.headers_mut().insert(name, HeaderValue::from_static(value));
        match self {
            Self::Unauthorized { challenge, .. } => drop(set(header::WWW_AUTHENTICATE, challenge)),
            Self::WrongMethod { allow } => drop(set(header::ALLOW, allow)),
            Self::UnknownPath | Self::Prefixed => {
                response.extensions_mut().insert(ForPeople::UnknownPath);
            }
            Self::Misdirected(_) => drop(response.extensions_mut().insert(ForPeople::Misdirected)),
            Self::TooManyJoin(wait) => {
                response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(wait.as_secs() + 1));
            }
            _ if status == StatusCode::SERVICE_UNAVAILABLE => drop(set(header::RETRY_AFTER, RETRY_AFTER_S)),
            _ => {}
        }
        response
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::NotFound(_) | Self::UnknownPath | Self::Prefixed => StatusCode::NOT_FOUND,
            Self::WrongMethod { .. } => StatusCode::METHOD_NOT_ALLOWED,
            Self::Query(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Unauthorized { .. } => StatusCode::UNAUTHORIZED,
            Self::Misdirected(_) => StatusCode::MISDIRECTED_REQUEST,
            Self::ForeignOrigin => StatusCode::FORBIDDEN,
            Self::History(HistoryRequestError::Refused(error)) => refusal(*error),
            Self::TooManyJoin(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::NotJoined(reason, _) => not_joined(*reason),
            Self::Ingest(_)
            | Self::Enroller(_)
            | Self::History(_)
            | Self::TooManyQuestions
            | Self::Stopping(_)
            | Self::NotReady(_)
            | Self::NotBuilt(NotBuilt::OverBudget(_)) => StatusCode::SERVICE_UNAVAILABLE,
            Self::NotBuilt(NotBuilt::Lost) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

/// An unknown invite is no matter of another header: there is none that a client could add.
fn not_joined(reason: JoinRefusal) -> StatusCode {
    match reason {
        JoinRefusal::Unknown => StatusCode::FORBIDDEN,
        JoinRefusal::Over => StatusCode::GONE,
        JoinRefusal::Taken => StatusCode::CONFLICT,
        JoinRefusal::Unfit => StatusCode::UNPROCESSABLE_ENTITY,
        JoinRefusal::Failed => StatusCode::SERVICE_UNAVAILABLE,
    }
}

/// A station of another version may refuse what was found right here.
fn refusal(error: HistoryError) -> StatusCode {
    match error {
        HistoryError::UnknownSeries => StatusCode::NOT_FOUND,
        HistoryError::NoRange
        | HistoryError::NoSuchStep
        | HistoryError::TooManySteps
        | HistoryError::TooManyNodes => StatusCode::UNPROCESSABLE_ENTITY,
        HistoryError::Unreadable | HistoryError::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
    }
}

/// The answer to a path or a name that does not exist, for people: a browser that opens an address asks for
/// HTML, other programs do not. `path` begins with `/`.
pub(super) fn for_people(request: &HeaderMap, path: &str, mut answer: Response) -> Response {
    let Some(&page) = answer.extensions().get::<ForPeople>() else { return answer };
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
        ForPeople::UnknownPath => UNKNOWN_PATH_PAGE.replace("{top}", &top).into(),
        ForPeople::Misdirected => MISDIRECTED_PAGE.into(),
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
