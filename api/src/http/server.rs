//! The server's connections: accepting, serving, limiting and closing them.
//!
//! warp's own server is not used: it runs each connection as a detached task without a limit of time or
//! number, and logs a browser that closes its event stream as an error.

mod client_limits;
mod protocol;
mod request_limits;
mod slow_client;
mod target;
#[cfg(test)]
mod tests;
mod unsent;

use std::{future, io, net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use futures_util::future::Either;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tidemap_service::logging::Throttle;
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::Instant,
};
use tokio_util::sync::CancellationToken;
use warp::{
    Reply,
    filters::BoxedFilter,
    http::Request,
    hyper::{
        self,
        body::Incoming,
        server::conn::{http1, http2},
        service::{Service, service_fn},
    },
    reply::Response,
};

pub(super) use self::client_limits::Quota;
use self::{
    client_limits::{Client, ClientLimits, TooMany},
    slow_client::{ReadPace, SlowClientLimit},
    unsent::Unsent,
};
use crate::{
    config::Limits,
    http::{with_common_headers, with_sharing},
    names::{self, Names},
};

/// Connections at a time, if the system allows that many open files; further ones wait to be accepted.
const CONNECTIONS: usize = 16_384;
/// A client that has not sent its request's head by then is disconnected.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// How many bytes of a request are buffered until its head is complete, and how many bytes are written ahead
/// for a slow client, not counting whole frames. Heads that fit but exceed `HEAD_BYTES` get an answer that
/// says so.
const BUFFER_BYTES: usize = 32 * 1024;
/// A client that reads nothing for this long, or for longer less than a quarter of a megabit a second, is
/// disconnected. An event stream can be resumed.
const READ_PACE: ReadPace = ReadPace { max_stall: Duration::from_secs(30), bytes_per_second: 32 * 1024 };
/// Requests at a time on one connection of HTTP/2. A proxy opens another connection when they are used up.
const STREAMS: u32 = 256;
/// How often a connection of HTTP/2 is tested, and when it is given up.
const PING_PERIOD: Duration = Duration::from_secs(20);
const PING_TIMEOUT: Duration = Duration::from_secs(20);
/// If accepting fails, for example for lack of file descriptors, the next attempt comes after this.
const ACCEPT_RETRY: Duration = Duration::from_millis(250);
/// What concerns every client is logged at most once in this time.
const LOG_PERIOD: Duration = Duration::from_secs(30);

/// What answers requests: the routes, and the names by which what is refused before them is shared.
type Answering<R> = (BoxedFilter<(R,)>, Arc<Names>);

/// Serves routes until `shutdown`, and then until every connection has ended.
pub(super) async fn run<R: Reply + 'static>(
    answering: Answering<R>,
    limits: Limits,
    listener: TcpListener,
    open_files: Option<u64>,
    shutdown: CancellationToken,
) {
    let most = most_connections(open_files);
    let mut full = Throttle::new(LOG_PERIOD);
    let mut refused = Throttle::new(LOG_PERIOD);
    let mut connections = JoinSet::new();
    let mut clients = ClientLimits::new(limits);
    while !shutdown.is_cancelled() {
        if connections.len() >= most && full.is_due() {
            tracing::warn!(
                most,
                "no more connections; further clients wait (each needs an open file: `ulimit -n`)"
            );
        }
        tokio::select! {
            // The process ends.
            () = shutdown.cancelled() => {}
            // A client connects.
            (stream, address) = accept(&listener, &mut refused), if connections.len() < most => {
                match clients.admit(address.ip(), Instant::now()) {
                    Ok(quota) => {
                        // Each waits for a token of its own: all waiting for one would share its lock.
                        connections.spawn(serve(answering.clone(), stream, quota, shutdown.child_token()));
                    }
                    Err(TooMany) => reject(&stream, address),
                }
            }
            // A connection has ended.
            Some(ended) = connections.join_next() => log_panic(ended),
        }
    }
    drop(listener);
    while let Some(ended) = connections.join_next().await {
        log_panic(ended);
    }
}

/// How many connections may be open. They leave files for what else this process does, such as reading this
/// host's counters: a quarter, at least 64.
fn most_connections(open_files: Option<u64>) -> usize {
    let Some(files) = open_files.and_then(|files| usize::try_from(files).ok()) else { return CONNECTIONS };
    let others = (files / 4).clamp(64, 4_096).min(files / 2);
    CONNECTIONS.min(files - others)
}

