//! A small HTTP/1.1 client over raw sockets. It must cost as little as possible, because it shares the
//! machine with the server.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context, bail, ensure};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
    time::Instant,
};

/// What one read may bring.
const BUFFER_BYTES: usize = 256 * 1024;

/// What a round of requests showed.
#[derive(Clone, Debug, Default)]
pub struct Load {
    pub requests: u64,
    pub seconds: f64,
    latencies_us: Vec<u64>,
}

impl Load {
    pub fn per_second(&self) -> f64 {
        self.requests as f64 / self.seconds
    }

    /// The time below which this share of the answers took, in milliseconds.
    pub fn quantile_ms(&self, share: f64) -> f64 {
        quantile(&self.latencies_us, share) as f64 / 1_000.0
    }

    pub fn add(&mut self, other: &Load) {
        self.requests += other.requests;
        self.seconds += other.seconds;
        self.latencies_us.extend(&other.latencies_us);
    }
}

/// The value below which this share of the values lies.
pub fn quantile(values: &[u64], share: f64) -> u64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    let place = (sorted.len() as f64 * share) as usize;
    sorted.get(place.min(sorted.len().saturating_sub(1))).copied().unwrap_or(0)
}

/// A connection that is kept.
pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    pub async fn open(address: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: vec![0; BUFFER_BYTES] })
    }

    /// Sends a request and reads its answer to the end; returns the body's length.
    pub async fn exchange(&mut self, request: &[u8]) -> anyhow::Result<usize> {
        self.answer(request, None).await
    }

    /// The same with the body.
    pub async fn body(&mut self, request: &[u8]) -> anyhow::Result<Vec<u8>> {
        let mut body = Vec::new();
        self.answer(request, Some(&mut body)).await?;
        Ok(body)
    }

    async fn answer(&mut self, request: &[u8], mut body: Option<&mut Vec<u8>>) -> anyhow::Result<usize> {
        self.stream.write_all(request).await?;
        let mut filled = 0;
        let (head, length) = loop {
            let read = self.stream.read(&mut self.buffer[filled..]).await?;
            ensure!(read > 0, "the server closed the connection");
            filled += read;
            if let Some(end) = head_end(&self.buffer[..filled]) {
                break (end, content_length(&self.buffer[..end])?);
            }
        };
        let mut got = filled - head;
        if let Some(body) = &mut body {
            body.extend_from_slice(&self.buffer[head..filled]);
        }
        while got < length {
            let read = self.stream.read(&mut self.buffer).await?;
            ensure!(read > 0, "the server closed the connection within a body");
            got += read;
            if let Some(body) = &mut body {
                body.extend_from_slice(&self.buffer[..read]);
            }
        }
        ensure!(got == length, "{got} bytes came where {length} were announced");
        Ok(length)
    }
}

/// Requests repeatedly over this many connections for this long.
pub async fn load(
    address: SocketAddr,
    request: &str,
    connections: usize,
    lasting: Duration,
) -> anyhow::Result<Load> {
    let mut askers = JoinSet::new();
    let mut opened = Vec::new();
    for _ in 0..connections {
        opened.push(Connection::open(address).await?);
    }
    let begun = Instant::now();
    for mut connection in opened {
        let request = request.to_owned();
        askers.spawn(async move {
            let mut latencies_us = Vec::new();
            while begun.elapsed() < lasting {
                let asked = Instant::now();
                connection.exchange(request.as_bytes()).await?;
                latencies_us.push(u64::try_from(asked.elapsed().as_micros())?);
            }
            anyhow::Ok(latencies_us)
        });
    }
    let mut load = Load::default();
    while let Some(latencies_us) = askers.join_next().await {
        load.latencies_us.extend(latencies_us??);
    }
    load.requests = load.latencies_us.len() as u64;
    load.seconds = begun.elapsed().as_secs_f64();
    Ok(load)
}

/// `GET path`, with gzip or without.
pub fn request(path: &str, coding: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: localhost\r\naccept-encoding: {coding}\r\n\r\n")
}

/// The address in `http://ADDRESS`.
pub fn address(url: &str) -> anyhow::Result<SocketAddr> {
    let address = url.strip_prefix("http://").context("an http URL")?.trim_end_matches('/');
    Ok(address.parse()?)
}

/// Where the head ends, its empty line included.
pub fn head_end(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|four| four == b"\r\n\r\n").map(|place| place + 4)
}

fn content_length(head: &[u8]) -> anyhow::Result<usize> {
    let head = std::str::from_utf8(head)?;
    ensure!(head.starts_with("HTTP/1.1 200"), "{head}");
    for line in head.lines() {
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            return Ok(value.trim().parse()?);
        }
    }
    bail!("an answer without a length: {head}")
}
