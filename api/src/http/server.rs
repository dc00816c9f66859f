//! Connections: accepted, served, limited, ended.
//!
//! warp serves on its own too, but each of its connections is a task that nobody awaits, without a limit of time or
//! number, and a browser that closes its event stream is logged as an error.

mod gate;
mod patience;
mod visitors;

use std::{future, io, net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use futures_util::future::Either;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
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
    patience::{Patience, Terms},
    visitors::{TooMany, Visitor, Visitors},
};
use crate::{config::Limits, http::with_common_headers};

/// Connections at a time; further ones wait to be accepted.
const CONNECTIONS: usize = 16_384;
/// A client that has not sent its request's head by then is not heard any more.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// So much of a request is held before its head has ended, and so much is written ahead of a slow client, whole frames
/// apart. Heads that fit but are longer than they may be get an answer in words.
const BUFFER_BYTES: usize = 32 * 1024;
/// A client that takes nothing of what it is sent for so long, or for longer less than a quarter of a megabit a second, is
/// not sent anything any more. An event stream can be resumed.
const TERMS: Terms = Terms { most: Duration::from_secs(30), pace: 32 * 1024 };
/// When no connection can be accepted, such as for want of file descriptors, the next try comes after this.
const ACCEPT_PAUSE: Duration = Duration::from_millis(250);

/// Serves `routes` until `shutdown`, and then until every connection has ended.
pub(super) async fn run<R: Reply + 'static>(
    routes: BoxedFilter<(R,)>,
    limits: Limits,
    listener: TcpListener,
    shutdown: CancellationToken,
) {
    let mut connections = JoinSet::new();
    let mut visitors = Visitors::new(limits);
    while !shutdown.is_cancelled() {
        tokio::select! {
            // The process ends.
            () = shutdown.cancelled() => {}
            // A client comes.
            (stream, address) = accept(&listener), if connections.len() < CONNECTIONS => {
                match visitors.enter(address.ip(), Instant::now()) {
                    Ok(visitor) => {
                        connections.spawn(serve(routes.clone(), stream, visitor, shutdown.clone()));
                    }
                    Err(TooMany) => turn_away(&stream, address),
                }
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
async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            // The client went away before it was its turn.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(error) => {
                tracing::warn!(%error, "cannot accept connections");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Says why, as far as that goes without waiting, and closes.
fn turn_away(stream: &TcpStream, address: SocketAddr) {
    tracing::debug!(%address, "a client has too many connections");
    // A new connection has room for so little; if not, the client sees it closed.
    stream.try_write(&gate::full()).ok();
}

async fn serve<R: Reply + 'static>(
    routes: BoxedFilter<(R,)>,
    stream: TcpStream,
    visitor: Option<Arc<Visitor>>,
    shutdown: CancellationToken,
) {
    // The tail of a frame must not wait for the acknowledgement of its head.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a connection may be slower than it could be");
    }
    let routes = TowerToHyperService::new(warp::service(routes));
    let service = service_fn(|request| match gate::refusal(&request, visitor.as_ref()) {
        None => Either::Left(routes.call(request)),
        Some(refusal) => Either::Right(future::ready(Ok(with_common_headers(refusal)))),
    });
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIMEOUT)
            .max_buf_size(BUFFER_BYTES)
            .serve_connection(TokioIo::new(Patience::new(stream, TERMS)), service)
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