/// The next connection.
async fn accept(listener: &TcpListener, refused: &mut Throttle) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            // The client has disconnected before it was accepted.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(error) => {
                if refused.is_due() {
                    tracing::warn!(%error, "cannot accept connections");
                }
                tokio::time::sleep(ACCEPT_RETRY).await;
            }
        }
    }
}

/// Sends the reason if that is possible without waiting, and closes.
fn reject(stream: &TcpStream, address: SocketAddr) {
    tracing::debug!(%address, "a client has too many connections");
    // A new connection's buffer has room for it; if not, the client only sees it closed.
    stream.try_write(&request_limits::too_many_connections()).ok();
}

async fn serve<R: Reply + 'static>(
    answering: Answering<R>,
    stream: TcpStream,
    quota: Option<Arc<Client>>,
    shutdown: CancellationToken,
) {
    // The end of a frame must not wait for the acknowledgement of its beginning.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "cannot set TCP_NODELAY");
    }
    let is_http_2 = tokio::select! {
        begun = tokio::time::timeout(HEAD_TIMEOUT, protocol::is_http_2(&stream)) => begun,
        // The process ends, and the client has asked nothing yet.
        () = shutdown.cancelled() => return,
    };
    let Ok(Ok(is_http_2)) = is_http_2 else { return };
    let stream = SlowClientLimit::new(stream, READ_PACE);
    let ended = match is_http_2 {
        true => serve_http_2(answering, stream, quota, shutdown).await,
        false => serve_http_1(answering, stream, quota, shutdown).await,
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection broke");
    }
}

async fn serve_http_1<R: Reply + 'static>(
    answering: Answering<R>,
    stream: SlowClientLimit<TcpStream>,
    quota: Option<Arc<Client>>,
    shutdown: CancellationToken,
) -> hyper::Result<()> {
    let (routes, names) = answering;
    let routes = TowerToHyperService::new(warp::service(routes));
    let service = service_fn(move |request| answer(&routes, &names, request, quota.as_ref()));
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIMEOUT)
            .max_buf_size(BUFFER_BYTES)
            .serve_connection(TokioIo::new(stream), service)
    );
    tokio::select! {
        // The client has disconnected, or was disconnected.
        ended = connection.as_mut() => ended,
        // The process ends: requests in progress are completed, and streams end by themselves.
        () = shutdown.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    }
}

/// The same for HTTP/2, which proxies and programs may speak without TLS: any number of streams share the
/// connection.
async fn serve_http_2<R: Reply + 'static>(
    answering: Answering<R>,
    stream: SlowClientLimit<TcpStream>,
    quota: Option<Arc<Client>>,
    shutdown: CancellationToken,
) -> hyper::Result<()> {
    let (routes, names) = answering;
    let routes = TowerToHyperService::new(warp::service(routes));
    let unsent = Unsent::new(READ_PACE);
    let watching = unsent.clone();
    let service = service_fn(move |request| {
        let (answer, watching) = (answer(&routes, &names, request, quota.as_ref()), watching.clone());
        async move { answer.await.map(|answer| answer.map(|body| watching.watch(body))) }
    });
    let mut connection = pin!(
        http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .max_concurrent_streams(STREAMS)
            .max_header_list_size(BUFFER_BYTES as u32)
            .keep_alive_interval(PING_PERIOD)
            .keep_alive_timeout(PING_TIMEOUT)
            .serve_connection(TokioIo::new(stream), service)
    );
    let mut is_overdue = pin!(unsent.is_overdue());
    tokio::select! {
        // The client has disconnected, or was disconnected.
        ended = connection.as_mut() => return ended,
        // It leaves an answer untaken.
        () = is_overdue.as_mut() => return Ok(()),
        // The process ends.
        () = shutdown.cancelled() => connection.as_mut().graceful_shutdown(),
    }
    tokio::select! {
        ended = connection => ended,
        () = is_overdue => Ok(()),
    }
}

/// Answers a request, unless it is refused before it reaches a route.
fn answer<S: Service<Request<Incoming>, Response = Response>>(
    routes: &S,
    names: &Names,
    mut request: Request<Incoming>,
    quota: Option<&Arc<Client>>,
) -> impl Future<Output = Result<Response, S::Error>> + use<S> {
    names::take_host_from_target(&mut request);
    target::trim_slashes(&mut request);
    match request_limits::refusal(&request, quota) {
        None => Either::Left(routes.call(request)),
        Some(refusal) => {
            let refusal = with_sharing(names, request.headers(), with_common_headers(refusal));
            Either::Right(future::ready(Ok(refusal)))
        }
    }
}

fn log_panic(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "the task of a connection panicked");
    }
}
