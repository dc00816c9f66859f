//! What is silenced, by requests; the task that writes the bucket is made.

use serde_json::json;
use tidemap_client::{
    AlertBucket, AlertRecord, AlertUpdate, Audience, SilenceRecord, record_key, silence_key,
};
use tidemap_wire::{
    Alert, AlertChange, AlertState, AlertTarget, Severity, TargetKind,
    http::{AlertsJson, SilenceJson, SilencesJson},
};

use super::*;
use crate::alerts::{AlertsView, NotSilenced, SilenceChange};

/// A bucket in which a node's alert fires.
fn bucket() -> AlertBucket {
    let target = AlertTarget {
        kind: TargetKind::Node,
        id: "web-01.example".to_owned(),
        name: "Web".to_owned(),
        labels: BTreeMap::new(),
    };
    let alert = Alert {
        id: "7".to_owned(),
        rule: "offline".to_owned(),
        severity: Severity::Warning,
        target,
        state: AlertState::Firing,
        summary: "offline".to_owned(),
        value: None,
        peak: None,
        threshold: None,
        unit: String::new(),
        since_ms: 1,
        fired_ms: Some(1),
        resolved_ms: None,
        silenced_until_ms: Some(5),
        resets_ms: None,
    };
    let key = record_key(&alert.rule, &alert.target).unwrap();
    let audience = Audience { programs: true, people: true };
    let update = AlertUpdate { alert, change: AlertChange::Fired, audience, standing: None };
    let record = AlertRecord::after(None, update, "n".to_owned());
    let mut bucket = AlertBucket::default();
    bucket.note(&key, Some(&serde_json::to_vec(&record).unwrap()), 1);
    bucket
}

/// A site whose changes of silences are kept as they come.
async fn site_that_silences(readers: Readers) -> Site {
    let mut bucket = bucket();
    let view = |bucket: &AlertBucket| Some(Arc::new(AlertsView::new(bucket, None, 1)));
    let (shown, alerts) = watch::channel(view(&bucket));
    let (silencer, mut requests) = Silencer::new();
    tokio::spawn(async move {
        let mut revision = 1;
        while let Some(request) = requests.recv().await {
            let known = |id: &str| bucket.silences.get(id).map(|stored| stored.value.silence.clone());
            let write = match request.change {
                SilenceChange::Make(id, silence) => Ok((id, silence)),
                SilenceChange::Replace(id, silence) => {
                    known(&id).map(|_| (id.clone(), silence)).ok_or(NotSilenced::Unknown(id))
                }
                SilenceChange::End(id) => {
                    let ended = known(&id).map(|silence| {
                        (id.clone(), tidemap_wire::Silence { until_ms: request.now_ms, ..silence })
                    });
                    ended.ok_or(NotSilenced::Unknown(id))
                }
            };
            let done = write.map(|(id, silence)| {
                revision += 1;
                let value = serde_json::to_vec(&SilenceRecord::new(silence)).unwrap();
                bucket.note(&silence_key(&id), Some(&value), revision);
                shown.send_replace(view(&bucket));
            });
            request.reply.send(done).unwrap();
        }
    });
    site_with_alerts(fleet(), readers, alerts, silencer).await
}

fn request(method: &str, path: &str) -> warp::test::RequestBuilder {
    let request = warp::test::request().method(method).path(path);
    request.header("authorization", format!("Bearer {TOKEN}"))
}

async fn put(site: &Site, body: &Value) -> Answer {
    request("PUT", "/api/alerts/silences").json(body).reply(&routes(site.clone())).await
}

async fn listed(site: &Site) -> SilencesJson {
    let answer = request("GET", "/api/alerts/silences").reply(&routes(site.clone())).await;
    assert_eq!(answer.status(), 200);
    json(&answer)
}

#[tokio::test]
async fn a_silence_is_made_listed_replaced_and_ended() {
    let site = site_that_silences(Readers::WithToken).await;
    let body = json!({"rule": "offline", "for": "2h", "who": "ann", "why": "new switch"});
    let answer = put(&site, &body).await;
    assert_eq!(
        (answer.status().as_u16(), &answer.headers()["content-type"]),
        (200, &"application/json".parse().unwrap())
    );
    let made: SilenceJson = json(&answer);
    assert_eq!((made.firing, made.silence.until_ms - made.silence.made_ms), (1, 7_200_000));
    assert_eq!(listed(&site).await.silences, std::slice::from_ref(&made));
    // The alert says so.
    let alerts: AlertsJson = json(&request("GET", "/api/alerts").reply(&routes(site.clone())).await);
    assert_eq!(alerts.firing[0].silenced_until_ms, Some(made.silence.until_ms));

    let longer = json!({"id": made.id, "all": true, "for": "3h", "who": "bob", "why": "it takes longer"});
    let replaced: SilenceJson = json(&put(&site, &longer).await);
    assert_eq!((replaced.id.as_str(), replaced.silence.who.as_str()), (made.id.as_str(), "bob"));
    assert_eq!(listed(&site).await.silences, [replaced]);

    let path = format!("/api/alerts/silences/{}", made.id);
    assert_eq!(request("DELETE", &path).reply(&routes(site.clone())).await.status(), 204);
    assert_eq!(listed(&site).await.silences, []);
    let alerts: AlertsJson = json(&request("GET", "/api/alerts").reply(&routes(site.clone())).await);
    assert_eq!(alerts.firing[0].silenced_until_ms, None);
}

