//! What a host needs to join, and which requests are passed on to the enroller: here, there is none.

use serde_json::{Value, json};
use warp::test::request;

use super::*;

fn ask() -> Value {
    json!({ "invite": "abcd2345", "ask": "{}", "proof": "00", "signature": "00" })
}

#[tokio::test]
async fn a_request_to_join_needs_no_token_and_is_passed_on() {
    let api = api(Readers::WithToken).await;
    let answer = request().method("POST").path("/api/enroll").json(&ask()).reply(&api).await;
    assert_eq!((answer.status().as_u16(), &*detail(&answer)), (503, "the broker is not connected"));
    let answer = request().method("POST").path("/api/enroll/").json(&ask()).reply(&api).await;
    assert_eq!((answer.status().as_u16(), &*detail(&answer)), (503, "the broker is not connected"));
    let answer = request().method("GET").path("/api/enroll").reply(&api).await;
    assert_eq!((answer.status().as_u16(), &answer.headers()["allow"]), (405, &"POST".parse().unwrap()));
    let foreign = request().method("POST").path("/api/enroll").header("origin", "https://evil.example");
    assert_eq!(foreign.json(&ask()).reply(&api).await.status(), 403);
    for (body, why) in [
        (String::new(), "the body: "),
        ("{}".to_owned(), "the body: missing field `invite`"),
        ("x".repeat(4_097), "the body is longer than 4 KB, or broke off"),
    ] {
        let answer = request().method("POST").path("/api/enroll").body(body).reply(&api).await;
        assert_eq!(answer.status(), 422);
        assert!(detail(&answer).starts_with(why), "{}", detail(&answer));
    }
    let answer = request().method("POST").path("/api/enroll?x=1").json(&ask()).reply(&api).await;
    assert_eq!(answer.status(), 422);
}

#[tokio::test(start_paused = true)]
async fn who_tries_too_many_is_asked_to_wait() {
    let api = api(Readers::WithToken).await;
    let mut refused = None;
    for _ in 0..5_000 {
        let answer = request().method("POST").path("/api/enroll").json(&ask()).reply(&api).await;
        if answer.status() == 429 {
            refused = Some(answer);
            break;
        }
        assert_eq!(answer.status(), 503);
    }
    let refused = refused.expect("some are refused");
    assert_eq!(
        (&*detail(&refused), &refused.headers()["retry-after"]),
        ("too many hosts join at the same time", &"1".parse().unwrap())
    );
    tokio::time::advance(std::time::Duration::from_secs(1)).await;
    let answer = request().method("POST").path("/api/enroll").json(&ask()).reply(&api).await;
    assert_eq!(answer.status(), 503);
}

#[tokio::test]
async fn the_script_and_the_unit_need_no_token_and_the_programs_lie_in_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("tidemap-agent-x86_64"), "program").unwrap();
    let site = site(fleet(), Readers::WithToken).await;
    let with_programs = |site: Site| {
        let mut parts = Arc::into_inner(site.0).unwrap();
        parts.agents = super::super::AgentPrograms::new(Some(folder.path().to_owned()));
        Site(Arc::new(parts))
    };
    let api = routes(with_programs(site));
    let get = async |path: &str| request().path(path).header("host", "fleet.example").reply(&api).await;
    let script = get("/install.sh").await;
    let text = String::from_utf8(script.body().to_vec()).unwrap();
    assert!(text.starts_with("#!/bin/sh\n") && text.contains("url='http://fleet.example'"), "{text}");
    assert_eq!(
        (script.status().as_u16(), &script.headers()["cache-control"]),
        (200, &"no-store".parse().unwrap())
    );
    let unit = get("/agents/tidemap-agent.service").await;
    assert!(String::from_utf8_lossy(unit.body()).contains("[Service]"));
    assert_eq!(get("/agents/tidemap-agent-x86_64").await.body(), "program");
    let sum = get("/agents/tidemap-agent-x86_64.sha256").await;
    let digest = "1310ca2c8932dbd118668bd97442558a3e1f546b5e15c69699dfbd6024f548d8";
    assert_eq!(sum.body(), &format!("{digest}  tidemap-agent-x86_64\n"));
    // One that is replaced is read again.
    std::fs::write(folder.path().join("tidemap-agent-x86_64"), "another program").unwrap();
    assert_eq!(get("/agents/tidemap-agent-x86_64").await.body(), "another program");
    assert_ne!(get("/agents/tidemap-agent-x86_64.sha256").await.body(), sum.body());
    let missing = get("/agents/tidemap-agent-aarch64").await;
    assert_eq!(missing.status(), 404);
    assert!(detail(&missing).contains("--agents-dir"), "{}", detail(&missing));
    for unknown in
        ["/agents/", "/agents/tidemap-agent-mips", "/agents/..%2f..%2fetc%2fpasswd", "/agents/../x"]
    {
        assert_eq!(get(unknown).await.status(), 404, "{unknown}");
    }
    let answer = request().method("POST").path("/install.sh").reply(&api).await;
    assert_eq!(answer.status(), 405);
}
