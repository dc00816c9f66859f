//! The page: files that the build put into this binary.

use bytes::Bytes;
use warp::{
    Filter, Rejection,
    filters::path::FullPath,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    reply::Response,
};

use crate::http::{Site, bodies::takes_gzip, errors::ApiError, get, reader, respond};

/// One file of the page.
#[derive(Debug)]
struct PageFile {
    name: &'static str,
    plain: &'static [u8],
    /// The same, compressed, when that is worth it.
    gzip: Option<&'static [u8]>,
}

static FILES: &[PageFile] = include!(concat!(env!("OUT_DIR"), "/page_files.rs"));

/// What `/` shows when this binary was built without the page.
const NO_PAGE: &str = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Tidemap</title>\
    <h1>The page was not built</h1>\
    <p>This binary serves the API only. Build the page with <code>cargo xtask web</code>, then build this binary again.</p>\
    <p>The API is there: <a href=\"/api/nodes\">/api/nodes</a>, <a href=\"/api/stats\">/api/stats</a>, \
    <a href=\"/api/openapi.json\">/api/openapi.json</a>.</p></html>";

/// The page runs its own script and WebAssembly, speaks to its own origin, and nothing else.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; \
    style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; \
    frame-ancestors 'none'";

/// `GET /` and the files that it names
pub(super) fn file(site: Site) -> impl Filter<Extract = (Response,), Error = Rejection> + Clone {
    warp::path::full()
        .and_then(
            |path: FullPath| async move { find(FILES, path.as_str()).ok_or_else(warp::reject::not_found) },
        )
        .and(get())
        .and(reader(site))
        .then(|file: Option<&'static PageFile>, _: Site, headers: HeaderMap| async move {
            respond(Ok::<_, ApiError>(file.map_or_else(no_page, |file| answer(file, &headers))))
        })
}

/// The file at a path; `Some(None)` is the place where the page would be.
fn find(files: &'static [PageFile], path: &str) -> Option<Option<&'static PageFile>> {
    let name = match path.strip_prefix('/')? {
        "" => "index.html",
        name => name,
    };
    match files.iter().find(|file| file.name == name) {
        Some(file) => Some(Some(file)),
        None => (path == "/").then_some(None),
    }
}

fn answer(file: &'static PageFile, request: &HeaderMap) -> Response {
    let gzip = file.gzip.filter(|_| takes_gzip(request));
    let mut response = page_response(Bytes::from_static(gzip.unwrap_or(file.plain)), media_type(file.name));
    let headers = response.headers_mut();
    if gzip.is_some() {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    let caching = if is_hashed(file.name) { "public, max-age=31536000, immutable" } else { "no-cache" };
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(caching));
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    response
}

fn no_page() -> Response {
    let mut response = page_response(Bytes::from_static(NO_PAGE.as_bytes()), media_type("index.html"));
    *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn page_response(body: Bytes, media_type: &'static str) -> Response {
    let mut response = Response::new(body.into());
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_TYPE, media_type),
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_FRAME_OPTIONS, "DENY"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Whether the name holds a hash of the content, `name.<hex>.ext`: then it never means another content.
fn is_hashed(name: &str) -> bool {
    let mut parts = name.rsplit('.').skip(1);
    let hash = parts.next().unwrap_or_default();
    parts.next().is_some() && hash.len() >= 8 && hash.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn media_type(name: &str) -> &'static str {
    match name.rsplit('.').next().unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "wasm" => "application/wasm",
        "json" => "application/json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "webmanifest" => "application/manifest+json",
        "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static PAGE: &[PageFile] = &[
        PageFile { name: "app.0123abcd.wasm", plain: b"wasm", gzip: Some(b"gz") },
        PageFile { name: "index.html", plain: b"<p>", gzip: None },
    ];

    fn headers(path: &str, accepts: &'static str) -> HeaderMap {
        let mut request = HeaderMap::new();
        request.insert(header::ACCEPT_ENCODING, HeaderValue::from_static(accepts));
        answer(find(PAGE, path).unwrap().unwrap(), &request).headers().clone()
    }

    #[test]
    fn a_hashed_file_may_be_kept_for_ever_and_the_entry_may_not() {
        let wasm = headers("/app.0123abcd.wasm", "gzip");
        assert_eq!(wasm[header::CACHE_CONTROL], "public, max-age=31536000, immutable");
        assert_eq!(wasm[header::CONTENT_TYPE], "application/wasm");
        assert_eq!(wasm[header::CONTENT_ENCODING], "gzip");
        assert!(!headers("/app.0123abcd.wasm", "br").contains_key(header::CONTENT_ENCODING));
        let index = headers("/", "gzip");
        assert_eq!(index[header::CACHE_CONTROL], "no-cache");
        assert!(index[header::CONTENT_SECURITY_POLICY].to_str().unwrap().starts_with("default-src 'none'"));
        assert!(!is_hashed("index.html") && !is_hashed("deadbeef.js") && !is_hashed("map.50m-data.bin"));
    }

    #[test]
    fn a_path_names_a_file_of_the_page_and_nothing_else() {
        assert!(find(PAGE, "/index.html").unwrap().is_some());
        assert!(find(&[], "/").unwrap().is_none());
        for path in ["/nope", "/../index.html", "//", "/index.html/", "/app.0123abcd.wasm.gz"] {
            assert!(find(PAGE, path).is_none(), "{path}");
        }
    }
}
