//! The server's connections: accepting, serving, limiting and closing them.
//!
//! warp's own server is not used: it runs each connection as a detached task without a limit of time or
//! number, and logs a browser that closes its event stream as an error.

mod client_limits;
mod request_limits;
mod slow_client;
mod target;

use std::{future, io, net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use futures_util::future::Either;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
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
    hyper::{
        self,
        server::conn::http1,
        service::{Service, service_fn},
    },
};

use self::{
    client_limits::{ClientLimits, ClientQuota, TooMany},
    slow_client::{ReadPace, SlowClientLimit},
};
use crate::{config::Limits, http::with_common_headers, names};

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
/// If accepting fails, for example for lack of file descriptors, the next attempt comes after this.
const ACCEPT_RETRY: Duration = Duration::from_millis(250);
/// What concerns every client is logged at most once in this time.
const LOG_PERIOD: Duration = Duration::from_secs(30);

/// Serves `routes` until `shutdown`, and then until every connection has ended.
pub(super) async fn run<R: Reply + 'static>(
    routes: BoxedFilter<(R,)>,
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
                        connections.spawn(serve(routes.clone(), stream, quota, shutdown.clone()));
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
    routes: BoxedFilter<(R,)>,
    stream: TcpStream,
    quota: Option<Arc<ClientQuota>>,
    shutdown: CancellationToken,
) {
    // The end of a frame must not wait for the acknowledgement of its beginning.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "cannot set TCP_NODELAY");
    }
    let routes = TowerToHyperService::new(warp::service(routes));
    let service = service_fn(|mut request| {
        names::take_host_from_target(&mut request);
        target::trim_slashes(&mut request);
        match request_limits::refusal(&request, quota.as_ref()) {
            None => Either::Left(routes.call(request)),
            Some(refusal) => Either::Right(future::ready(Ok(with_common_headers(refusal)))),
        }
    });
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIMEOUT)
            .max_buf_size(BUFFER_BYTES)
            .serve_connection(TokioIo::new(SlowClientLimit::new(stream, READ_PACE)), service)
    );
    let ended: hyper::Result<()> = tokio::select! {
        // The client has disconnected, or was disconnected.
        ended = connection.as_mut() => ended,
        // The process ends: requests in progress are completed, and streams end by themselves.
        () = shutdown.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection broke");
    }
}

fn log_panic(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "the task of a connection panicked");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_files_for_others() {
        for (files, most) in [(256, 192), (1_024, 768), (100, 50), (1_000_000, CONNECTIONS)] {
            assert_eq!(most_connections(Some(files)), most, "{files}");
        }
        assert_eq!(most_connections(None), CONNECTIONS);
    }
}
