//! Hostile clients: the API refuses them or closes their connections, keeps little memory for them, and
//! continues to serve the others.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context, ensure};
use serde_json::Value;
use tidemap_testkit::{broker::TestBroker, eventually, http::get, process::Tidemap, undisturbed, within};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

const SILENT: usize = 3_000;
/// A head must be complete within 10 s, and the machine may be busy.
const REFUSAL_TIMEOUT: Duration = Duration::from_secs(60);
/// The allocator has an arena for each thread, and the connections of each crowd are distributed differently
/// among threads, so a few crowds need more memory than the one before. If every one does, it is not given
/// back.
const CROWDS: usize = 12;
/// A third of the memory that such a crowd takes while it is connected.
const GROWTH_BYTES: u64 = 12 << 20;

async fn api() -> (TestBroker, Tidemap, String, SocketAddr) {
    let broker = TestBroker::start().await.unwrap();
    let (api, url) = broker.api().await.unwrap();
    let address = url.trim_start_matches("http://").trim_end_matches('/').parse().unwrap();
    (broker, api, url, address)
}

/// Sends these bytes and reads until the API closes the connection.
async fn answer_to(address: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // It may close before it has read all of it.
    stream.write_all(bytes).await.ok();
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    while let Ok(read @ 1..) = within(REFUSAL_TIMEOUT, stream.read(&mut buffer)).await.unwrap() {
        answer.extend_from_slice(&buffer[..read]);
    }
    String::from_utf8_lossy(&answer).into_owned()
}

/// Status and detail of a single answer.
fn refusal(answer: &str) -> (u16, String) {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let body: Value = serde_json::from_str(body).unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body["detail"].as_str().unwrap().to_owned())
}

fn resident_bytes(api: &Tidemap) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", api.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches("kB").trim().parse::<u64>().unwrap() * 1024
}

/// Connects thousands, of which every other sends half a head.
async fn silent(address: SocketAddr) -> Vec<TcpStream> {
    let mut crowd = Vec::new();
    for number in 0..SILENT {
        let mut stream = TcpStream::connect(address).await.unwrap();
        if number % 2 == 0 {
            stream.write_all(b"GET /api/nodes HTTP/1.1\r\nhost:").await.unwrap();
        }
        crowd.push(stream);
    }
    crowd
}

async fn all_closed(crowd: &[TcpStream]) {
    eventually(REFUSAL_TIMEOUT, || async {
        let open = crowd.iter().filter(|stream| !is_closed(stream)).count();
        ensure!(open == 0, "{open} connections are open");
        Ok(())
    })
    .await
    .unwrap();
}

/// Whether the other side has closed, without waiting for it.
fn is_closed(stream: &TcpStream) -> bool {
    match stream.try_read(&mut [0; 1]) {
        Ok(read) => read == 0,
        Err(error) => error.kind() != std::io::ErrorKind::WouldBlock,
    }
}

#[tokio::test]
async fn invalid_requests_are_refused_with_a_reason_or_closed() {
    let (_broker, api, url, address) = api().await;
    let before = resident_bytes(&api);
    let get = "GET /healthz HTTP/1.1\r\nhost: localhost\r\n";
    let long = "y".repeat(20_000);
    let huge = "z".repeat(10 << 20);
    assert_eq!(refusal(&answer_to(address, format!("{get}cookie: {long}\r\n\r\n").as_bytes()).await).0, 431);
    assert_eq!(refusal(&answer_to(address, format!("GET /{long} HTTP/1.1\r\n\r\n").as_bytes()).await).0, 431);
    let body = format!("{get}content-length: 10485760\r\n\r\n{huge}");
    assert_eq!(
        refusal(&answer_to(address, body.as_bytes()).await),
        (413, "the body is longer than 4 KB".to_owned())
    );
    let chunked = format!("{get}transfer-encoding: chunked\r\n\r\nffffffff\r\n{huge}");
    assert_eq!(
        refusal(&answer_to(address, chunked.as_bytes()).await),
        (413, "the body's length must be given (Content-Length)".to_owned())
    );
    // Endless heads, and requests that are not HTTP, get a status at most.
    let many: String = (0..500).map(|number| format!("a{number}: b\r\n")).collect();
    let pipelined = format!("{get}connection: keep-alive\r\n\r\n\u{1}\u{2} GARBAGE {huge}");
    for (bytes, statuses) in [
        (format!("{get}cookie: {huge}"), &["431"][..]),
        (format!("{get}{many}\r\n"), &["431"]),
        (format!("\u{16}\u{3}\u{1}{huge}"), &["400"]),
        (pipelined, &["200", "400"]),
    ] {
        let answer = answer_to(address, bytes.as_bytes()).await;
        let seen: Vec<&str> =
            answer.split("HTTP/1.1 ").skip(1).filter_map(|answer| answer.split(' ').next()).collect();
        // A TCP reset discards what was not read yet.
        assert!(seen.iter().zip(statuses).all(|(seen, status)| seen == status), "{seen:?} {statuses:?}");
    }
    assert_eq!(self::get(format!("{url}/healthz")).await.unwrap().status, 200);
    assert_small(&api, before);
}

#[tokio::test]
async fn thousands_of_silent_connections_are_closed_and_delay_nobody() {
    let (_broker, api, url, address) = api().await;
    let mut grown = Vec::new();
    while grown.last().is_none_or(|grown| *grown >= GROWTH_BYTES) {
        assert!(grown.len() < CROWDS, "each crowd needs more: {grown:?} bytes");
        let before = resident_bytes(&api);
        let crowd = silent(address).await;
        // This connection is accepted after them, so all of them are connected by now.
        assert_eq!(get(format!("{url}/healthz")).await.unwrap().status, 200);
        all_closed(&crowd).await;
        grown.push(resident_bytes(&api).saturating_sub(before));
    }
    println!("memory has grown by {grown:?} bytes");

    drop(api);
    undisturbed(ends_in_time_with_open_streams).await.unwrap();
}

/// Streams, read or not, do not delay the shutdown. Its time is over too when the API stands still meanwhile.
async fn ends_in_time_with_open_streams() -> anyhow::Result<()> {
    let (_broker, mut api, _, address) = api().await;
    let mut streams = Vec::new();
    for _ in 0..50 {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(b"GET /api/stream HTTP/1.1\r\nhost: localhost\r\n\r\n").await?;
        stream.read_exact(&mut [0; 12]).await.context("it begins")?;
        streams.push(stream);
    }
    assert!(api.terminate().await.unwrap().success(), "{}", api.log());
    ensure!(!api.log().contains("did not end in time"), "{}", api.log());
    Ok(())
}

fn assert_small(api: &Tidemap, before: u64) {
    let grown = resident_bytes(api).saturating_sub(before);
    println!("memory has grown by {:.1} MB", grown as f64 / 1e6);
    assert!(grown < GROWTH_BYTES, "{grown} bytes more");
}
