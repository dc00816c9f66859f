//! A token for reading, another for the admin, directly and behind a real nginx that asks for a password of
//! its own.

use anyhow::ensure;
use tidemap_testkit::{broker::TestBroker, client::address, eventually, http::get_json, nginx::Nginx};
use tidemap_wire::http::NodeJson;
use ureq::Agent;

use crate::{EVENT_TIMEOUT, done, ran, text};

const ADMIN: &str = "an-admins-secret-of-tests";
const READER: &str = "a-readers-secret-of-tests";
/// `reader:secret`, as nginx asks for it.
const PASSWORD: &str = "Basic cmVhZGVyOnNlY3JldA==";

/// The status of a request with these headers.
async fn status(method: &'static str, url: &str, headers: &[(&'static str, &str)]) -> u16 {
    let headers: Vec<(&str, String)> =
        headers.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    let url = url.to_owned();
    let asked = tokio::task::spawn_blocking(move || {
        let agent: Agent = Agent::config_builder().http_status_as_error(false).build().into();
        let request = match method {
            "GET" => agent.get(&url),
            _ => agent.delete(&url),
        };
        let request = headers.into_iter().fold(request, |request, (name, value)| request.header(name, value));
        request.call().unwrap().status().as_u16()
    });
    asked.await.unwrap()
}

#[tokio::test]
async fn readers_and_the_admin_have_tokens_of_their_own_behind_a_proxys_password_too() {
    let broker = TestBroker::start().await.unwrap();
    let _worker = broker.ingest(&[]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, content: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    };
    let (admin, reader) = (file("admin", ADMIN), file("reader", READER));
    let tokens = ["--api-token-file", text(&admin), "--read-token-file", text(&reader)];
    let (_api, url) = broker.api_with(&[&["--http", "127.0.0.1:0"], &tokens[..]].concat()).await.unwrap();
    // The other API tells of the fleet without a token.
    let (_open, open) = broker.api().await.unwrap();
    let _agent = broker.agent("web-01", &[]).unwrap();
    eventually(EVENT_TIMEOUT, async || {
        let nodes: Vec<NodeJson> = get_json(format!("{open}/api/nodes")).await?;
        ensure!(nodes.len() == 1, "{} nodes", nodes.len());
        Ok(())
    })
    .await
    .unwrap();

    let (nodes, node) = (format!("{url}/api/nodes"), format!("{url}/api/nodes/web-01"));
    let bearer = |token: &str| format!("Bearer {token}");
    for (method, path, token, expected) in [
        ("GET", &nodes, None, 401),
        ("GET", &nodes, Some(READER), 200),
        ("GET", &nodes, Some(ADMIN), 200),
        ("DELETE", &node, None, 401),
        ("DELETE", &node, Some(READER), 401),
    ] {
        for name in ["authorization", "x-tidemap-token"] {
            let value =
                token.map(|token| if name == "authorization" { bearer(token) } else { token.to_owned() });
            let headers: Vec<(&str, &str)> = value.iter().map(|value| (name, value.as_str())).collect();
            assert_eq!(status(method, path, &headers).await, expected, "{method} {name} {token:?}");
        }
    }

    // As docs/operations.md has it: readers have nginx' password, the admin a token beside it.
    let users = Nginx::READER.replace(':', ":{PLAIN}");
    let directives = format!(
        "auth_basic Fleet; auth_basic_user_file users; set $token $http_x_tidemap_token;
        if ($token = \"\") {{ set $token {READER}; }}
        location / {{ proxy_pass http://{}; proxy_set_header X-Tidemap-Token $token; }}",
        address(&url).unwrap()
    );
    let proxy = Nginx::start(&directives, &[("users", users.as_bytes())]).await.unwrap();
    let there = format!("http://{}", proxy.address);
    let (nodes, node) = (format!("{there}/api/nodes"), format!("{there}/api/nodes/web-01"));
    assert_eq!(status("GET", &nodes, &[]).await, 401);
    assert_eq!(status("GET", &nodes, &[("authorization", PASSWORD)]).await, 200);
    assert_eq!(status("DELETE", &node, &[("authorization", PASSWORD)]).await, 401);
    assert_eq!(status("DELETE", &node, &[("x-tidemap-token", ADMIN)]).await, 401, "nginx asks first");

    let password = file("password", Nginx::READER);
    let through = ["--url", &there, "--api-password-file", text(&password)];
    assert!(done(&[&["nodes"], &through[..]].concat()).await.contains("web-01"));
    let refused = ran(&[&["forget", "web-01"], &through[..]].concat()).await;
    assert!(!refused.status.success(), "{refused:?}");
    let as_admin = [&through[..], &["--api-token-file", text(&admin)]].concat();
    // A worker that stands still answers later.
    eventually(EVENT_TIMEOUT, async || {
        let forgotten = ran(&[&["forget", "web-01"], &as_admin[..]].concat()).await;
        ensure!(forgotten.status.success(), "{forgotten:?}");
        Ok(())
    })
    .await
    .unwrap();
}
