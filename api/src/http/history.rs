//! What moved since the first day, as the history stations know it.

pub(super) mod csv;
pub(super) mod parameters;

use std::time::Duration;

use tidemap_client::HistoryRequestError;
use tidemap_service::clock;
use tidemap_wire::{
    Minutes, NodeId,
    history_query::{HistoryError, HistorySeries, HostSteps, RECENT_REACH_MS, RangeAnswer, TopAnswer},
    http::{HistoryJson, HistoryStatusJson, TopJson, TopNodeJson},
};
use tokio::{sync::SemaphorePermit, task::spawn_blocking, time::timeout};
use warp::{
    http::{HeaderValue, header},
    reply::Response,
};

pub(super) use self::parameters::Format;
use self::parameters::{RangeQuery, TopQuery};
use crate::{
    answers::{Encoded, NotBuilt},
    fleet_task::Found,
    http::{Asked, Site, bodies, errors::ApiError, nodes, query},
    json,
};

/// Questions that are answered at a time. An answer of 20,000 steps takes up to 10 MB while it is made.
pub(super) const AT_ONCE: usize = 4;
/// How long a question waits for its turn.
const QUEUE_TIMEOUT: Duration = Duration::from_secs(5);
/// What is said instead of a station's own words, which may contain paths of its host.
const SOME_TROUBLE: &str = "the station cannot store what it reads";
const NOT_SENT: &str = "the station cannot send minutes to the other database";
const SOME_WARNING: &str = "something about the history needs a look";

/// The name in `/api/nodes/{name}/history`, as it is written there.
pub(super) fn name(path: &str) -> Option<&str> {
    nodes::name(path.strip_suffix("/history")?)
}

/// `GET /api/nodes/{name}/history?from=&to=&step=&columns=&format=`
pub(super) async fn of_node(asked: &Asked, site: &Site, name: &str) -> Result<Response, ApiError> {
    let name = nodes::decoded(name)?;
    let unknown = || ApiError::NotFound(format!("history of a node named {name}"));
    let found = site.fleet.find(name.clone()).await?;
    let ids = found.as_ref().map_or_else(|| NodeId::possible(&name), |found| vec![found.id.clone()]);
    let first = ids.first().ok_or_else(unknown)?;
    let now_ms = clock::unix_ms();
    let RangeQuery { mut request, format, columns } =
        parameters::of_node(&asked.query, first.clone(), now_ms)?;
    let turn = turn(site).await?;
    if let Some(found) = found.filter(|_| request.to_ms > now_ms - RECENT_REACH_MS) {
        request.recent = newest_minutes(site, *found).await;
    }
    for id in ids {
        request.of = HistorySeries::Node(id);
        match site.history.range(request.clone()).await {
            Err(HistoryRequestError::Refused(HistoryError::UnknownSeries)) => {}
            answer => return steps(asked, site, format, shown(answer?, columns.as_deref()), turn).await,
        }
    }
    Err(unknown())
}

/// `GET /api/history?by=&key=&from=&to=&step=&format=`
pub(super) async fn of_group(asked: &Asked, site: &Site) -> Result<Response, ApiError> {
    let RangeQuery { request, format, .. } = parameters::of_group(&asked.query, clock::unix_ms())?;
    let unknown = match &request.of {
        HistorySeries::Location(key) => format!("history of the location {key}"),
        HistorySeries::Provider(key) => format!("history of the provider {key}"),
        HistorySeries::Label(name, key) => format!("history of the label {name} with the value {key}"),
        HistorySeries::Fleet | HistorySeries::Node(_) => "history yet".to_owned(),
    };
    let turn = turn(site).await?;
    match site.history.range(request).await {
        Err(HistoryRequestError::Refused(HistoryError::UnknownSeries)) => Err(ApiError::NotFound(unknown)),
        answer => steps(asked, site, format, HistoryJson::from(answer?), turn).await,
    }
}

/// `GET /api/top?by=&from=&to=&limit=&format=`
pub(super) async fn top(asked: &Asked, site: &Site) -> Result<Response, ApiError> {
    let TopQuery { request, format } = parameters::top(&asked.query, clock::unix_ms())?;
    let turn = turn(site).await?;
    let answer = site.history.top(request).await?;
    let ids = answer.nodes.iter().map(|node| node.node.clone()).collect();
    let names = site.fleet.display_names(ids).await?;
    let top = named(&answer, names);
    let write = move |format| match format {
        Format::Json => json::encode(&top),
        Format::Csv => csv::top(&top),
    };
    respond(asked, site, format, write, turn).await
}

