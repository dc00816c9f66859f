//! Errors as JSON: `{"detail": "…"}`.
//!
//! A route's own failures are [`ApiError`]s. What warp refuses by itself becomes one in [`answer`], so there is one
//! place that chooses status and words.

use std::convert::Infallible;

use tidemap_wire::http::ErrorJson;
use warp::{
    Rejection,
    http::{HeaderValue, StatusCode, header},
    reject::Reject,
    reply::Response,
};

use crate::{answers::Lost, json, owner::OwnerGone, rpc::RpcError};

/// Why a request is not answered as asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApiError {
    #[error("there is no {0}")]
    NotFound(String),
    #[error("this path takes {allow} only")]
    Method { allow: &'static str },
    #[error("{0}")]
    Query(String),
    #[error("{detail}")]
    Unauthorized { detail: &'static str, challenge: &'static str },
    #[error(transparent)]
    Owner(#[from] RpcError),
    #[error(transparent)]
    Stopping(#[from] OwnerGone),
    #[error(transparent)]
    Lost(#[from] Lost),
    #[error("{0}")]
    NotReady(String),
}

impl Reject for ApiError {}

impl ApiError {
    pub(crate) fn into_response(self) -> Response {
        self.response()
    }

    fn response(&self) -> Response {
        let mut response = detail(self.status(), &self.to_string());
        let said = match self {
            Self::Method { allow } => Some((header::ALLOW, *allow)),
            Self::Unauthorized { challenge, .. } => Some((header::WWW_AUTHENTICATE, *challenge)),
            _ => None,
        };
        response.headers_mut().extend(said.map(|(name, value)| (name, HeaderValue::from_static(value))));
        response
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::Method { .. } => StatusCode::METHOD_NOT_ALLOWED,
            Self::Query(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Unauthorized { .. } => StatusCode::UNAUTHORIZED,
            Self::Owner(_) | Self::Stopping(_) | Self::NotReady(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Lost(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

/// Answers what no route took.
pub(crate) async fn answer(rejection: Rejection) -> Result<Response, Infallible> {
    Ok(match rejection.find::<ApiError>() {
        Some(error) => error.response(),
        None if rejection.is_not_found() => ApiError::NotFound("such path".to_owned()).into_response(),
        // No route reads a body or a header by itself, so this is what we do not know of.
        None => {
            tracing::error!(?rejection, "a request was rejected in an unknown way");
            detail(StatusCode::INTERNAL_SERVER_ERROR, "the request could not be answered")
        }
    })
}

fn detail(status: StatusCode, detail: &str) -> Response {
    let mut response = Response::new(json::encode(&ErrorJson { detail: detail.to_owned() }).into());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
