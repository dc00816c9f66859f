//! A scripted server: it serves the page's files and one event stream, as fast as the page reads it.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::Context;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    task::JoinSet,
};

/// Events that may wait for the page; beyond it the sender waits.
const WAITING: usize = 2;

type Words = mpsc::Receiver<Vec<u8>>;
/// The stream goes to the first client that requests it.
type Stream = Arc<Mutex<Option<Words>>>;

/// The server, ended on drop.
pub(crate) struct Server {
    pub(crate) url: String,
    words: mpsc::Sender<Vec<u8>>,
    _accepting: JoinSet<()>,
}

impl Server {
    /// Starts one on a free port.
    pub(crate) async fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let (words, heard) = mpsc::channel(WAITING);
        let mut accepting = JoinSet::new();
        accepting.spawn(accept(listener, Arc::new(Mutex::new(Some(heard)))));
        Ok(Self { url, words, _accepting: accepting })
    }

    /// Sends an event to the page, once it has received the ones before.
    pub(crate) async fn say(&self, words: Vec<u8>) -> anyhow::Result<()> {
        self.words.send(words).await.context("the page has closed its stream")
    }
}

async fn accept(listener: TcpListener, stream: Stream) {
    let mut connections = JoinSet::new();
    while let Ok((connection, _)) = listener.accept().await {
        let stream = Arc::clone(&stream);
        // A browser may close a connection at any time.
        connections.spawn(async move { converse(connection, stream).await.unwrap_or_default() });
    }
}

async fn converse(mut connection: TcpStream, stream: Stream) -> anyhow::Result<()> {
    connection.set_nodelay(true)?;
    let mut asked = Vec::new();
    loop {
        let Some(end) = asked.windows(4).position(|four| four == b"\r\n\r\n") else {
            if connection.read_buf(&mut asked).await? == 0 {
                return Ok(());
            }
            continue;
        };
        let head = String::from_utf8_lossy(&asked[..end]).into_owned();
        asked.drain(..end + 4);
        let path = head.split_whitespace().nth(1).context("a request names a path")?;
        let path = path.split('?').next().unwrap_or(path);
        if path == "/api/stream" {
            let words = stream.lock().unwrap_or_else(PoisonError::into_inner).take();
            return speak(connection, words.context("the stream is taken")?).await;
        }
        connection.write_all(&file(path)).await?;
    }
}

async fn speak(mut connection: TcpStream, mut words: Words) -> anyhow::Result<()> {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncache-control: no-store\r\n\r\n";
    connection.write_all(head.as_bytes()).await?;
    while let Some(words) = words.recv().await {
        connection.write_all(&words).await?;
    }
    Ok(())
}

/// A file of the page as it was built, compressed as the API sends it.
fn file(path: &str) -> Vec<u8> {
    let name = if path == "/" { "index.html" } else { path.trim_start_matches('/') };
    let media_type = match name.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript",
        Some("css") => "text/css",
        Some("wasm") => "application/wasm",
        Some("svg") => "image/svg+xml",
        _ => "application/octet-stream",
    };
    match std::fs::read(folder().join(name).with_added_extension("gz")) {
        Ok(body) => {
            let length = body.len();
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: {media_type}\r\ncontent-encoding: gzip\r\ncontent-length: {length}\r\n\r\n"
            );
            [head.into_bytes(), body].concat()
        }
        Err(_) => b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n".to_vec(),
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../dist/web")
}
