//! The description of all this.

use bytes::Bytes;
use warp::{
    Filter, Rejection,
    http::{HeaderMap, HeaderValue, header},
    reply::Response,
};

use crate::http::{Site, bodies::JSON, get, reader};

/// Kept by hand; the tests hold it to the answers.
pub(super) const DESCRIPTION: &str = include_str!("openapi.json");

/// `GET /api/openapi.json`
pub(super) fn read(site: Site) -> impl Filter<Extract = (Response,), Error = Rejection> + Clone {
    warp::path!("api" / "openapi.json").and(get()).and(reader(site)).map(|_: Site, _: HeaderMap| {
        let mut response = Response::new(Bytes::from_static(DESCRIPTION.as_bytes()).into());
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(JSON));
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        response
    })
}
