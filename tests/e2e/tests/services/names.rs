//! The names by which the API is reached, directly and behind a real nginx, and which pages may change
//! something.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context, ensure};
use tidemap_testkit::{
    broker::TestBroker, client::address, eventually, http::get_json, nginx::Nginx, process::Tidemap, within,
};
use tidemap_wire::http::NodeJson;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

const EVENT_TIMEOUT: Duration = Duration::from_secs(30);
const NODES: u32 = 12;
const TOKEN: &str = "a-secret-of-tests";
/// The name that the proxy's readers know.
const NAME: &str = "fleet.example";
/// A proxy that passes on the name that a reader has asked for.
const PASSES_ON: &str = "proxy_set_header Host $http_host;";
/// Likewise, as often written: without the port.
const PASSES_ON_BARE: &str = "proxy_set_header Host $host;";
/// nginx names the API by the address at which it reaches it, unless it is configured.
const KEEPS: &str = "";

/// The services with a small fleet.
struct Scene {
    broker: TestBroker,
    api: SocketAddr,
    names: Vec<String>,
    _running: [Tidemap; 3],
}

impl Scene {
    async fn open() -> Self {
        let broker = TestBroker::start().await.unwrap();
        let worker = broker.ingest(&[]).unwrap();
        let (api, url) = start(&broker, &[]).await;
        let fleet = broker.simulate(NODES).unwrap();
        let names = eventually(EVENT_TIMEOUT, || async {
            let nodes: Vec<NodeJson> = get_json(format!("{url}/api/nodes")).await?;
            ensure!(nodes.len() == NODES as usize, "{} nodes", nodes.len());
            Ok(nodes.into_iter().map(|node| node.name).collect())
        });
        let names = names.await.unwrap();
        Self { broker, api: address(&url).unwrap(), names, _running: [api, worker, fleet] }
    }
}

/// Starts an API with more arguments, and returns its URL.
async fn start(broker: &TestBroker, more: &[&str]) -> (Tidemap, String) {
    let args = ["--http", "127.0.0.1:0", "--api-token", TOKEN];
    broker.api_with(&[&args, more].concat()).await.unwrap()
}

async fn proxy(api: SocketAddr, directive: &str) -> Nginx {
    Nginx::start(&format!("location / {{ proxy_pass http://{api}; {directive} }}"), &[]).await.unwrap()
}

/// What was answered: the status, and all of it.
#[derive(Debug)]
struct Answer {
    status: u16,
    text: String,
}

/// Sends a request's head, and reads until `ends` holds for what came, or the other side closes.
async fn converse(to: SocketAddr, head: &str, ends: impl Fn(&str) -> bool) -> anyhow::Result<Answer> {
    let mut stream = TcpStream::connect(to).await?;
    stream.write_all(head.as_bytes()).await?;
    let (mut bytes, mut buffer) = (Vec::new(), vec![0; 64 * 1024]);
    let text = loop {
        let read = within(EVENT_TIMEOUT, stream.read(&mut buffer)).await??;
        bytes.extend_from_slice(&buffer[..read]);
        let text = String::from_utf8_lossy(&bytes);
        if read == 0 || ends(&text) {
            break text.into_owned();
        }
    };
    let status = text.split(' ').nth(1).and_then(|status| status.parse().ok());
    Ok(Answer { status: status.with_context(|| format!("no answer: {text}"))?, text })
}

/// Sends a request line and headers, and reads the answer to its end.
async fn ask(to: SocketAddr, line: &str, headers: &[&str]) -> Answer {
    let lines: String = headers.iter().flat_map(|header| [header, "\r\n"]).collect();
    let head = format!("{line}\r\n{lines}Connection: close\r\n\r\n");
    converse(to, &head, |_| false).await.unwrap()
}

/// The status of `GET` for a name.
async fn read(to: SocketAddr, path: &str, host: &str) -> u16 {
    ask(to, &format!("GET {path} HTTP/1.1"), &[&format!("Host: {host}")]).await.status
}

