//! Shared bodies as answers: versions, conditions, compression.

use bytes::Bytes;
use headers::{ETag, HeaderMapExt, IfNoneMatch};
use warp::{
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    reply::Response,
};

use crate::{
    answers::{Encoded, Version},
    http::errors::ApiError,
};

pub(super) const JSON: &str = "application/json";
/// Bodies with the same value show the same state.
const TICK: HeaderName = HeaderName::from_static("x-tidemap-tick");

/// Whether the client takes gzip.
pub(super) fn takes_gzip(headers: &HeaderMap) -> bool {
    let listed = headers.get_all(header::ACCEPT_ENCODING).into_iter().filter_map(|value| value.to_str().ok());
    let mut codings = listed.flat_map(|value| value.split(',')).map(|coding| {
        let (name, parameters) = coding.split_once(';').unwrap_or((coding, ""));
        let quality = parameters.trim().strip_prefix("q=").map_or(Some(1.0), |quality| quality.parse().ok());
        (name.trim().to_ascii_lowercase(), quality.unwrap_or(0.0))
    });
    codings.any(|(name, quality): (String, f32)| name == "gzip" && quality > 0.0)
}

/// A body of one version: 304 if the client has it, compressed if the client accepts that.
pub(super) async fn shared(
    request: &HeaderMap,
    version: Version,
    content_type: &'static str,
    body: &Encoded,
) -> Result<Response, ApiError> {
    let gzip = takes_gzip(request);
    let mut response = match unchanged(request, version) {
        Some(response) => response,
        None if gzip => compressed(body.gzip().await?.clone()),
        None => Response::new(body.plain().clone().into()),
    };
    let headers = response.headers_mut();
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    describe(headers, version, content_type, gzip);
    Ok(response)
}

/// A body made for one request.
pub(super) fn single(
    request: &HeaderMap,
    version: Version,
    content_type: &'static str,
    body: impl FnOnce() -> Bytes,
) -> Response {
    let mut response = unchanged(request, version).unwrap_or_else(|| Response::new(body().into()));
    describe(response.headers_mut(), version, content_type, false);
    response
}

fn compressed(body: Bytes) -> Response {
    let mut response = Response::new(body.into());
    response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    response
}

fn unchanged(request: &HeaderMap, version: Version) -> Option<Response> {
    let known = request.typed_get::<IfNoneMatch>()?;
    // `If-None-Match` compares weakly, so the strong form matches both.
    let tag: ETag = format!("\"{version}\"").parse().ok()?;
    (!known.precondition_passes(&tag)).then(|| {
        let mut response = Response::default();
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        response
    })
}

fn describe(headers: &mut HeaderMap, version: Version, content_type: &'static str, gzip: bool) {
    // Two encodings of one state are equivalent but not byte-equal, so the compressed one has a weak tag.
    let weak = if gzip { "W/" } else { "" };
    if let Ok(tag) = HeaderValue::try_from(format!("{weak}\"{version}\"")) {
        headers.insert(header::ETAG, tag);
    }
    headers.insert(TICK, HeaderValue::from(version.tick));
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_sent_only_to_those_who_take_it() {
        let check = |accepts: &str, takes: bool| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_str(accepts).unwrap());
            assert_eq!(takes_gzip(&headers), takes, "{accepts}");
        };
        check("gzip, deflate, br", true);
        check("br;q=1.0, GZIP;q=0.2", true);
        check("gzip;q=0", false);
        check("identity", false);
        check("xgzip", false);
        assert!(!takes_gzip(&HeaderMap::new()));
    }
}
