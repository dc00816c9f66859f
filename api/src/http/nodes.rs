//! The nodes, and one of them.

use std::time::Duration;

use percent_encoding::percent_decode_str;
use tidemap_wire::{NodeId, Partition};
use tokio::time::Instant;
use warp::{
    http::{HeaderName, HeaderValue, StatusCode},
    reply::Response,
};

use crate::{
    fleet_task::Found,
    http::{
        Asked, Site, access, bodies,
        errors::ApiError,
        query::{self, NodeQuery},
    },
    json,
};

/// The methods of `/api/nodes/{name}`.
pub(super) const ONE_ALLOWS: &str = "GET, HEAD, DELETE";
/// How many nodes a query selects, whatever `limit` and `offset` leave out.
const TOTAL: HeaderName = HeaderName::from_static("x-total-count");
/// How long the view may take to lose a node that its owner has forgotten. A node that still reports may be
/// back before that is seen.
const GONE_TIMEOUT: Duration = Duration::from_secs(1);
/// How often the view is checked in that time; it changes four times a second.
const POLL_PERIOD: Duration = Duration::from_millis(50);

/// The name in `/api/nodes/{name}`, as it is written there.
pub(super) fn name(path: &str) -> Option<&str> {
    let name = path.strip_prefix("/api/nodes/")?;
    (!name.is_empty() && !name.contains('/')).then_some(name)
}

/// `GET /api/nodes?status=&q=&sort=&limit=&offset=`
pub(super) async fn list(asked: &Asked, site: &Site) -> Result<Response, ApiError> {
    let headers = &asked.headers;
    let query = NodeQuery::parse(&asked.query)?;
    let nodes = site.fleet.nodes().await?;
    let (mut response, total) = if query.is_everything() {
        let all = bodies::shared(headers, nodes.version, bodies::JSON, nodes.array().await?);
        (all.await?, nodes.count())
    } else {
        let chosen = nodes.make(move |list| query.choose(list)).await?;
        let selection = nodes.selection(chosen.positions).await?;
        (bodies::single(headers, nodes.version, bodies::JSON, || selection), chosen.total)
    };
    response.headers_mut().insert(TOTAL, HeaderValue::from(total));
    Ok(response)
}

/// `GET /api/nodes/{name}`
pub(super) async fn one(asked: &Asked, site: &Site, name: &str) -> Result<Response, ApiError> {
    access::check_read(&site.access, &asked.headers)?;
    query::none(&asked.query)?;
    let name = decoded(name)?;
    let Some(found) = site.fleet.find(name.clone()).await? else { return Err(no_node(&name)) };
    let Found { id, partition, version, mut detail } = *found;
    match site.ingest.history(partition, id).await {
        Ok(Some(history)) => {
            detail.last_60s = Some(history.last_60s);
            detail.last_15m = Some(history.last_15m);
        }
        Ok(None) => {}
        // The answer is sent without the node's past, which is then null.
        Err(error) => tracing::debug!(%partition, %error, "no history"),
    }
    Ok(bodies::single(&asked.headers, version, bodies::JSON, || json::encode(&detail).into()))
}

/// `DELETE /api/nodes/{name}`
pub(super) async fn forget(asked: &Asked, site: &Site, name: &str) -> Result<Response, ApiError> {
    let headers = &asked.headers;
    if site.names.is_foreign_change(headers) {
        return Err(ApiError::ForeignOrigin);
    }
    access::check_admin(&site.access, headers)?;
    query::none(&asked.query)?;
    let name = decoded(name)?;
    let (partition, id) = addressee(site, &name).await?;
    if !site.ingest.forget(partition, id).await?.known {
        return Err(no_node(&name));
    }
    gone(site, &name).await?;
    let mut response = Response::default();
    *response.status_mut() = StatusCode::NO_CONTENT;
    Ok(response)
}

/// Waits until the view has lost a node, so that the client's next read does not contain it.
async fn gone(site: &Site, name: &str) -> Result<(), ApiError> {
    let deadline = Instant::now() + GONE_TIMEOUT;
    while Instant::now() < deadline && site.fleet.find(name.to_owned()).await?.is_some() {
        tokio::time::sleep(POLL_PERIOD).await;
    }
    Ok(())
}

/// The partition and the id for a request to the owner, which may know a node that this process does not know
/// yet.
async fn addressee(site: &Site, name: &str) -> Result<(Partition, NodeId), ApiError> {
    if let Some(found) = site.fleet.find(name.to_owned()).await? {
        return Ok((found.partition, found.id));
    }
    let id = NodeId::from_name(name).map_err(|_| no_node(name))?;
    Ok((site.partitions.of(tidemap_wire::Slot::of(&id)), id))
}

pub(super) fn decoded(name: &str) -> Result<String, ApiError> {
    let name = percent_decode_str(name).decode_utf8();
    Ok(name.map_err(|_| ApiError::NotFound("node whose name is not UTF-8".to_owned()))?.into_owned())
}

fn no_node(name: &str) -> ApiError {
    ApiError::NotFound(format!("node named {name}"))
}
