//! A proxy before a broker, which cuts connections in several ways.

use std::net::SocketAddr;

use tidemap_service::nats::NatsArgs;
use tidemap_testkit::within;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
    task::JoinSet,
};

use crate::harness::{Harness, TIMEOUT};

/// A proxy before a broker, ended on drop.
pub(crate) struct Proxy {
    address: SocketAddr,
    /// The end of the names of the connections that are cut off now. Later connections are not cut off.
    cut: watch::Sender<Option<&'static str>>,
    /// Requests that may still pass; `None` as long as all may.
    left: watch::Sender<Option<usize>>,
    _accepting: JoinSet<()>,
}

/// What the connections of a proxy see of it.
#[derive(Clone)]
struct Way {
    target: SocketAddr,
    cut: watch::Sender<Option<&'static str>>,
    left: watch::Sender<Option<usize>>,
    /// Part of the requests that are counted.
    counted: &'static str,
}

impl Proxy {
    pub(crate) async fn start(harness: &Harness) -> Self {
        Self::start_counting(harness, None, "").await
    }

    /// A proxy that passes `most` requests that contain `counted`, and nothing after the last of them.
    pub(crate) async fn until(harness: &Harness, counted: &'static str, most: usize) -> Self {
        Self::start_counting(harness, Some(most), counted).await
    }

    /// Access to the broker through this proxy.
    pub(crate) fn access(&self, harness: &Harness) -> NatsArgs {
        NatsArgs { nats_url: format!("nats://{}", self.address), ..harness.access.clone() }
    }

    /// Cuts off the present connections whose names end like this.
    pub(crate) fn cut(&self, name: &'static str) {
        self.cut.send_replace(Some(name));
    }

    /// Returns once the last request has passed.
    pub(crate) async fn ended(&self) {
        let mut left = self.left.subscribe();
        within(TIMEOUT, left.wait_for(|left| *left == Some(0))).await.unwrap().unwrap();
    }

    async fn start_counting(harness: &Harness, most: Option<usize>, counted: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (cut, left) = (watch::Sender::new(None), watch::Sender::new(most));
        let way =
            Way { target: harness.broker.server.address(), cut: cut.clone(), left: left.clone(), counted };
        let mut accepting = JoinSet::new();
        accepting.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                connections.spawn(carry(client, way.clone()));
            }
        });
        Self { address, cut, left, _accepting: accepting }
    }
}

/// Carries one connection until either side closes it, or it is cut off.
async fn carry(client: TcpStream, way: Way) {
    let Ok(server) = TcpStream::connect(way.target).await else { return };
    let (from_client, mut to_client) = client.into_split();
    let (mut from_server, to_server) = server.into_split();
    let (mut cut, mut left) = (way.cut.subscribe(), way.left.subscribe());
    let mut upward = Upward { from: BufReader::new(from_client), to: to_server, name: String::new(), way };
    let (mut down, mut line) = (vec![0; 65_536], Vec::new());
    loop {
        tokio::select! {
            biased;
            // The last request has passed, perhaps on another connection, so no answer is passed back any
            // more.
            () = spent(&mut left) => return upward.pretend(None).await,
            // Some connections are cut off.
            name = newly_cut(&mut cut) => {
                if name.is_some_and(|end| upward.name.contains(&format!(" {end}\""))) {
                    return upward.pretend(Some(to_client)).await;
                }
            }
            // The broker sends something.
            read = from_server.read(&mut down) => match read {
                Ok(bytes @ 1..) if to_client.write_all(&down[..bytes]).await.is_ok() => {}
                _ => return,
            },
            // The client sends something. A partly read line stays in the buffer when another arm is faster.
            read = upward.from.read_until(b'\n', &mut line) => {
                if !matches!(read, Ok(1..)) || upward.pass(&mut line).await.is_err() {
                    return;
                }
            }
        }
    }
}

async fn spent(left: &mut watch::Receiver<Option<usize>>) {
    if left.wait_for(|left| *left == Some(0)).await.is_err() {
        std::future::pending::<()>().await;
    }
}

async fn newly_cut(cut: &mut watch::Receiver<Option<&'static str>>) -> Option<&'static str> {
    match cut.changed().await {
        Ok(()) => *cut.borrow_and_update(),
        Err(_) => std::future::pending().await,
    }
}

/// The way from a client to its broker.
struct Upward {
    from: BufReader<OwnedReadHalf>,
    to: OwnedWriteHalf,
    /// The client's name, and other fields of its CONNECT.
    name: String,
    way: Way,
}

impl Upward {
    /// Passes a line on, with its payload if it is counted.
    async fn pass(&mut self, line: &mut Vec<u8>) -> std::io::Result<()> {
        let text = String::from_utf8_lossy(line);
        let is_request = text.starts_with("PUB") || text.starts_with("HPUB");
        let is_counted = is_request && text.contains(self.way.counted) && self.way.left.borrow().is_some();
        if text.starts_with("CONNECT") {
            self.name = text.into_owned();
        }
        if is_counted {
            let length = String::from_utf8_lossy(line)
                .split_whitespace()
                .next_back()
                .and_then(|word| word.parse().ok())
                .unwrap_or(0);
            let start = line.len();
            line.resize(start + length + 2, 0);
            self.from.read_exact(&mut line[start..]).await?;
        }
        self.to.write_all(line).await?;
        line.clear();
        if is_counted {
            self.way.left.send_modify(|left| *left = left.map(|left| left.saturating_sub(1)));
        }
        Ok(())
    }

    /// Answers pings, if it can, and nothing else, so that the broker and the client believe each other
    /// alive.
    async fn pretend(mut self, mut to_client: Option<OwnedWriteHalf>) {
        let mut line = Vec::new();
        while matches!(self.from.read_until(b'\n', &mut line).await, Ok(1..)) {
            if line == b"PING\r\n"
                && let Some(to_client) = &mut to_client
                && to_client.write_all(b"PONG\r\n").await.is_err()
            {
                return;
            }
            line.clear();
        }
    }
}
