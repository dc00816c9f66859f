//! The fleet's totals.

use warp::{Filter, Rejection, http::HeaderMap, reply::Response};

use crate::http::{Site, bodies, errors::ApiError, get, query, reader, respond};

/// `GET /api/stats`
pub(super) fn read(site: Site) -> impl Filter<Extract = (Response,), Error = Rejection> + Clone {
    warp::path!("api" / "stats")
        .and(get())
        .and(reader(site))
        .and(query::none())
        .then(|site: Site, headers: HeaderMap| async move { respond(answer(&site, &headers).await) })
}

async fn answer(site: &Site, headers: &HeaderMap) -> Result<Response, ApiError> {
    let stats = site.fleet.stats().await?;
    bodies::shared(headers, stats.version, bodies::JSON, &stats.body).await
}
