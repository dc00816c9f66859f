//! The server on a real socket.

use std::{convert::Infallible, num::NonZeroU32, time::Duration};

use futures_util::StreamExt;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tidemap_testkit::undisturbed;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    task::JoinHandle,
    time::Instant,
};
use warp::{
    Filter,
    http::Request,
    hyper::{body::Body, client::conn::http2},
};

use super::*;
use crate::names::NameArgs;

/// More than the six connections that a browser opens to one server, and each stream takes one of HTTP/1.1.
const TABS: usize = 9;

/// Serves a stream that begins and never ends, until it is asked to stop.
async fn start() -> (SocketAddr, CancellationToken, JoinHandle<()>) {
    start_with(Names::default()).await
}

async fn start_with(names: Names) -> (SocketAddr, CancellationToken, JoinHandle<()>) {
    let endless = warp::path("endless").map(|| {
        let begin = futures_util::stream::iter([Ok::<_, Infallible>("begun")]);
        warp::reply::stream(begin.chain(futures_util::stream::pending()))
    });
    let routes = endless.map(Reply::into_response).or(warp::any().map(|| "here".into_response())).unify();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, shutdown) = (listener.local_addr().unwrap(), CancellationToken::new());
    let limits = Limits { connections: NonZeroU32::MAX, requests: NonZeroU32::MAX };
    let running =
        tokio::spawn(run((routes.boxed(), Arc::new(names)), limits, listener, None, shutdown.clone()));
    (address, shutdown, running)
}

#[tokio::test]
async fn any_number_of_streams_share_a_connection_of_http_2() {
    let (address, shutdown, running) = start().await;
    let stream = TcpStream::connect(address).await.unwrap();
    let io = TokioIo::new(stream);
    let (mut client, connection) = http2::handshake(TokioExecutor::new(), io).await.unwrap();
    let connection = tokio::spawn(connection);
    let ask = |path: &str| {
        let url = format!("http://localhost{path}");
        Request::builder().uri(url).body(String::new()).unwrap()
    };
    let mut open = Vec::new();
    for _ in 0..TABS {
        let mut answer = client.send_request(ask("/endless")).await.unwrap();
        let first = future::poll_fn(|context| pin!(answer.body_mut()).poll_frame(context)).await.unwrap();
        assert_eq!(first.unwrap().into_data().unwrap(), "begun");
        open.push(answer);
    }
    assert_eq!(client.send_request(ask("/")).await.unwrap().status(), 200);
    drop((open, client));
    connection.await.unwrap().unwrap();
    shutdown.cancel();
    running.await.unwrap();
}

#[tokio::test]
async fn a_request_that_comes_byte_by_byte_is_of_http_1_and_an_idle_client_does_not_delay_the_end() {
    undisturbed(ends_beside_an_idle_client).await.unwrap();
}

async fn ends_beside_an_idle_client() -> anyhow::Result<()> {
    let (address, shutdown, running) = start().await;
    let mut slow = TcpStream::connect(address).await.unwrap();
    slow.set_nodelay(true).unwrap();
    for byte in b"PRIX / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n" {
        slow.write_all(&[*byte]).await.unwrap();
        tokio::task::yield_now().await;
    }
    let mut answer = String::new();
    slow.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("here"), "{answer}");
    let _idle = TcpStream::connect(address).await.unwrap();
    shutdown.cancel();
    let asked = Instant::now();
    running.await.unwrap();
    anyhow::ensure!(asked.elapsed() < Duration::from_secs(5), "after {:?}", asked.elapsed());
    Ok(())
}

#[test]
fn connections_leave_files_for_others() {
    for (files, most) in [(256, 192), (1_024, 768), (100, 50), (1_000_000, CONNECTIONS)] {
        assert_eq!(most_connections(Some(files)), most, "{files}");
    }
    assert_eq!(most_connections(None), CONNECTIONS);
}

#[tokio::test]
async fn a_page_that_may_read_the_api_reads_why_a_request_is_refused() {
    #[derive(Debug, clap::Parser)]
    struct Cli {
        #[command(flatten)]
        names: NameArgs,
    }
    let origins = <Cli as clap::Parser>::parse_from(["api", "--allow-origin", "https://wiki.example"]);
    let (address, shutdown, running) = start_with(origins.names.names(true)).await;
    for (header, status) in
        [(format!("cookie: {}", "x".repeat(20_000)), 431), ("content-length: 9999".to_owned(), 413)]
    {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let head = format!(
            "GET /api/nodes HTTP/1.1\r\nhost: localhost\r\norigin: https://wiki.example\r\n{header}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
        assert!(answer.contains("access-control-allow-origin: https://wiki.example\r\n"), "{answer}");
        assert!(
            answer.contains("content-type: application/json\r\n") && answer.contains("{\"detail\":"),
            "{answer}"
        );
    }
    shutdown.cancel();
    running.await.unwrap();
}
