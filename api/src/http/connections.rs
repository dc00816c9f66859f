//! Connections between nodes, as pages and scripts of homelab-map, which this system succeeds, ask for them.

use tidemap_wire::NodeId;
use warp::reply::Response;

use crate::{
    answers::{connections, connections_of},
    http::{Asked, Site, bodies, errors::ApiError, query},
    json,
};

/// `GET /api/connections?node=`
pub(super) async fn list(asked: &Asked, site: &Site) -> Result<Response, ApiError> {
    let ids = node(&asked.query)?;
    let nodes = site.fleet.nodes().await?;
    let nodes = nodes.nodes();
    let body = json::encode(&ids.map_or_else(|| connections(nodes), |ids| connections_of(nodes, &ids)));
    bodies::short(&asked.headers, body).await
}

/// The ids that the node may have whose connections are asked for.
fn node(query: &str) -> Result<Option<Vec<NodeId>>, ApiError> {
    let mut ids = None;
    query::each_once(query, |name, value| {
        if name != "node" {
            return Err("no such parameter; there is node".to_owned());
        }
        ids = Some(NodeId::possible(value));
        Ok(())
    })?;
    Ok(ids)
}
