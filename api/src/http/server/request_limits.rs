//! Requests that are refused before they reach a route: too large, or too many.

use std::{sync::Arc, time::Duration};

use tidemap_wire::http::ErrorJson;
use tokio::time::Instant;
use warp::{
    http::{HeaderValue, Request, StatusCode, header},
    reply::Response,
};

use crate::{
    http::{enroll, errors, sent, server::client_limits::Client},
    json,
};

/// The longest request line and headers together.
const HEAD_BYTES: usize = 16 * 1024;
/// The longest body. Only silences have one; others would be read only to be discarded.
const BODY_BYTES: u64 = sent::MAX_BYTES as u64;
/// The answer to a connection that is one too many for its client.
const TOO_MANY_CONNECTIONS: &str = "this address has the maximum number of connections";

/// The answer to a request that is refused here.
pub(super) fn refusal<B>(request: &Request<B>, quota: Option<&Arc<Client>>) -> Option<Response> {
    if let Some(quota) = quota
        && let Err(wait) = quota.take(enroll::is_asked(request.uri().path()), Instant::now())
    {
        return Some(too_many_requests(wait));
    }
    if head_bytes(request) > HEAD_BYTES {
        let detail = "the request's line and headers are longer than 16 KB";
        return Some(closing(errors::detail(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, detail)));
    }
    if announced_bytes(request) > BODY_BYTES {
        let is_unknown = request.headers().contains_key(header::TRANSFER_ENCODING);
        let detail = if is_unknown {
            "the body's length must be given (Content-Length)"
        } else {
            "the body is longer than 4 KB"
        };
        return Some(closing(errors::detail(StatusCode::PAYLOAD_TOO_LARGE, detail)));
    }
    None
}

/// The response to a client that has too many connections, whatever its request.
pub(super) fn too_many_connections() -> Vec<u8> {
    let body = json::encode(&ErrorJson { detail: TOO_MANY_CONNECTIONS.to_owned() });
    let head = format!(
        "HTTP/1.1 429 Too Many Requests\r\ncontent-type: application/json\r\nretry-after: 5\r\nconnection: \
         close\r\ncache-control: no-store\r\nx-content-type-options: nosniff\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), &body].concat()
}

fn too_many_requests(wait: Duration) -> Response {
    let mut response = errors::detail(StatusCode::TOO_MANY_REQUESTS, "this address sends too many requests");
    let seconds = wait.as_secs() + 1;
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    response
}

/// Closes the connection, because what follows such a request may not be another request.
fn closing(mut response: Response) -> Response {
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

fn head_bytes<B>(request: &Request<B>) -> usize {
    let uri = request.uri();
    let line = uri.path().len() + uri.query().map_or(0, str::len);
    // Each header also has a colon, a space and a line break.
    request.headers().iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum::<usize>() + line
}

/// The length of the body that the client announces; unknown lengths count as endless.
fn announced_bytes<B>(request: &Request<B>) -> u64 {
    let headers = request.headers();
    if headers.contains_key(header::TRANSFER_ENCODING) {
        return u64::MAX;
    }
    let length = headers.get(header::CONTENT_LENGTH);
    length.map_or(0, |length| length.to_str().ok().and_then(|text| text.parse().ok()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use serde_json::Value;
    use warp::Filter;

    use super::*;
    use crate::http::{openapi::DESCRIPTION, with_common_headers};

    fn status(request: warp::http::request::Builder) -> Option<StatusCode> {
        refusal(&request.body(()).unwrap(), None).map(|response| response.status())
    }

    #[test]
    fn long_heads_and_bodies_are_refused() {
        let long = "x".repeat(HEAD_BYTES);
        let get = || Request::builder().uri("/api/nodes");
        assert_eq!(status(get().header("content-length", "4096")), None);
        assert_eq!(status(get().header("cookie", &long[..15_000])), None);
        assert_eq!(status(get().header("cookie", &long)), Some(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE));
        let path = format!("/{long}");
        let request = Request::builder().uri(path);
        assert_eq!(status(request), Some(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE));
        assert_eq!(status(get().header("content-length", "4097")), Some(StatusCode::PAYLOAD_TOO_LARGE));
        assert_eq!(status(get().header("transfer-encoding", "chunked")), Some(StatusCode::PAYLOAD_TOO_LARGE));
    }
    /// The OpenAPI responses with this status, for every call.
    fn described(status: u16) -> Vec<Value> {
        let description: Value = serde_json::from_str(&DESCRIPTION).unwrap();
        let paths = description["paths"].as_object().unwrap().values();
        let calls = paths.flat_map(|path| ["get", "put", "delete"].map(|method| &path[method]));
        let answers: Vec<Value> = calls
            .filter(|call| call.is_object())
            .map(|call| {
                let name = call["responses"][status.to_string()]["$ref"].as_str();
                let name = name.unwrap_or_else(|| panic!("{}: no {status}", call["operationId"]));
                description.pointer(name.trim_start_matches('#')).unwrap().clone()
            })
            .collect();
        assert!(answers.len() > 7, "every path has a call");
        answers
    }

    fn is_described(status: u16, headers: &[String], body: &[u8]) {
        let error: ErrorJson = serde_json::from_slice(body).unwrap();
        assert!(!error.detail.is_empty());
        for answer in described(status) {
            let schema = &answer["content"]["application/json"]["schema"]["$ref"];
            assert_eq!(schema, "#/components/schemas/Error", "{status}");
            let named = answer["headers"].as_object().into_iter().flat_map(|named| named.keys());
            let named: Vec<String> = named.map(|name| name.to_lowercase()).collect();
            assert!(named.iter().all(|name| headers.contains(name)), "{status}: {named:?} of {headers:?}");
            let waits = headers.iter().any(|name| name == "retry-after");
            assert_eq!(named == ["retry-after"], waits, "{status}");
        }
    }

    #[tokio::test]
    async fn every_refusal_is_described_for_every_call() {
        let get = || Request::builder().uri("/api/nodes");
        let body = get().header("content-length", "4097").body(()).unwrap();
        let head = get().header("cookie", "x".repeat(HEAD_BYTES)).body(()).unwrap();
        for expected in [413, 429, 431] {
            let (body, head) = (body.clone(), head.clone());
            let answer = warp::any().and_then(move || {
                let refusal = match expected {
                    413 => refusal(&body, None).unwrap(),
                    431 => refusal(&head, None).unwrap(),
                    _ => too_many_requests(Duration::from_millis(100)),
                };
                async move { Ok::<_, Infallible>(with_common_headers(refusal)) }
            });
            let answer = warp::test::request().reply(&answer).await;
            assert_eq!(answer.status(), expected);
            let headers: Vec<String> = answer.headers().keys().map(|name| name.as_str().to_owned()).collect();
            is_described(expected, &headers, answer.body());
        }
    }

    #[test]
    fn a_connection_too_many_is_answered_the_same_way() {
        let answer = String::from_utf8(too_many_connections()).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 429 "), "{head}");
        let headers: Vec<String> =
            head.lines().skip(1).map(|line| line.split(':').next().unwrap().to_owned()).collect();
        assert!(head.ends_with(&format!("content-length: {}", body.len())), "{head}");
        is_described(429, &headers, body.as_bytes());
    }
}
