//! Who may read, who may administer, and what public pages leave out.

use futures_util::StreamExt;

use super::*;
use crate::http::events;

#[tokio::test]
async fn forgetting_needs_the_token_and_a_worker() {
    let with_token = api(Readers::WithToken).await;
    let delete = |authorization: Option<&str>| {
        let request = warp::test::request().method("DELETE").path("/api/nodes/db");
        match authorization {
            Some(value) => request.header("authorization", value),
            None => request,
        }
    };
    for wrong in
        [None, Some("Bearer wrong"), Some("a-secret-of-tests"), Some("Basic dTphLXNlY3JldC1vZi10ZXN0cw==")]
    {
        let answer = delete(wrong).reply(&with_token).await;
        assert_eq!(answer.status(), 401, "{wrong:?}");
        assert!(detail(&answer).contains("token"));
    }
    let answer = delete(Some("Bearer a-secret-of-tests")).reply(&with_token).await;
    assert_eq!((answer.status().as_u16(), detail(&answer)), (503, "the broker is not connected".to_owned()));
    assert_eq!(answer.headers()["retry-after"], "1");
    let with_query = warp::test::request().method("DELETE").path("/api/nodes/db?dry_run");
    let answer = with_query.header("authorization", "Bearer a-secret-of-tests").reply(&with_token).await;
    assert_eq!((answer.status().as_u16(), detail(&answer)), (422, "dry_run: no such parameter".to_owned()));
    let answer = delete(Some("Bearer a-secret-of-tests")).reply(&api(Readers::OnLoopback).await).await;
    assert_eq!(answer.status(), 401, "without a configured token nobody is an admin");
}

#[tokio::test]
async fn beyond_loopback_reading_needs_the_token() {
    let api = api(Readers::WithToken).await;
    for path in [
        "/",
        "/api/nodes",
        "/api/nodes/db",
        "/api/nodes/db/history",
        "/api/history",
        "/api/history/status",
        "/api/top",
        "/api/stats",
        "/api/stats/recent",
        "/api/stream",
        "/api/openapi.json",
        "/metrics",
    ] {
        let answer = warp::test::request().path(path).reply(&api).await;
        assert_eq!(answer.status(), 401, "{path}");
        assert!(answer.headers()["www-authenticate"].to_str().unwrap().starts_with("Basic "));
    }
    // A browser sends "u:a-secret-of-tests" for the user name `u` and the token as the password.
    for right in ["Bearer a-secret-of-tests", "Basic dTphLXNlY3JldC1vZi10ZXN0cw=="] {
        let request = warp::test::request().path("/api/nodes").header("authorization", right);
        assert_eq!(request.reply(&api).await.status(), 200, "{right}");
    }
    assert_eq!(warp::test::request().path("/healthz").reply(&api).await.status(), 200);
}

#[tokio::test]
async fn a_readers_token_reads_and_administers_nothing() {
    let api = api(Readers::WithToken).await;
    let ask = |method: &str, header: &str, value: &str| {
        warp::test::request().method(method).path("/api/nodes/db").header(header, value).reply(&api)
    };
    // "u:a-secret-of-readers".
    for (header, value) in [
        ("authorization", "Bearer a-secret-of-readers"),
        ("authorization", "Basic dTphLXNlY3JldC1vZi1yZWFkZXJz"),
        ("x-tidemap-token", "a-secret-of-readers"),
    ] {
        assert_eq!(ask("GET", header, value).await.status(), 200, "{header}: {value}");
        assert_eq!(ask("DELETE", header, value).await.status(), 401, "{header}: {value}");
    }
    assert!(detail(&ask("DELETE", "x-tidemap-token", READ_TOKEN).await).contains("a reader's"));
    assert_eq!(ask("GET", "x-tidemap-token", "a-secret-of-others").await.status(), 401);
    // Beside a proxy's own password. Without a broker it goes no further.
    for (method, status) in [("GET", 200), ("DELETE", 503)] {
        let request = warp::test::request().method(method).path("/api/nodes/db");
        let request = request.header("authorization", "Basic cmVhZGVyOnNlY3JldA==");
        let answer = request.header("x-tidemap-token", TOKEN).reply(&api).await;
        assert_eq!(answer.status(), status, "{method}");
    }
}

