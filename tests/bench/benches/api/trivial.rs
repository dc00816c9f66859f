//! Servers that only answer: one shows how many requests the client can make at most, and the other how many
//! the library for HTTP answers.

use std::{net::SocketAddr, process::Stdio};

use anyhow::Context;
use bytes::Bytes;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    process::{Child, Command},
};

use tidemap_service::child_watchdog::ChildWatchdog;
use tidemap_testkit::client::head_end;
use warp::{Filter, reply::Response};

/// The argument that makes this program such a server.
pub(crate) const ARGUMENT: &str = "--trivial-server";

/// The further argument for [`Kind::Warp`].
const WARP: &str = "warp";

/// What a server does to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// It looks for the end of the request, and for nothing else in it.
    Bare,
    /// It is warp's own server with a single route that has its answer ready, as bytes.
    Warp,
}

/// The server as a process of its own, like what it is compared with; ended on drop.
pub(crate) struct Trivial {
    pub(crate) address: SocketAddr,
    pub(crate) pid: u32,
    _child: Child,
    _watchdog: ChildWatchdog,
}

impl Trivial {
    /// Answers every request with a body of this many bytes.
    pub(crate) async fn start(kind: Kind, body_bytes: usize) -> anyhow::Result<Self> {
        let kind = if kind == Kind::Warp { WARP } else { "" };
        let mut child = Command::new(std::env::current_exe()?)
            .args([ARGUMENT, &body_bytes.to_string(), kind])
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let pid = child.id().context("it runs")?;
        let watchdog = ChildWatchdog::of_process(pid)?;
        let stdout = child.stdout.take().context("its output is piped")?;
        let line = BufReader::new(stdout).lines().next_line().await?.context("it says where it is")?;
        Ok(Self { address: line.parse()?, pid, _child: child, _watchdog: watchdog })
    }
}

/// Serves until it is killed, with the arguments after [`ARGUMENT`].
pub(crate) async fn serve(arguments: &[String]) -> anyhow::Result<()> {
    let (body_bytes, kind) = arguments.split_first().context("how long the answer is")?;
    let body_bytes = body_bytes.parse()?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    if kind.iter().any(|kind| kind == WARP) {
        let body = Bytes::from(vec![b'x'; body_bytes]);
        let route = warp::path!("api" / "stats").map(move || Response::new(body.clone().into()));
        warp::serve(route).incoming(listener).run().await;
        return Ok(());
    }
    let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {body_bytes}\r\n\r\n{}", "x".repeat(body_bytes));
    let answer: &'static [u8] = answer.leak().as_bytes();
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(converse(stream, answer));
    }
}

async fn converse(mut stream: TcpStream, answer: &[u8]) -> anyhow::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = [0; 4096];
    let mut filled = 0;
    loop {
        let read = stream.read(&mut buffer[filled..]).await?;
        if read == 0 {
            return Ok(());
        }
        filled += read;
        if head_end(&buffer[..filled]).is_some() {
            filled = 0;
            stream.write_all(answer).await?;
        }
    }
}
