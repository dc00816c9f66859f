//! A public API with a real broker: whatever hosts keep to themselves, and however it changes, no answer and
//! no event shows it.

use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

use anyhow::{Context, ensure};
use serde_json::Value;
use tidemap_service::clock::unix_ms;
use tidemap_testkit::{
    broker::TestBroker,
    client::address,
    eventually,
    http::{get, get_json, is_ready},
    within,
};
use tidemap_wire::{
    Bps, Hello, Interface, InterfaceRate, Location, LocationSource, NodeId, Probe, Report, Sample, encode,
    http::NodeJson, subject,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

const EVENT_TIMEOUT: Duration = Duration::from_secs(30);
const NODE: &str = "web-01.example";
/// What every text begins with that only its host's own people may read.
const PRIVATE: &str = "innermost";
/// As many changes as are published at once.
const CHANGES: u64 = 6;

fn private(what: &str, change: u64) -> String {
    format!("{PRIVATE}-{what}-{change}")
}

/// The texts of one report that an API of the operator's own shows. Of the host's name, longer than allowed,
/// it shows the beginning.
fn secrets(change: u64) -> Vec<String> {
    let whats =
        ["host", "internal", "external", "os", "kernel", "agent", "disk", "eth", "reason", "eth-address"];
    whats.iter().map(|what| private(what, change)).collect()
}

/// A report in which all of it changes, and part of which is refused.
fn report(change: u64) -> Vec<u8> {
    let private = |what| private(what, change);
    let interface = Interface {
        name: private("eth"),
        counted: true,
        reason: private("reason"),
        addresses: vec![private("eth-address")],
        ..Interface::default()
    };
    let hello = Hello {
        hostname: private("host") + &"x".repeat(300),
        internal_ip: Some(private("internal")),
        external_ip: Some(private("external")),
        addresses: vec![private("address")],
        os: Some(private("os")),
        kernel: Some(private("kernel")),
        agent_version: private("agent"),
        disk_path: Some(private("disk")),
        location: Some(Location { lat: 1.0, lon: 2.0, label: None, source: LocationSource::Given }),
        // Of all this only what an operator has written is for everybody.
        labels: BTreeMap::from([("mark".to_owned(), mark(change))]),
        interfaces: vec![interface],
        ..Hello::default()
    };
    let rate = Bps::new(1_000.0 * change as f64).unwrap();
    let sample = Sample {
        seq: change,
        at_ms: unix_ms(),
        elapsed_ms: 1_000,
        rx_bps: Some(rate),
        tx_bps: Some(rate),
        interfaces: Some(vec![InterfaceRate { name: private("eth"), rx_bps: rate, tx_bps: rate }]),
        probes: Some(vec![Probe {
            target: private("icmp://host"),
            failure: Some(private("failure")),
            ..Probe::default()
        }]),
        ..Sample::default()
    };
    let node = NodeId::from_name(NODE).unwrap();
    encode(&Report { node, boot: 7, hello: Some(Box::new(hello)), samples: vec![sample] })
}

fn mark(change: u64) -> String {
    format!("mark-{change}.")
}

/// All bytes of an event stream so far.
struct Stream {
    connection: TcpStream,
    bytes: Vec<u8>,
}

impl Stream {
    async fn open(api: SocketAddr) -> Self {
        let mut connection = TcpStream::connect(api).await.unwrap();
        connection.write_all(b"GET /api/stream HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
        Self { connection, bytes: Vec::new() }
    }

    /// Reads on until the stream contains this.
    async fn shows(&mut self, text: &str) {
        let mut buffer = vec![0; 64 * 1024];
        while !self.text().contains(text) {
            let read = within(EVENT_TIMEOUT, self.connection.read(&mut buffer)).await;
            let read = read.with_context(|| format!("no {text}: {}", self.text())).unwrap().unwrap();
            assert!(read > 0, "the stream ended: {}", self.text());
            self.bytes.extend_from_slice(&buffer[..read]);
        }
    }

    fn text(&self) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(&self.bytes)
    }
}

/// Every path that can be read by the API's own description, and some questions about what is hidden.
async fn paths(url: &str) -> Vec<String> {
    let description: Value = get_json(format!("{url}/api/openapi.json")).await.unwrap();
    let described = description["paths"].as_object().unwrap().keys();
    let mut paths: Vec<String> =
        described.filter(|path| *path != "/api/stream").map(|path| path.replace("{name}", NODE)).collect();
    let sorts = ["hostname", "name", "status"].map(|field| format!("/api/nodes?sort={field}"));
    let groups = ["provider", "location", "label:mark"].map(|by| format!("/api/stats?by={by}"));
    paths.extend([sorts, groups].concat());
    paths.extend(
        ["/", "/api/nodes?q=innermost", "/api/nodes/nobody", "/api/nodes?by=kernel"].map(str::to_owned),
    );
    paths
}

/// The node as an API shows it once it shows this change.
async fn node(url: &str, change: u64) -> (NodeJson, String) {
    let shown = eventually(EVENT_TIMEOUT, || async {
        let answer = get(format!("{url}/api/nodes/{NODE}")).await?;
        ensure!(answer.status == 200 && answer.body.contains(&mark(change)), "{}", answer.body);
        Ok((answer.json()?, answer.body))
    });
    shown.await.unwrap()
}

#[tokio::test]
async fn a_public_api_keeps_to_itself_what_changes_while_it_is_watched() {
    let broker = TestBroker::start().await.unwrap();
    let _worker = broker.ingest(&[]).unwrap();
    let (_own, own) = broker.api().await.unwrap();
    let (_public, public) = broker.api_with(&["--http", "127.0.0.1:0", "--public"]).await.unwrap();
    for url in [&own, &public] {
        eventually(EVENT_TIMEOUT, || is_ready(url)).await.unwrap();
    }
    let mut stream = Stream::open(address(&public).unwrap()).await;
    stream.shows("event: snapshot").await;
    let agent = tidemap_testkit::broker::jetstream(broker.connect().await.unwrap());
    let subject = subject::sample(&NodeId::from_name(NODE).unwrap());
    for change in 1..=CHANGES {
        let publish = async { agent.publish(subject.clone(), report(change).into()).await?.await };
        within(EVENT_TIMEOUT, publish).await.unwrap().unwrap();
        // Of this host's own people nothing is hidden, so it has reached the API.
        let (known, text) = node(&own, change).await;
        for secret in secrets(change) {
            assert!(text.contains(&secret), "{secret}: {text}");
        }
        assert_eq!(known.refused_reason.as_deref(), Some("oversized"), "{known:?}");

        stream.shows(&mark(change)).await;
        let (shown, _) = node(&public, change).await;
        assert_eq!((shown.refused_reports, shown.refused_reason), (Some(change), None));
        for path in paths(&public).await {
            let answer = get(format!("{public}{path}")).await.unwrap();
            assert!(!answer.body.contains(PRIVATE), "{path}: {}", answer.body);
        }
    }
    // A stream that begins now tells no more, and the first goes on.
    let mut late = Stream::open(address(&public).unwrap()).await;
    late.shows(&mark(CHANGES)).await;
    stream.shows("event: stats").await;
    for text in [stream.text(), late.text()] {
        assert!(!text.contains(PRIVATE) && !text.contains("oversized"), "{text}");
    }
    let deltas = stream.text().matches("event: delta").count();
    assert!(deltas >= CHANGES as usize, "{deltas}");
}
