//! The event stream.

use std::{collections::VecDeque, convert::Infallible};

use bytes::Bytes;
use futures_util::{Stream, StreamExt, future::Either, stream};
use tokio::sync::broadcast::{Receiver, error::RecvError};
use warp::{
    Reply,
    http::{HeaderMap, HeaderValue, header},
    reply::Response,
};

use crate::{
    http::{Asked, Site, bodies::takes_gzip, errors::ApiError, query},
    stream_log::{self, Frame, Listening, StreamPosition},
};

/// The least time that clients wait before they reconnect when this api stops.
const RETRY_MIN_MS: u64 = 100;
/// The range of the random wait in addition, so that they do not reconnect all at once.
const RETRY_SPREAD_MS: u64 = 500;

/// One client of the event stream.
struct Listener {
    site: Site,
    waiting: VecDeque<Frame>,
    live: Receiver<Frame>,
}

/// `GET /api/stream?once`
pub(super) async fn stream(asked: &Asked, site: &Site) -> Result<Response, ApiError> {
    let headers = &asked.headers;
    let is_once = query::is_once(&asked.query)?;
    let position = position(headers)?;
    let frames = if is_once {
        // For clients behind a proxy that passes on nothing until an answer ends.
        Either::Left(stream::iter(site.fleet.listen(position).await??.opening))
    } else {
        Either::Right(listen(site.clone(), position).await?)
    };
    let mut response = if takes_gzip(headers) {
        let mut response = streamed(stream_log::gzip(frames));
        response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        response
    } else {
        streamed(frames.map(|frame| frame.plain().clone()))
    };
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_TYPE, "text/event-stream"),
        // A proxy that compressed it would hold events back.
        (header::CACHE_CONTROL, "no-store, no-transform"),
        (header::VARY, "accept-encoding"),
        // Tells nginx not to buffer: it would collect events until its buffer is full.
        (header::HeaderName::from_static("x-accel-buffering"), "no"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    Ok(response)
}

fn streamed(parts: impl Stream<Item = Bytes> + Send + Sync + 'static) -> Response {
    warp::reply::stream(parts.map(Ok::<_, Infallible>)).into_response()
}

/// The position from which the client resumes. Clients only repeat ids that they received, so a malformed id
/// is an error.
fn position(headers: &HeaderMap) -> Result<Option<StreamPosition>, ApiError> {
    let Some(id) = headers.get("last-event-id") else { return Ok(None) };
    let position = id.to_str().ok().and_then(|id| id.parse().ok());
    let problem = || ApiError::Query("Last-Event-ID: must be the id of an event of this stream".to_owned());
    position.map(Some).ok_or_else(problem)
}

/// The bytes for one client, until the service stops.
pub(super) async fn listen(
    site: Site,
    position: Option<StreamPosition>,
) -> Result<impl Stream<Item = Frame> + Send + Sync + 'static, ApiError> {
    let shutdown = site.shutdown.clone();
    let listening = site.fleet.listen(position).await??;
    let frames = stream::unfold(Listener::new(site, listening), |mut listener| async move {
        let frame = listener.next().await?;
        Some((frame, listener))
    });
    let closing =
        stream::once(async { stream_log::closing(RETRY_MIN_MS + fastrand::u64(0..RETRY_SPREAD_MS)) });
    Ok(frames.take_until(shutdown.cancelled_owned()).chain(closing))
}

impl Listener {
    fn new(site: Site, listening: Listening) -> Self {
        Self { site, waiting: listening.opening.into(), live: listening.live }
    }

    async fn next(&mut self) -> Option<Frame> {
        while self.waiting.is_empty() {
            match self.live.recv().await {
                Ok(frame) => return Some(frame),
                Err(RecvError::Closed) => return None,
                // The client was too slow for the live frames: it continues with a snapshot of the newest
                // state.
                Err(RecvError::Lagged(_)) => {
                    let listening = self.site.fleet.listen(None::<StreamPosition>).await.ok()?.ok()?;
                    self.waiting = listening.opening.into();
                    self.live = listening.live;
                }
            }
        }
        self.waiting.pop_front()
    }
}
