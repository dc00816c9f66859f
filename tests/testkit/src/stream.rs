//! A reader of `/api/stream` with very little cost: the API sends each frame as one chunk, of which only the
//! beginning is read unless more is requested.

use std::net::SocketAddr;

use anyhow::{Context, ensure};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
};

use crate::client::{head_end, request};

const BUFFER_BYTES: usize = 16 * 1024;
/// Enough for a frame's name, id and time.
pub const BEGINNING: usize = 128;

pub const PATH: &str = "/api/stream";

/// An open event stream.
pub struct EventStream {
    stream: TcpStream,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// Whether its frames are compressed.
    pub is_gzip: bool,
}

impl EventStream {
    pub async fn open(address: SocketAddr, coding: &str) -> anyhow::Result<Self> {
        let stream = ask(TcpSocket::new_v4()?, address, PATH, coding).await?;
        let mut opened = Self { stream, buffer: vec![0; BUFFER_BYTES], start: 0, end: 0, is_gzip: false };
        let head = loop {
            opened.fill().await?;
            if let Some(end) = head_end(&opened.buffer[..opened.end]) {
                opened.start = end;
                break String::from_utf8_lossy(&opened.buffer[..end]).to_ascii_lowercase();
            }
        };
        ensure!(head.starts_with("http/1.1 200") && head.contains("transfer-encoding: chunked"), "{head}");
        opened.is_gzip = head.contains("content-encoding: gzip");
        Ok(opened)
    }

    /// Reads the next frame, keeps at most `most` bytes of its beginning, and returns its length.
    pub async fn frame(&mut self, kept: &mut Vec<u8>, most: usize) -> anyhow::Result<usize> {
        kept.clear();
        let length = self.chunk_length().await?;
        // A line break follows each chunk.
        let mut remaining = length + 2;
        while remaining > 0 {
            if self.start == self.end {
                self.fill().await?;
            }
            let taken = remaining.min(self.end - self.start);
            let wanted = taken.min(most.saturating_sub(kept.len()));
            kept.extend_from_slice(&self.buffer[self.start..self.start + wanted]);
            self.start += taken;
            remaining -= taken;
        }
        Ok(length)
    }

    async fn chunk_length(&mut self) -> anyhow::Result<usize> {
        loop {
            let unread = &self.buffer[self.start..self.end];
            if let Some(end) = unread.windows(2).position(|two| two == b"\r\n") {
                let length = usize::from_str_radix(std::str::from_utf8(&unread[..end])?, 16)?;
                ensure!(length > 0, "the stream has ended");
                self.start += end + 2;
                return Ok(length);
            }
            self.fill().await?;
        }
    }

    async fn fill(&mut self) -> anyhow::Result<()> {
        self.buffer.copy_within(self.start..self.end, 0);
        (self.start, self.end) = (0, self.end - self.start);
        let read = self.stream.read(&mut self.buffer[self.end..]).await?;
        ensure!(read > 0, "the stream was cut");
        self.end += read;
        Ok(())
    }
}

/// Sends a request and never reads the answer, for as long as the returned socket lives.
pub async fn deaf(address: SocketAddr, path: &str) -> anyhow::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    // The kernel's own buffer is soon full.
    socket.set_recv_buffer_size(4096)?;
    ask(socket, address, path, "identity").await
}

async fn ask(socket: TcpSocket, address: SocketAddr, path: &str, coding: &str) -> anyhow::Result<TcpStream> {
    let mut stream = socket.connect(address).await.context("cannot connect")?;
    stream.write_all(request(path, coding).as_bytes()).await?;
    Ok(stream)
}

/// Name and number of a frame, from its beginning.
pub fn named(beginning: &[u8]) -> (&str, Option<u64>) {
    let lines = || text(beginning).lines().take_while(|line| !line.starts_with("data:"));
    let name = lines().find_map(|line| line.strip_prefix("event: ")).unwrap_or_default();
    let id = lines().find_map(|line| line.strip_prefix("id: "));
    (name, id.and_then(|id| id.split_once('-')?.1.parse().ok()))
}

/// The time in a delta, from its beginning.
pub fn at_ms(beginning: &[u8]) -> Option<i64> {
    let (_, rest) = text(beginning).split_once("\ndata: {\"at_ms\":")?;
    rest.split([',', '}']).next()?.parse().ok()
}

fn text(beginning: &[u8]) -> &str {
    match std::str::from_utf8(beginning) {
        Ok(text) => text,
        Err(error) => std::str::from_utf8(&beginning[..error.valid_up_to()]).unwrap_or_default(),
    }
}
