//! The fleet's totals.

use warp::{Filter, Rejection, http::HeaderMap, reply::Response};

use crate::{
    answers::{NotBuilt, grouped},
    http::{Site, bodies, errors::ApiError, get, query, reader, respond},
};

/// `GET /api/stats?by=`
pub(super) fn read(site: Site) -> impl Filter<Extract = (Response,), Error = Rejection> + Clone {
    warp::path!("api" / "stats").and(get()).and(reader(site)).and(query::raw()).then(
        |site: Site, headers: HeaderMap, query: String| async move {
            respond(answer(&site, &headers, &query).await)
        },
    )
}

async fn answer(site: &Site, headers: &HeaderMap, query: &str) -> Result<Response, ApiError> {
    let Some(by) = query::grouping(query)? else {
        let stats = site.fleet.stats().await?;
        return bodies::shared(headers, stats.version, bodies::JSON, &stats.body).await;
    };
    let (nodes, stats) = site.fleet.both().await?;
    let cell = grouped(&nodes, &stats, &by).await?;
    bodies::shared(headers, nodes.version, bodies::JSON, cell.get().ok_or(NotBuilt::Lost)?).await
}
