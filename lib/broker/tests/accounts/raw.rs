//! A client that writes the broker's protocol by hand, to send what client libraries do not.

use std::path::Path;

use serde_json::Value;
use tidemap_broker::Broker;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufStream},
    net::TcpStream,
    time::timeout,
};

use crate::fleet::TEST_TIMEOUT;

/// A connection of a user.
pub(crate) struct RawClient {
    stream: BufStream<TcpStream>,
}

impl RawClient {
    pub(crate) async fn connect(broker: &Broker, seed: &Path) -> Self {
        let pair = nkeys::KeyPair::from_seed(std::fs::read_to_string(seed).unwrap().trim()).unwrap();
        let stream = BufStream::new(TcpStream::connect(broker.address()).await.unwrap());
        let mut client = Self { stream };
        let info: Value = serde_json::from_str(client.line().await.strip_prefix("INFO ").unwrap()).unwrap();
        let signature = base64(&pair.sign(info["nonce"].as_str().unwrap().as_bytes()).unwrap());
        let connect = serde_json::json!({
            "verbose": false, "pedantic": false, "headers": true, "no_responders": true,
            "nkey": pair.public_key(), "sig": signature,
        });
        client.send(&format!("CONNECT {connect}\r\n")).await;
        client
    }

    /// Sends bytes and returns the broker's answer.
    pub(crate) async fn send(&mut self, bytes: &str) -> Vec<String> {
        self.stream.write_all(bytes.as_bytes()).await.unwrap();
        self.stream.write_all(b"PING\r\n").await.unwrap();
        self.stream.flush().await.unwrap();
        let mut said = Vec::new();
        loop {
            match self.line().await.trim_end() {
                "PONG" | "" => return said,
                line => said.push(line.to_owned()),
            }
        }
    }

    async fn line(&mut self) -> String {
        let mut line = String::new();
        timeout(TEST_TIMEOUT, self.stream.read_line(&mut line)).await.expect("the broker speaks").unwrap();
        line
    }
}

/// Base64 for URLs, without padding.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let bits =
            chunk.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for digit in 0..=chunk.len() {
            text.push(char::from(DIGITS[(bits >> (18 - 6 * digit) & 63) as usize]));
        }
    }
    text
}
