//! A host joins with an invite. The API passes the request on to the enroller: it holds no keys, and can
//! neither read the invite's secret nor change what is granted.

use tidemap_wire::{JoinReply, JoinRequest};
use tokio::time::Instant;
use warp::{
    http::{HeaderValue, Method, header},
    reply::Response,
};

use crate::{
    http::{Asked, Site, bodies, errors::ApiError, query},
    json,
};

pub(super) const PATH: &str = "/api/enroll";

/// Requests that are passed on per second, as the average of some seconds, whoever sends them. Those of
/// strangers cost the enroller little, so there is room for hosts that join beside them.
pub(super) const PER_SECOND: f64 = 1_000.0;

/// The same for those of one address beyond loopback. A rack behind one address takes turns.
pub(super) const PER_SECOND_OF_ADDRESS: f64 = 10.0;

/// Whether a path is this one, with one slash at the end or none.
pub(super) fn is_asked(path: &str) -> bool {
    path.strip_suffix('/').unwrap_or(path) == PATH
}

/// `POST /api/enroll`
pub(super) async fn join(asked: &Asked, site: &Site) -> Result<Response, ApiError> {
    if asked.method != Method::POST {
        return Err(ApiError::WrongMethod { allow: "POST" });
    }
    if site.names.is_foreign_change(&asked.headers) {
        return Err(ApiError::ForeignOrigin);
    }
    query::none(&asked.query)?;
    let body = asked.body.as_deref();
    let body =
        body.ok_or_else(|| ApiError::Query("the body is longer than 4 KB, or broke off".to_owned()))?;
    let request: JoinRequest =
        serde_json::from_slice(body).map_err(|error| ApiError::Query(format!("the body: {error}")))?;
    site.joins.take(Instant::now()).map_err(ApiError::TooManyJoin)?;
    match site.enroller.join(&request).await? {
        JoinReply::Granted(answer) => {
            let mut response = Response::new(json::encode(&answer).into());
            let headers = response.headers_mut();
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(bodies::JSON));
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
            Ok(response)
        }
        JoinReply::Refused { reason, detail } => Err(ApiError::NotJoined(reason, detail)),
    }
}
