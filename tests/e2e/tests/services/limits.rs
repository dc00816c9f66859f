//! Clients beyond loopback: how much one address may use without affecting others.

use std::{collections::BTreeMap, net::SocketAddr, process::Stdio, time::Duration};

use anyhow::{Context, ensure};
use serde::Deserialize;
use tidemap_testkit::{broker::TestBroker, eventually, http::get, namespace::Namespace, within};
use tidemap_wire::http::ErrorJson;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout},
};

const EVENT_TIMEOUT: Duration = Duration::from_secs(30);
const TOKEN: &str = "a-secret-of-tests";
/// Connects as often as its arguments say, requests once on its newest connection, then on its oldest until
/// it is refused, and stays connected.
const GREEDY: &str = r#"
import http.client, json, sys
host, port, token, count = sys.argv[1:]
connections = [http.client.HTTPConnection(host, int(port), timeout=30) for _ in range(int(count))]
for connection in connections:
    connection.connect()
def ask(connection):
    connection.request("GET", "/api/nodes", headers={"Authorization": "Bearer " + token})
    answer = connection.getresponse()
    headers = {name.lower(): value for name, value in answer.getheaders()}
    print(json.dumps({"status": answer.status, "headers": headers, "body": answer.read().decode()}), flush=True)
    return answer.status
ask(connections[-1])
while ask(connections[0]) == 200:
    pass
sys.stdin.read()
"#;

/// An answer that the greedy client has printed.
#[derive(Debug, Deserialize)]
struct PrintedAnswer {
    status: u16,
    headers: BTreeMap<String, String>,
    body: String,
}

/// The greedy client, until it is dropped.
struct Greedy {
    _child: Child,
    stdin: ChildStdin,
    stdout: Lines<BufReader<ChildStdout>>,
}

impl Greedy {
    fn start(host: &Namespace, api: SocketAddr, connections: u32) -> Self {
        let mut child = host
            .command("python3")
            .args(["-c", GREEDY, &api.ip().to_string(), &api.port().to_string(), TOKEN])
            .arg(connections.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let stdin = child.stdin.take().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { _child: child, stdin, stdout }
    }

    async fn next(&mut self) -> anyhow::Result<PrintedAnswer> {
        let line = within(EVENT_TIMEOUT, self.stdout.next_line())
            .await
            .context("no word")??
            .context("it has ended")?;
        Ok(serde_json::from_str(&line)?)
    }

    async fn end(mut self) {
        self.stdin.shutdown().await.unwrap();
        drop(self.stdin);
        self._child.wait().await.unwrap();
    }
}

impl PrintedAnswer {
    /// Checks that it is a refusal in words, and returns how long to wait.
    fn refusal(&self, detail: &str) -> u64 {
        assert_eq!(self.status, 429, "{self:?}");
        assert_eq!(serde_json::from_str::<ErrorJson>(&self.body).unwrap().detail, detail);
        for (name, value) in [("content-type", "application/json"), ("x-content-type-options", "nosniff")] {
            assert_eq!(self.headers[name], value, "{self:?}");
        }
        self.headers["retry-after"].parse().unwrap()
    }
}

#[tokio::test]
async fn one_address_takes_no_more_than_its_share_and_another_does_not_notice() {
    let host = Namespace::new().unwrap();
    let broker = TestBroker::start().await.unwrap();
    let http = format!("{}:0", host.here);
    let limits = ["--connections-per-address", "2", "--requests-per-address", "1"];
    let args = [&["--http", &http, "--api-token", TOKEN], &limits[..]].concat();
    let (_api, url) = broker.api_with(&args).await.unwrap();
    let address: SocketAddr = url.trim_start_matches("http://").trim_end_matches('/').parse().unwrap();

    let mut greedy = Greedy::start(&host, address, 3);
    let refused = greedy.next().await.unwrap();
    assert_eq!(refused.refusal("this address has the maximum number of connections"), 5);
    assert_eq!(refused.headers["connection"], "close");
    assert_eq!(greedy.next().await.unwrap().status, 200, "it has the token");
    let refused = loop {
        let answer = greedy.next().await.unwrap();
        if answer.status != 200 {
            break answer;
        }
    };
    assert_eq!(refused.refusal("this address sends too many requests"), 1);

    // It still holds its connections, and has used up its requests. This side of the link is another address.
    assert_eq!(get(format!("{url}/healthz")).await.unwrap().status, 200);
    assert_eq!(
        get(format!("{url}/api/nodes")).await.unwrap().status,
        401,
        "not loopback: the token is missing"
    );

    // A client that closes its connections and waits is served again.
    greedy.end().await;
    eventually(EVENT_TIMEOUT, || async {
        let answer = Greedy::start(&host, address, 1).next().await?;
        ensure!(answer.status == 200, "{answer:?}");
        Ok(())
    })
    .await
    .unwrap();
}