#[tokio::test]
async fn a_node_whose_name_has_a_dot_is_found_however_it_is_written() {
    let site = site_that_silences(Readers::WithToken).await;
    for name in ["web-01.example", "WEB-01.Example", "web-01=2Eexample"] {
        let answer = put(&site, &json!({"node": name, "for": "2h", "who": "ann", "why": "x"})).await;
        assert_eq!(answer.status(), 200, "{name}: {:?}", answer.body());
        let made: SilenceJson = json(&answer);
        assert_eq!((made.silence.node.as_deref(), made.firing), (Some("web-01.example"), 1), "{name}");
        let path = format!("/api/alerts?node={name}");
        let listed: AlertsJson = json(&request("GET", &path).reply(&routes(site.clone())).await);
        assert_eq!(listed.counts.firing, 1, "{name}");
    }
    let answer = put(&site, &json!({"node": "web-01", "for": "2h", "who": "ann", "why": "x"})).await;
    let said = (answer.status().as_u16(), detail(&answer));
    assert_eq!(said, (422, "node: there is no node named web-01".to_owned()));
}

#[tokio::test]
async fn a_wrong_body_is_refused_with_the_name_of_what_is_wrong() {
    let site = site_that_silences(Readers::WithToken).await;
    let right = json!({"all": true, "for": "2h", "who": "ann", "why": "x"});
    for (name, wrong, said) in [
        ("for", json!("soon"), "for: must be a time such as 30m, 2h or 7d, at most 366d"),
        ("label", json!("fra"), "label: must be NAME=VALUE, such as site=fra"),
        ("hosts", json!("a"), "hosts: no such field"),
        ("who", json!(["ann"]), "who: must be a text of one line"),
    ] {
        let mut body = right.clone();
        body[name] = wrong;
        let answer = put(&site, &body).await;
        assert_eq!(answer.status(), 422, "{body}");
        let detail = detail(&answer);
        assert!(detail.starts_with(said), "{detail}");
    }
    let answer =
        request("PUT", "/api/alerts/silences").body("x".repeat(4_097)).reply(&routes(site.clone())).await;
    assert_eq!(answer.status(), 422);
    assert!(detail(&answer).contains("4 KB"));
    let answer = put(&site, &json!({"id": "none", "all": true, "for": "2h", "who": "a", "why": "x"})).await;
    assert_eq!((answer.status().as_u16(), detail(&answer)), (404, "there is no silence none".to_owned()));
    let answer = request("DELETE", "/api/alerts/silences/none").reply(&routes(site.clone())).await;
    assert_eq!((answer.status().as_u16(), detail(&answer)), (404, "there is no silence none".to_owned()));
    assert_eq!(listed(&site).await.silences, [], "nothing was stored");
}

#[tokio::test]
async fn silencing_needs_the_token_and_no_page_of_another_origin() {
    let site = site_that_silences(Readers::WithToken).await;
    let body = json!({"all": true, "for": "2h", "who": "ann", "why": "x"});
    for (method, path) in [("PUT", "/api/alerts/silences"), ("DELETE", "/api/alerts/silences/x")] {
        let wrong = warp::test::request().method(method).path(path).json(&body);
        assert_eq!(wrong.reply(&routes(site.clone())).await.status(), 401, "{method}");
        let foreign = request(method, path).header("origin", "https://evil.example").json(&body);
        assert_eq!(foreign.reply(&routes(site.clone())).await.status(), 403, "{method}");
    }
    for (method, path, allow) in
        [("POST", "/api/alerts/silences", "GET, HEAD, PUT"), ("GET", "/api/alerts/silences/x", "DELETE")]
    {
        let answer = request(method, path).reply(&routes(site.clone())).await;
        assert_eq!((answer.status().as_u16(), answer.headers()["allow"].to_str().unwrap()), (405, allow));
    }
    assert_eq!(listed(&site).await.silences, []);
    // Without a station nobody would hold anything back.
    let without = routes(super::site(fleet(), Readers::WithToken).await);
    for request in
        [request("PUT", "/api/alerts/silences").json(&body), request("GET", "/api/alerts/silences")]
    {
        let answer = request.reply(&without).await;
        assert_eq!(
            (answer.status().as_u16(), detail(&answer)),
            (404, "there is no alerts: no alert station has run".to_owned())
        );
    }
}
