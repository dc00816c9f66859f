//! Who may read, who may administer, and what public pages leave out.

use super::*;

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
    for wrong in [None, Some("Bearer wrong"), Some("secret"), Some("Basic dTpzZWNyZXQ=")] {
        let answer = delete(wrong).reply(&with_token).await;
        assert_eq!(answer.status(), 401, "{wrong:?}");
        assert!(detail(&answer).contains("token"));
    }
    let answer = delete(Some("Bearer secret")).reply(&with_token).await;
    assert_eq!((answer.status().as_u16(), detail(&answer)), (503, "the broker is not connected".to_owned()));
    let answer = delete(Some("Bearer secret")).reply(&api(Readers::OnLoopback).await).await;
    assert_eq!(answer.status(), 401, "without a configured token nobody is an admin");
}

#[tokio::test]
async fn beyond_loopback_reading_needs_the_token() {
    let api = api(Readers::WithToken).await;
    for path in
        ["/", "/api/nodes", "/api/nodes/db", "/api/stats", "/api/stream", "/api/openapi.json", "/metrics"]
    {
        let answer = warp::test::request().path(path).reply(&api).await;
        assert_eq!(answer.status(), 401, "{path}");
        assert!(answer.headers()["www-authenticate"].to_str().unwrap().starts_with("Basic "));
    }
    // A browser sends "u:secret" for the user name `u` and the token as the password.
    for right in ["Bearer secret", "Basic dTpzZWNyZXQ="] {
        let request = warp::test::request().path("/api/nodes").header("authorization", right);
        assert_eq!(request.reply(&api).await.status(), 200, "{right}");
    }
    assert_eq!(warp::test::request().path("/healthz").reply(&api).await.status(), 200);
}

#[tokio::test]
async fn a_public_page_leaves_addresses_out() {
    let api = api(Readers::Everybody).await;
    for path in ["/api/nodes", "/api/nodes/web-01.example"] {
        let answer = warp::test::request().path(path).reply(&api).await;
        let text = String::from_utf8(answer.body().to_vec()).unwrap();
        assert!(text.contains("web-01.example"), "{text}");
        assert!(!text.contains("10.0.0.7") && !text.contains("203.0.113.7"), "{text}");
    }
}
