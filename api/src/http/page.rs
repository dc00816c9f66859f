//! The page: files that the build has embedded in this binary.

use bytes::Bytes;
use warp::{
    http::{HeaderMap, HeaderValue, StatusCode, header},
    reply::Response,
};

use crate::{
    http::{Asked, Site, bodies::takes_gzip, errors::ApiError},
    tiles::Tiles,
};

/// One file of the page.
#[derive(Debug)]
struct PageFile {
    name: &'static str,
    plain: &'static [u8],
    /// The same as gzip, if that is shorter.
    gzip: Option<&'static [u8]>,
}

static FILES: &[PageFile] = include!(concat!(env!("OUT_DIR"), "/page_files.rs"));

/// What `/` shows when this binary was built without the page.
const NO_PAGE: &str = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Tidemap</title>\
    <h1>The page was not built</h1>\
    <p>This binary serves the API only. Build the page with <code>cargo xtask web</code>, then build this binary again.</p>\
    <p>The API is there: <a href=\"api/nodes\">api/nodes</a>, <a href=\"api/stats\">api/stats</a>, \
    <a href=\"api/openapi.json\">api/openapi.json</a>.</p></html>";

/// The page may run its own scripts and WebAssembly, and connect to its own origin; everything else is
/// forbidden. The hash is that of the one script within `index.html`.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval' \
    'sha256-iCLLeFdgw3XvWhFweLI8uNIskYBjQbgH5J+Ezy+7MaQ='; \
    style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; \
    frame-ancestors 'none'";

/// The parts of the page that depend on the configuration.
#[derive(Debug)]
pub(super) struct Page {
    policy: HeaderValue,
    /// `index.html` with the tiles' address in it; `None` without tiles.
    index: Option<Bytes>,
}

impl Page {
    pub(super) fn new(tiles: Option<&Tiles>) -> Self {
        Self::of(FILES, tiles)
    }

    fn of(files: &[PageFile], tiles: Option<&Tiles>) -> Self {
        let index = files.iter().find(|file| file.name == "index.html");
        Self {
            policy: policy(tiles.and_then(Tiles::origin)),
            index: tiles.zip(index).map(|(tiles, index)| with_tiles(tiles, index.plain)),
        }
    }
}

/// The policy, with one more origin for images.
fn policy(tiles: Option<&str>) -> HeaderValue {
    let plain = HeaderValue::from_static(CONTENT_SECURITY_POLICY);
    let Some(origin) = tiles else { return plain };
    let wider = CONTENT_SECURITY_POLICY.replace("img-src ", &format!("img-src {origin} "));
    // An origin is printable ASCII, so it is a valid header value. If it were not, the tiles would be
    // blocked.
    HeaderValue::from_str(&wider).unwrap_or(plain)
}

/// `index.html` with the tiles' address in its head.
fn with_tiles(tiles: &Tiles, index: &'static [u8]) -> Bytes {
    const HEAD_END: &[u8] = b"</head>";
    let end = index.windows(HEAD_END.len()).position(|part| part == HEAD_END).unwrap_or(0);
    [&index[..end], tiles.meta().as_bytes(), &index[end..]].concat().into()
}

/// `GET /` and the page's files
pub(super) fn file(asked: &Asked, site: &Site) -> Result<Response, ApiError> {
    let path = asked.path.as_str();
    let part = find(FILES, path).ok_or_else(|| unknown(path))?;
    let headers = &asked.reader(site)?.headers;
    Ok(match part {
        PagePart::File(file) => answer(&site.page, file, headers),
        PagePart::NoPage => no_page(&site.page),
    })
}

/// Paths that begin with `/api` were meant for a route. Any other is probably that of a proxy, which passes
/// it on as it is. To serve below any prefix would open paths that a proxy's rules do not know.
fn unknown(path: &str) -> ApiError {
    let is_of_api = path == "/api" || path.starts_with("/api/");
    if is_of_api { ApiError::UnknownPath } else { ApiError::Prefixed }
}

/// The result of looking up a path.
#[derive(Debug)]
enum PagePart {
    File(&'static PageFile),
    /// The page was not built into this binary.
    NoPage,
}

fn find(files: &'static [PageFile], path: &str) -> Option<PagePart> {
    let name = match path.strip_prefix('/')? {
        "" => "index.html",
        name => name,
    };
    match files.iter().find(|file| file.name == name) {
        Some(file) => Some(PagePart::File(file)),
        None if path == "/" => Some(PagePart::NoPage),
        None => None,
    }
}

fn answer(page: &Page, file: &'static PageFile, request: &HeaderMap) -> Response {
    let own = page.index.as_ref().filter(|_| file.name == "index.html");
    let gzip = file.gzip.filter(|_| own.is_none() && takes_gzip(request));
    let body = own.cloned().unwrap_or(Bytes::from_static(gzip.unwrap_or(file.plain)));
    let mut response = page_response(page, body, media_type(file.name));
    let headers = response.headers_mut();
    if gzip.is_some() {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    let caching = if is_hashed(file.name) { "public, max-age=31536000, immutable" } else { "no-cache" };
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(caching));
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    response
}

fn no_page(page: &Page) -> Response {
    let mut response = page_response(page, Bytes::from_static(NO_PAGE.as_bytes()), media_type("index.html"));
    *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn page_response(page: &Page, body: Bytes, media_type: &'static str) -> Response {
    let mut response = Response::new(body.into());
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_TYPE, media_type),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_FRAME_OPTIONS, "DENY"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.insert(header::CONTENT_SECURITY_POLICY, page.policy.clone());
    response
}

/// Whether the name contains a hash of the content, `name.<hex>.ext`, so that the content under this name
/// never changes.
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
    use sha2::{Digest, Sha256};

