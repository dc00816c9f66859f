//! Shared bodies as answers: versions, conditions, compression.

use bytes::Bytes;
use headers::{ETag, HeaderMapExt, IfNoneMatch};
use sha2::{Digest, Sha256};
use tidemap_service::exposition::ExpositionFormat;
use warp::{
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    reply::Response,
};

use crate::{
    answers::{Encoded, Version},
    http::errors::ApiError,
};

pub(super) const JSON: &str = "application/json";
pub(super) const CSV: &str = "text/csv; charset=utf-8; header=present";
/// Bodies with the same value show the same state.
const TICK: HeaderName = HeaderName::from_static("x-tidemap-tick");

/// Bytes of the digest that is a body's tag.
const TAG_BYTES: usize = 12;

/// Whether the client takes gzip.
pub(super) fn takes_gzip(headers: &HeaderMap) -> bool {
    listed(headers, header::ACCEPT_ENCODING).any(|(name, quality)| name == "gzip" && quality > 0.0)
}

/// Whether the client would rather have CSV than JSON: it must name CSV, because `*/*` is what programs say
/// that do not care.
pub(super) fn prefers_csv(headers: &HeaderMap) -> bool {
    let quality = |name: &str| {
        listed(headers, header::ACCEPT)
            .filter(|(listed, _)| listed == name)
            .map(|(_, quality)| quality)
            .next()
    };
    let csv = quality("text/csv").unwrap_or(0.0);
    let json = quality(JSON);
    csv > 0.0 && json.is_none_or(|json| csv > json)
}

/// What a header lists, in lower case, and how much each is wanted, 0 to 1.
fn listed(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = (String, f32)> {
    let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(|item| {
        let mut parts = item.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default().to_ascii_lowercase();
        let quality = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
        (name, quality.map_or(1.0, |quality| quality.parse().unwrap_or(0.0)))
    })
}

/// A body of one version: 304 if the client has it, compressed if the client accepts that.
pub(super) async fn shared(
    request: &HeaderMap,
    version: Version,
    content_type: &'static str,
    body: &Encoded,
) -> Result<Response, ApiError> {
    let mut response = encoded(request, &version.to_string(), content_type, body).await?;
    response.headers_mut().insert(TICK, HeaderValue::from(version.tick));
    Ok(response)
}

/// The same for `/metrics`, whose format the client chooses.
pub(super) async fn metrics(
    request: &HeaderMap,
    version: Version,
    format: ExpositionFormat,
    body: &Encoded,
) -> Result<Response, ApiError> {
    let tag = match format {
        ExpositionFormat::Text => version.to_string(),
        ExpositionFormat::OpenMetrics => format!("{version}-openmetrics"),
    };
    let mut response = encoded(request, &tag, format.content_type(), body).await?;
    let headers = response.headers_mut();
    headers.insert(TICK, HeaderValue::from(version.tick));
    headers.insert(header::VARY, HeaderValue::from_static("accept, accept-encoding"));
    Ok(response)
}

/// The same for a body that is of no tick; equal bodies have equal tags.
pub(super) async fn encoded(
    request: &HeaderMap,
    tag: &str,
    content_type: &'static str,
    body: &Encoded,
) -> Result<Response, ApiError> {
    let gzip = takes_gzip(request);
    let mut response = match unchanged(request, tag) {
        Some(response) => response,
        None if gzip => compressed(body.gzip().await?.clone()),
        None => Response::new(body.plain().clone().into()),
    };
    let headers = response.headers_mut();
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    describe(headers, tag, content_type, gzip);
    Ok(response)
}

/// Short JSON that is of no tick.
pub(super) async fn short(request: &HeaderMap, body: Vec<u8>) -> Result<Response, ApiError> {
    encoded(request, &tag(&body), JSON, &Encoded::short(body.into())).await
}

/// What equal bodies have in common, and others have not.
pub(super) fn tag(body: &[u8]) -> String {
    Sha256::digest(body)[..TAG_BYTES].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A body made for one request.
pub(super) fn single(
    request: &HeaderMap,
    version: Version,
    content_type: &'static str,
    body: impl FnOnce() -> Bytes,
) -> Response {
    let tag = version.to_string();
    let mut response = unchanged(request, &tag).unwrap_or_else(|| Response::new(body().into()));
    let headers = response.headers_mut();
    describe(headers, &tag, content_type, false);
    headers.insert(TICK, HeaderValue::from(version.tick));
    response
}

fn compressed(body: Bytes) -> Response {
    let mut response = Response::new(body.into());
    response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    response
}

fn unchanged(request: &HeaderMap, tag: &str) -> Option<Response> {
    let known = request.typed_get::<IfNoneMatch>()?;
    // `If-None-Match` compares weakly, so the strong form matches both.
    let tag: ETag = format!("\"{tag}\"").parse().ok()?;
    (!known.precondition_passes(&tag)).then(|| {
        let mut response = Response::default();
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        response
    })
}

fn describe(headers: &mut HeaderMap, tag: &str, content_type: &'static str, gzip: bool) {
    // Two encodings of one state are equivalent but not byte-equal, so the compressed one has a weak tag.
    let weak = if gzip { "W/" } else { "" };
    if let Ok(tag) = HeaderValue::try_from(format!("{weak}\"{tag}\"")) {
        headers.insert(header::ETAG, tag);
    }
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

    #[test]
    fn csv_is_for_those_who_name_it() {
        let check = |accepts: &str, prefers: bool| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, HeaderValue::from_str(accepts).unwrap());
            assert_eq!(prefers_csv(&headers), prefers, "{accepts}");
        };
        check("text/csv", true);
        check("TEXT/CSV; charset=utf-8; q=0.5", true);
        check("text/csv, */*;q=0.8", true);
        check("application/json;q=0.5, text/csv", true);
        check("text/csv, application/json", false);
        check("text/csv;q=0", false);
        check("text/csv;q=x", false);
        check("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", false);
        check("text/*", false);
        assert!(!prefers_csv(&HeaderMap::new()));
    }
}
