//! Which protocol a client speaks on its connection.

use std::{io, time::Duration};

use tokio::net::TcpStream;

/// What a client begins with that speaks HTTP/2 without having asked, as proxies do. No request begins so.
const HTTP_2: &[u8; 4] = b"PRI ";
/// The rest of four bytes is on its way.
const REST: Duration = Duration::from_millis(5);

/// Whether the client begins with HTTP/2. Reads nothing.
pub(super) async fn is_http_2(stream: &TcpStream) -> io::Result<bool> {
    let mut begin = [0; HTTP_2.len()];
    loop {
        let length = stream.peek(&mut begin).await?;
        let is_alike = length > 0 && begin[..length] == HTTP_2[..length];
        if !is_alike || length == begin.len() {
            return Ok(is_alike);
        }
        tokio::time::sleep(REST).await;
    }
}