    use super::*;

    static PAGE: &[PageFile] = &[
        PageFile { name: "app.0123abcd.wasm", plain: b"wasm", gzip: Some(b"gz") },
        PageFile { name: "index.html", plain: b"<head></head><p>", gzip: Some(b"gz") },
    ];

    fn file(path: &str) -> &'static PageFile {
        match find(PAGE, path) {
            Some(PagePart::File(file)) => file,
            other => panic!("{path}: {other:?}"),
        }
    }

    fn headers(path: &str, accepts: &'static str) -> HeaderMap {
        let mut request = HeaderMap::new();
        request.insert(header::ACCEPT_ENCODING, HeaderValue::from_static(accepts));
        answer(&Page::of(PAGE, None), file(path), &request).headers().clone()
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
    fn the_script_within_the_entry_is_the_one_that_the_policy_admits() {
        let entry = include_str!("../../../webui/index.html");
        let (_, script) = entry.split_once("<script>").unwrap();
        let (script, rest) = script.split_once("</script>").unwrap();
        let hash = data_encoding::BASE64.encode(&Sha256::digest(script));
        assert!(CONTENT_SECURITY_POLICY.contains(&format!("'sha256-{hash}'")), "{hash}");
        assert!(!rest.contains("<script>"), "it is the only one");
    }

    #[test]
    fn every_address_in_the_entry_is_relative() {
        for text in
            [include_str!("../../../webui/index.html"), include_str!("../../../webui/boot.js"), NO_PAGE]
        {
            for absolute in ["\"/", "='/"] {
                // A lone slash is none, and neither is the end of an element.
                let is_none = |rest: &str| rest.starts_with("\"/\"") || rest.starts_with("\"/>");
                let mut found = text.match_indices(absolute).map(|(at, _)| &text[at..]);
                assert_eq!(found.find(|rest| !is_none(rest)), None);
            }
        }
    }

    fn img_src(page: &Page) -> String {
        let policy = page.policy.to_str().unwrap();
        policy.split("; ").find(|rule| rule.starts_with("img-src")).unwrap().to_owned()
    }

    #[test]
    fn pictures_come_from_the_tiles_origin_and_only_when_the_operator_says_so() {
        let page = |url: &str| Page::of(PAGE, Some(&Tiles { url: url.parse().unwrap(), attribution: None }));
        assert_eq!(img_src(&Page::of(PAGE, None)), "img-src 'self' data:");
        assert_eq!(img_src(&page("/tiles/{z}/{x}/{y}")), "img-src 'self' data:");
        let elsewhere = page("https://tiles.example:8443/{z}/{x}/{y}.png?a=1");
        assert_eq!(img_src(&elsewhere), "img-src https://tiles.example:8443 'self' data:");
        // Apart from that rule the policy is the same.
        let policy = elsewhere.policy.to_str().unwrap().replace("https://tiles.example:8443 ", "");
        assert_eq!(policy, CONTENT_SECURITY_POLICY);
    }

    #[test]
    fn the_entry_names_the_tiles_when_there_are_any() {
        let tiles =
            Tiles { url: "/{z}/{x}/{y}".parse().unwrap(), attribution: Some("<us>".parse().unwrap()) };
        let mut request = HeaderMap::new();
        request.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
        let entry = file("/");
        let page = Page::of(PAGE, Some(&tiles));
        assert_eq!(page.index.as_deref(), Some(["<head>", &tiles.meta(), "</head><p>"].concat().as_bytes()),);
        let encoding =
            |page: &Page| answer(page, entry, &request).headers().contains_key(header::CONTENT_ENCODING);
        assert!(encoding(&Page::of(PAGE, None)) && !encoding(&page));
    }

    #[test]
    fn a_path_names_a_file_of_the_page_and_nothing_else() {
        assert_eq!(file("/index.html").name, "index.html");
        assert!(matches!(find(&[], "/"), Some(PagePart::NoPage)));
        for path in ["/nope", "/../index.html", "//", "/index.html/", "/app.0123abcd.wasm.gz"] {
            assert!(find(PAGE, path).is_none(), "{path}");
        }
    }
}
