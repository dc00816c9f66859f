//! A server of HTTP that keeps what it is sent, and answers as a test wants: well, badly, or not at all.

use std::{
    collections::VecDeque,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use anyhow::Context;
use serde::de::DeserializeOwned;
use tokio::time::Instant;

/// A request or a body has no more bytes.
const MOST_BYTES: u64 = 16 << 20;
/// For each read, so that no thread is left behind.
const READ_TIMEOUT: Duration = Duration::from_secs(30);

/// What a sink was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SentRequest {
    /// `POST`, for example.
    pub method: String,
    /// The path with the query.
    pub path: String,
    /// Names in small letters, with their values.
    pub headers: Vec<(String, String)>,
    /// The body as text.
    pub body: String,
}

impl SentRequest {
    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    /// The body as JSON.
    pub fn json<T: DeserializeOwned>(&self) -> anyhow::Result<T> {
        serde_json::from_str(&self.body).with_context(|| self.body.clone())
    }
}

/// What a sink does with a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// Answers with a status, headers and a body.
    Status(u16, Vec<(&'static str, String)>, String),
    /// Closes the connection without an answer.
    Cut,
    /// Closes the connection in the middle of an answer of status 200.
    Torn,
    /// Never answers, and keeps the connection open.
    Silence,
}

impl Reply {
    /// A status alone.
    pub fn status(status: u16) -> Self {
        Self::Status(status, Vec::new(), String::new())
    }
}

#[derive(Default)]
struct Kept {
    /// With when all of each had come.
    sent: Mutex<Vec<(Instant, SentRequest)>>,
    replies: Mutex<VecDeque<Reply>>,
    silent: Mutex<Vec<TcpStream>>,
    has_ended: AtomicBool,
}

/// The server. It ends with the test.
pub struct HttpSink {
    address: SocketAddr,
    kept: Arc<Kept>,
}

impl HttpSink {
    /// Starts a server that answers everything with 200.
    pub fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let kept = Arc::new(Kept::default());
        let shared = Arc::clone(&kept);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if shared.has_ended.load(Ordering::Relaxed) {
                    return;
                }
                let kept = Arc::clone(&shared);
                // A client that leaves is an error here, and nothing else.
                thread::spawn(move || drop(serve(stream, &kept)));
            }
        });
        Ok(Self { address, kept })
    }

    /// Its address: `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Does this with the next requests; what follows is answered with 200 again.
    pub fn reply_with(&self, replies: impl IntoIterator<Item = Reply>) {
        lock(&self.kept.replies).extend(replies);
    }

    /// All that was sent so far, in the order in which it came.
    pub fn sent(&self) -> Vec<SentRequest> {
        self.arrivals().into_iter().map(|(_, sent)| sent).collect()
    }

    /// The same, with when all of each had come.
    pub fn arrivals(&self) -> Vec<(Instant, SentRequest)> {
        lock(&self.kept.sent).clone()
    }
}

impl Drop for HttpSink {
    fn drop(&mut self) {
        self.kept.has_ended.store(true, Ordering::Relaxed);
        // The thread that accepts looks up once more.
        drop(TcpStream::connect(self.address));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn serve(stream: TcpStream, kept: &Kept) -> anyhow::Result<()> {
    stream.set_read_timeout(Some(READ_TIMEOUT))?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut writer = stream;
    while let Some(sent) = read(&mut reader)? {
        let reply = lock(&kept.replies).pop_front().unwrap_or_else(|| Reply::status(200));
        lock(&kept.sent).push((Instant::now(), sent));
        match reply {
            Reply::Status(status, headers, body) => {
                let mut head = format!("HTTP/1.1 {status} Sink\r\ncontent-length: {}\r\n", body.len());
                for (name, value) in headers {
                    head.push_str(&format!("{name}: {value}\r\n"));
                }
                writer.write_all(format!("{head}\r\n{body}").as_bytes())?;
            }
            Reply::Cut => return Ok(()),
            Reply::Torn => {
                writer.write_all(b"HTTP/1.1 200 Sink\r\ncontent-length: 100\r\n\r\nhalf")?;
                return Ok(());
            }
            Reply::Silence => {
                lock(&kept.silent).push(writer);
                return Ok(());
            }
        }
    }
    Ok(())
}

/// The next request; `None` when the client has left.
fn read(reader: &mut BufReader<TcpStream>) -> anyhow::Result<Option<SentRequest>> {
    let mut head = reader.take(MOST_BYTES);
    let mut line = String::new();
    if head.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut words = line.split_whitespace().map(str::to_owned);
    let (method, path) = (words.next().context("no method")?, words.next().context("no path")?);
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        head.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let length: u64 = length.map_or(Ok(0), |(_, value)| value.parse())?;
    let mut body = Vec::new();
    reader.take(length.min(MOST_BYTES)).read_to_end(&mut body)?;
    let body = String::from_utf8_lossy(&body).into_owned();
    Ok(Some(SentRequest { method, path, headers, body }))
}