/// `GET /api/history/status`
pub(super) async fn status(asked: &Asked, site: &Site) -> Result<Response, ApiError> {
    query::none(&asked.query)?;
    let mut status = match site.history.status().await {
        Ok(status) => HistoryStatusJson::from(status),
        Err(HistoryRequestError::NoStation) => HistoryStatusJson::default(),
        Err(error) => return Err(error.into()),
    };
    if site.redacted {
        status.trouble = status.trouble.map(|_| SOME_TROUBLE.to_owned());
        status.warnings.iter_mut().for_each(|warning| SOME_WARNING.clone_into(warning));
        if let Some(remote) = &mut status.remote {
            remote.trouble = remote.trouble.take().map(|_| NOT_SENT.to_owned());
            remote.last_refused = remote.last_refused.take().map(|_| SOME_WARNING.to_owned());
        }
    }
    bodies::short(&asked.headers, json::encode(&status)).await
}

/// A node's newest minutes, which the history gets later. Without them, it answers with what it has.
async fn newest_minutes(site: &Site, node: Found) -> Option<Box<Minutes>> {
    let Found { id, partition, .. } = node;
    match site.ingest.history(partition, id).await {
        // A worker of an earlier version has none.
        Ok(history) => Some(history?.minutes).filter(|minutes| !minutes.is_empty()).map(Box::new),
        Err(error) => {
            tracing::debug!(%partition, %error, "no newest minutes");
            None
        }
    }
}

/// Waits until few enough questions are being answered.
pub(super) async fn turn(site: &Site) -> Result<SemaphorePermit<'_>, ApiError> {
    let turn = timeout(QUEUE_TIMEOUT, site.history_turns.acquire()).await;
    turn.ok().and_then(Result::ok).ok_or(ApiError::TooManyQuestions)
}

fn named(answer: &TopAnswer, names: Vec<Option<String>>) -> TopJson {
    let nodes = answer.nodes.iter().zip(names).map(|(node, name)| TopNodeJson::new(node, name));
    TopJson {
        from_ms: answer.from_ms,
        to_ms: answer.to_ms,
        complete_until_ms: answer.complete_until_ms,
        nodes: nodes.collect(),
    }
}

/// An answer with these columns, or those of traffic. A station of an earlier version knows nothing of hosts.
fn shown(mut answer: RangeAnswer, columns: Option<&[&str]>) -> HistoryJson {
    let Some(columns) = columns else { return HistoryJson::from(answer) };
    let steps = answer.rx_bytes.len();
    answer.host.get_or_insert_with(|| Box::new(HostSteps::unknown(steps)));
    let mut history = HistoryJson::from(answer);
    history.keep(columns);
    history
}

async fn steps(
    asked: &Asked,
    site: &Site,
    format: Option<Format>,
    history: HistoryJson,
    turn: SemaphorePermit<'_>,
) -> Result<Response, ApiError> {
    let write = move |format| match format {
        Format::Json => json::encode(&history),
        Format::Csv => csv::history(&history),
    };
    respond(asked, site, format, write, turn).await
}

/// Makes the body, which is charged to the budget of long answers, in the form that is wanted.
pub(super) async fn respond(
    asked: &Asked,
    site: &Site,
    format: Option<Format>,
    write: impl FnOnce(Format) -> Vec<u8> + Send + 'static,
    turn: SemaphorePermit<'_>,
) -> Result<Response, ApiError> {
    let by_header = || if bodies::prefers_csv(&asked.headers) { Format::Csv } else { Format::Json };
    let format = format.unwrap_or_else(by_header);
    let budget = site.budget.clone();
    let make = move || {
        let body = write(format);
        Ok::<_, NotBuilt>((bodies::tag(&body), Encoded::long(body, &budget)?))
    };
    let (tag, body) = spawn_blocking(make).await.map_err(|_| NotBuilt::Lost)??;
    let content_type = match format {
        Format::Json => bodies::JSON,
        Format::Csv => bodies::CSV,
    };
    let mut response = bodies::encoded(&asked.headers, &tag, content_type, &body).await?;
    response.headers_mut().insert(header::VARY, HeaderValue::from_static("accept, accept-encoding"));
    drop(turn);
    Ok(response)
}