/// What everything that a reader needs is answered with: the page, the nodes, and events that go on.
async fn reads(to: SocketAddr, host: &str) {
    for path in ["/", "/healthz", "/api/nodes", "/api/stats"] {
        assert_eq!(read(to, path, host).await, 200, "{host}{path}");
    }
    let head = format!("GET /api/stream HTTP/1.1\r\nHost: {host}\r\n\r\n");
    let stream = converse(to, &head, |text| text.matches("event: delta").count() >= 3).await.unwrap();
    assert_eq!(stream.status, 200, "{}", stream.text);
    assert!(stream.text.contains("event: snapshot"), "{}", stream.text);
}

/// The status of a `DELETE` with the token, by a page of this origin, with what its browser says of the page.
async fn delete(to: SocketAddr, host: &str, node: &str, origin: &str, site: Option<&str>) -> u16 {
    let mut headers =
        vec![format!("Host: {host}"), format!("Authorization: Bearer {TOKEN}"), format!("Origin: {origin}")];
    headers.extend(site.map(|site| format!("Sec-Fetch-Site: {site}")));
    let headers: Vec<&str> = headers.iter().map(String::as_str).collect();
    ask(to, &format!("DELETE /api/nodes/{node} HTTP/1.1"), &headers).await.status
}

/// A page of this origin makes the fleet forget a node, which goes on reporting. A worker that stands still
/// does not answer in time, so the page asks again.
async fn forgets(to: SocketAddr, host: &str, node: &str, origin: &str, site: Option<&str>) {
    eventually(EVENT_TIMEOUT, || async {
        let status = delete(to, host, node, origin, site).await;
        assert_ne!(status, 403, "{origin} {site:?}");
        ensure!(status == 204, "{origin} {site:?}: {status}");
        Ok(())
    })
    .await
    .unwrap();
}

/// Pages of other origins change nothing, whatever they or their browsers leave out.
async fn refuses_foreign_pages(to: SocketAddr, host: &str, node: &str) {
    for (origin, site) in [
        ("https://evil.example", Some("cross-site")),
        ("https://evil.fleet.example", Some("same-site")),
        ("https://evil.example", None),
        ("null", Some("cross-site")),
        ("null", None),
    ] {
        assert_eq!(delete(to, host, node, origin, site).await, 403, "{origin} {site:?}");
    }
}

#[tokio::test]
async fn behind_a_proxy_that_passes_its_name_on_the_api_has_to_know_that_name() {
    let scene = Scene::open().await;
    let unnamed = proxy(scene.api, PASSES_ON).await;
    for path in ["/", "/api/nodes", "/api/stream", "/metrics"] {
        let refused = ask(unnamed.address, &format!("GET {path} HTTP/1.1"), &["Host: fleet.example"]).await;
        assert_eq!(refused.status, 421, "{}", refused.text);
        assert!(refused.text.contains("--host fleet.example (TIDEMAP_HOSTS)"), "{}", refused.text);
    }

    let (_named, url) = start(&scene.broker, &["--host", NAME]).await;
    let named_address = address(&url).unwrap();
    eventually(EVENT_TIMEOUT, || async {
        let nodes: Vec<NodeJson> = get_json(format!("{url}/api/nodes")).await?;
        ensure!(nodes.len() == NODES as usize, "{} nodes", nodes.len());
        Ok(())
    })
    .await
    .unwrap();
    let mut nodes = scene.names.iter();
    for directive in [PASSES_ON, PASSES_ON_BARE] {
        let proxy = proxy(named_address, directive).await;
        reads(proxy.address, NAME).await;
        reads(proxy.address, "Fleet.Example:8443").await;
        refuses_foreign_pages(proxy.address, NAME, &scene.names[0]).await;
        assert_eq!(read(proxy.address, "/api/nodes", "evil.example").await, 421);
        // TLS ends at the proxy, of which the API sees nothing but the origin. Old browsers say no more.
        for (origin, host) in
            [("https://fleet.example", NAME), ("https://fleet.example:8443", "fleet.example:8443")]
        {
            for site in [Some("same-origin"), None] {
                let node = nodes.next().unwrap();
                forgets(proxy.address, host, node, origin, site).await;
            }
        }
    }
}

