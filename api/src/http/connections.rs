//! Connections between nodes. Their latency is not measured, so there are none; pages and scripts of
//! homelab-map, which this system succeeds, ask for them and show nothing at all without an answer.

use warp::{
    Filter, Rejection,
    http::{HeaderMap, HeaderValue, header},
    reply::Response,
};

use crate::http::{Site, bodies::JSON, get, query, reader};

/// `GET /api/connections`
pub(super) fn list(site: Site) -> impl Filter<Extract = (Response,), Error = Rejection> + Clone {
    warp::path!("api" / "connections").and(get()).and(reader(site)).and(query::none()).map(
        |_: Site, _: HeaderMap| {
            let mut response = Response::new("[]".into());
            response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(JSON));
            response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
            response
        },
    )
}
