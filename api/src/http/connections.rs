//! Connections between nodes, as pages and scripts of homelab-map, which this system succeeds, ask for them.

use warp::reply::Response;

use crate::{
    answers::connections,
    http::{Asked, Site, bodies, errors::ApiError, query},
    json,
};

/// `GET /api/connections`
pub(super) async fn list(asked: &Asked, site: &Site) -> Result<Response, ApiError> {
    query::none(&asked.query)?;
    let nodes = site.fleet.nodes().await?;
    let body = json::encode(&connections(nodes.nodes()));
    bodies::short(&asked.headers, body).await
}