#[tokio::test]
async fn a_proxy_that_keeps_the_apis_own_name_works_as_it_is() {
    let scene = Scene::open().await;
    let proxy = proxy(scene.api, KEEPS).await;
    reads(proxy.address, NAME).await;
    refuses_foreign_pages(proxy.address, NAME, &scene.names[0]).await;
    forgets(proxy.address, NAME, &scene.names[0], "https://fleet.example", Some("same-origin")).await;
}

#[tokio::test]
async fn a_request_is_for_the_name_that_it_says_in_whichever_way() {
    let broker = TestBroker::start().await.unwrap();
    let (_api, url) = start(&broker, &[]).await;
    let api = address(&url).unwrap();
    let port = api.port();
    let own = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    for host in [
        "localhost",
        "LOCALHOST.",
        "fleet.localhost:80",
        "127.0.0.1",
        "[::1]",
        "[0:0:0:0:0:0:0:1]",
        "[::ffff:127.0.0.1]",
        "192.0.2.7",
        own.trim(),
    ] {
        assert_eq!(read(api, "/healthz", host).await, 200, "{host}");
        assert_eq!(
            read(api, "/healthz", &format!("{}:{port}", host.trim_end_matches(":80"))).await,
            200,
            "{host}"
        );
    }
    for host in [
        "evil.example",
        "EVIL.example.",
        "localhost.evil.example",
        "evillocalhost",
        "127.0.0.1.evil.example",
        "127.0.0.1@evil.example",
        "evil.example@127.0.0.1",
        "user:secret@localhost",
        "localhost evil.example",
        "localhost,evil.example",
        "localhost/evil.example",
        "[::1].evil.example",
        "[::1",
        "::1",
        "",
        "lo\u{e7}alhost",
    ] {
        assert_eq!(read(api, "/healthz", host).await, 421, "{host:?}");
    }

    for (line, headers, expected) in [
        // Browsers send neither.
        ("GET /healthz HTTP/1.0", &[][..], 200),
        ("GET /healthz HTTP/1.1", &[], 200),
        ("GET /healthz HTTP/1.0", &["Host: evil.example"], 421),
        ("GET /healthz HTTP/1.1", &["Host: localhost", "Host: evil.example"], 421),
        ("GET /healthz HTTP/1.1", &["Host: evil.example", "Host: localhost"], 421),
        ("GET http://localhost/healthz HTTP/1.1", &["Host: localhost"], 200),
        // The target counts, not `Host`.
        ("GET http://localhost/healthz HTTP/1.1", &["Host: evil.example"], 200),
        ("GET http://evil.example/healthz HTTP/1.1", &["Host: localhost"], 421),
        ("GET http://evil.example/healthz HTTP/1.0", &[], 421),
        ("GET http://localhost@evil.example/healthz HTTP/1.1", &["Host: localhost"], 421),
        // Nobody but the sender vouches for what a proxy would say.
        ("GET /healthz HTTP/1.1", &["Host: evil.example", "X-Forwarded-Host: localhost"], 421),
        ("GET /healthz HTTP/1.1", &["Host: evil.example", "Forwarded: host=localhost"], 421),
        ("GET /healthz HTTP/1.1", &["Host: localhost", "X-Forwarded-Host: fleet.example"], 200),
    ] {
        let answer = ask(api, line, headers).await;
        assert_eq!(answer.status, expected, "{line} {headers:?}: {}", answer.text);
    }
}

#[tokio::test]
async fn beyond_loopback_every_name_is_answered_until_one_is_given() {
    let broker = TestBroker::start().await.unwrap();
    let own = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    let own = own.trim();
    let mdns = format!("{own}.local");
    let open = ["--http", "0.0.0.0:0", "--public"];
    for (more, local) in [(&[][..], 200), (&["--host", NAME], 421), (&["--host", NAME, "--host", &mdns], 200)]
    {
        let (_api, url) = broker.api_with(&[&open, more].concat()).await.unwrap();
        let api = SocketAddr::from(([127, 0, 0, 1], address(&url).unwrap().port()));
        for host in ["127.0.0.1", "192.0.2.7:8080", "localhost:8080", own] {
            assert_eq!(read(api, "/", host).await, 200, "{more:?} {host}");
        }
        assert_eq!(read(api, "/", &mdns).await, local, "{more:?}");
    }
}