#[tokio::test]
async fn a_page_elsewhere_reads_nothing_and_changes_nothing() {
    let api = api(Readers::OnLoopback).await;
    let preflight = warp::test::request().method("OPTIONS").path("/api/nodes/db").reply(&api).await;
    assert_eq!(preflight.status(), 204);
    assert_eq!(preflight.headers()["access-control-allow-methods"], "GET, HEAD");
    for path in ["/api/nodes", "/api/nope"] {
        let request = warp::test::request().path(path).header("origin", "https://evil.example");
        let answer = request.reply(&api).await;
        assert!(answer.headers().get("access-control-allow-origin").is_none(), "{path}");
        assert_eq!(answer.headers()["x-content-type-options"], "nosniff");
    }
    // Its name points here now.
    for path in ["/", "/api/nodes", "/api/stats", "/api/stream", "/metrics", "/healthz", "/api/nope"] {
        let request = warp::test::request().path(path).header("host", "evil.example:8080");
        let answer = request.reply(&api).await;
        assert_eq!(answer.status(), 421, "{path}");
        assert!(detail(&answer).contains("--host evil.example"), "{path}");
    }
    let request = warp::test::request().method("DELETE").path("/api/nodes/db").header("host", "localhost");
    let answer = request.header("origin", "https://evil.example").reply(&api).await;
    assert_eq!(answer.status(), 403);
}

/// A text that only a public page must not show.
const PRIVATE: &str = "innermost";

fn private_node() -> NodeUpdate {
    let mut update = full_node("web-01.example");
    let hello = update.hello.as_mut().unwrap();
    let private = |what: &str| format!("{PRIVATE}-{what}");
    hello.hostname = private("host");
    hello.internal_ip = Some(private("internal"));
    hello.external_ip = Some(private("external"));
    hello.addresses = vec![private("address")];
    hello.os = Some(private("os"));
    hello.kernel = Some(private("kernel"));
    hello.agent_version = private("agent");
    hello.interfaces[0].name = private("eth");
    hello.interfaces[0].addresses = vec![private("address")];
    update.interfaces.as_mut().unwrap()[0].name = private("eth");
    let probe = &mut update.probes.as_mut().unwrap()[0];
    (probe.target, probe.failure) = (private("target"), Some(private("failure")));
    update
}

#[tokio::test]
async fn a_public_page_leaves_out_what_hosts_keep_to_themselves() {
    for (readers, shown) in [(Readers::Everybody, false), (Readers::OnLoopback, true)] {
        let site = site(vec![private_node()], readers).await;
        let frames = events::listen(site.clone(), None).await.unwrap();
        // Where to resume, and the snapshot; live events have the same columns.
        let opening: Vec<Bytes> = frames.take(2).map(|frame| frame.plain().clone()).collect().await;
        let opening = String::from_utf8(opening.concat()).unwrap();
        assert!(opening.contains("web-01.example") && !opening.contains(PRIVATE), "{opening}");
        let api = routes(site);
        for path in [
            "/api/nodes",
            "/api/nodes?status=online",
            "/api/nodes/web-01.example",
            "/api/connections",
            "/api/stats",
            "/api/stats?by=provider",
            "/metrics",
            "/readyz",
        ] {
            let answer = warp::test::request().path(path).reply(&api).await;
            let text = String::from_utf8(answer.body().to_vec()).unwrap();
            assert_eq!(answer.status(), 200, "{path}");
            let expected = shown && (path.starts_with("/api/nodes") || path == "/metrics");
            assert_eq!(text.contains(PRIVATE), expected, "{readers:?} {path}: {text}");
        }
        // Nor can they be guessed letter by letter.
        let found = warp::test::request().path("/api/nodes?q=innermost-h").reply(&api).await;
        assert_eq!(names(&found).len(), usize::from(shown), "{readers:?}");
    }
}
