//! As much of a request as the fake server looks at.

use anyhow::{Context, ensure};
use tokio::{io::AsyncReadExt, net::TcpStream};
use url::form_urlencoded;

/// More than a browser sends.
const MOST_BYTES: usize = 1 << 16;

/// A request without its headers.
pub(super) struct Request {
    /// The path, decoded.
    pub(super) path: String,
    query: String,
}

impl Request {
    /// Reads one, and returns the socket to answer on.
    pub(super) async fn read(mut socket: TcpStream) -> anyhow::Result<(Self, TcpStream)> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            ensure!(head.len() < MOST_BYTES, "a request without end");
            ensure!(socket.read_buf(&mut head).await? > 0, "gone before it asked");
        }
        let head = String::from_utf8(head)?;
        let target = head.split(' ').nth(1).context("a request names its target")?;
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        Ok((Self { path: decoded(path), query: query.to_owned() }, socket))
    }

    /// The value of a parameter.
    pub(super) fn query(&self, name: &str) -> Option<String> {
        let mut pairs = form_urlencoded::parse(self.query.as_bytes());
        pairs.find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    }
}

/// A path as text. The page writes every character that means something in a form as a code, but for the `=`
/// of ids.
fn decoded(path: &str) -> String {
    form_urlencoded::parse(path.replace('=', "%3D").as_bytes())
        .next()
        .map_or_else(String::new, |(path, _)| path.into_owned())
}
