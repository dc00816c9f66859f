//! The event stream.

use std::{collections::VecDeque, convert::Infallible};

use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use tokio::sync::broadcast::error::RecvError;
use warp::{
    Filter, Rejection, Reply,
    http::{HeaderMap, HeaderValue, header},
    reply::Response,
};

use crate::{
    frames::{Listening, Place},
    http::{Site, errors::ApiError, get, query, reader, respond},
};

/// `GET /api/stream`
pub(super) fn stream(site: Site) -> impl Filter<Extract = (Response,), Error = Rejection> + Clone {
    warp::path!("api" / "stream")
        .and(get())
        .and(reader(site))
        .and(query::none())
        .then(|site: Site, headers: HeaderMap| async move { respond(answer(site, &headers).await) })
}

/// One who listens.
struct Listener {
    site: Site,
    waiting: VecDeque<Bytes>,
    live: tokio::sync::broadcast::Receiver<Bytes>,
}

async fn answer(site: Site, headers: &HeaderMap) -> Result<Response, ApiError> {
    let place = headers.get("last-event-id").and_then(|id| id.to_str().ok()).and_then(|id| id.parse().ok());
    let mut response = warp::reply::stream(listen(site, place).await?).into_response();
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-store"),
        // nginx would gather events until a buffer is full.
        (header::HeaderName::from_static("x-accel-buffering"), "no"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    Ok(response)
}

/// What one client is sent, until the service stops.
pub(super) async fn listen(
    site: Site,
    place: Option<Place>,
) -> Result<impl Stream<Item = Result<Bytes, Infallible>> + Send + Sync + 'static, ApiError> {
    let shutdown = site.shutdown.clone();
    let listening = site.fleet.listen(place).await?;
    let frames = stream::unfold(Listener::new(site, listening), |mut listener| async move {
        let frame = listener.next().await?;
        Some((Ok(frame), listener))
    });
    Ok(frames.take_until(shutdown.cancelled_owned()))
}

impl Listener {
    fn new(site: Site, listening: Listening) -> Self {
        Self { site, waiting: listening.opening.into(), live: listening.live }
    }

    async fn next(&mut self) -> Option<Bytes> {
        while self.waiting.is_empty() {
            match self.live.recv().await {
                Ok(frame) => return Some(frame),
                Err(RecvError::Closed) => return None,
                // Too slow for what is live: it starts anew with the state of now, however far behind it was.
                Err(RecvError::Lagged(_)) => {
                    let listening = self.site.fleet.listen(None::<Place>).await.ok()?;
                    self.waiting = listening.opening.into();
                    self.live = listening.live;
                }
            }
        }
        self.waiting.pop_front()
    }
}
