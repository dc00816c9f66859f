//! Connections: accepted, served, limited, ended.
//!
//! warp serves on its own too, but each of its connections is a task that nobody awaits, without a limit of time or
//! number, and a browser that closes its event stream is logged as an error.

use std::{io, pin::pin, time::Duration};

use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;
use warp::{
    Reply,
    filters::BoxedFilter,
    hyper::{self, server::conn::http1},
};

/// Connections at a time; further ones wait to be accepted.
const CONNECTIONS: usize = 16_384;
/// A client that has not sent its request's head by then is not heard any more.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// A request's head may be so long, and so much is written ahead of a slow client, whole frames apart.
const BUFFER_BYTES: usize = 64 * 1024;
/// When no connection can be accepted, such as for want of file descriptors, the next try comes after this.
const ACCEPT_PAUSE: Duration = Duration::from_millis(250);

/// Serves `routes` until `shutdown`, and then until every connection has ended.
pub(super) async fn run<R: Reply + 'static>(
    routes: BoxedFilter<(R,)>,
    listener: TcpListener,
    shutdown: CancellationToken,
) {
    let mut connections = JoinSet::new();
    while !shutdown.is_cancelled() {
        tokio::select! {
            // The process ends.
            () = shutdown.cancelled() => {}
            // A client comes.
            accepted = accept(&listener), if connections.len() < CONNECTIONS => {
                connections.spawn(serve(routes.clone(), accepted, shutdown.clone()));
            }
            // A connection has ended.
            Some(ended) = connections.join_next() => told(ended),
        }
    }
    drop(listener);
    while let Some(ended) = connections.join_next().await {
        told(ended);
    }
}

/// The next connection.
async fn accept(listener: &TcpListener) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return stream,
            // The client went away before it was its turn.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(error) => {
                tracing::warn!(%error, "cannot accept connections");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn serve<R: Reply + 'static>(
    routes: BoxedFilter<(R,)>,
    stream: TcpStream,
    shutdown: CancellationToken,
) {
    // The tail of a frame must not wait for the acknowledgement of its head.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a connection may be slower than it could be");
    }
    let service = TowerToHyperService::new(warp::service(routes));
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIMEOUT)
            .max_buf_size(BUFFER_BYTES)
            .serve_connection(TokioIo::new(stream), service)
    );
    let ended: hyper::Result<()> = tokio::select! {
        // The client is gone, or has been told to go.
        ended = connection.as_mut() => ended,
        // The process ends: what is being answered still is, and streams end by themselves.
        () = shutdown.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        // Clients come and go as they like; it matters to who looks for it only.
        tracing::debug!(%error, "a connection broke");
    }
}

fn told(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "a connection's task broke down");
    }
}
