//! The fleet's totals.

use warp::reply::Response;

use crate::{
    answers::{NotBuilt, grouped},
    http::{Asked, Site, bodies, errors::ApiError, query},
    json,
};

/// `GET /api/stats?by=`
pub(super) async fn read(asked: &Asked, site: &Site) -> Result<Response, ApiError> {
    let headers = &asked.headers;
    let Some(by) = query::grouping(&asked.query)? else {
        let stats = site.fleet.stats().await?;
        return bodies::shared(headers, stats.version, bodies::JSON, &stats.body).await;
    };
    let (nodes, stats) = site.fleet.both().await?;
    let cell = grouped(&nodes, &stats, &by).await?;
    bodies::shared(headers, nodes.version, bodies::JSON, cell.get().ok_or(NotBuilt::Lost)?).await
}

/// `GET /api/stats/recent`
pub(super) async fn recent(asked: &Asked, site: &Site) -> Result<Response, ApiError> {
    query::none(&asked.query)?;
    bodies::short(&asked.headers, json::encode(&site.fleet.recent().await?)).await
}
