//! The rights of each user, and which users are let in.

use std::fs;

use async_nats::{
    ConnectOptions, HeaderMap,
    jetstream::{self, consumer},
};
use data_encoding::BASE64URL_NOPAD;
use futures_util::StreamExt;
use nkeys::KeyPair;
use serde_json::{Value, json};
use tidemap_broker::jwt::Revocation;
use tidemap_service::streams;
use tidemap_wire::subject;
use tokio::time::{Instant, timeout};

use super::fleet::{Fleet, TEST_TIMEOUT, User, nobody, node, now_s};

#[tokio::test]
async fn an_agents_report_reaches_the_log_and_the_ack_reaches_the_agent() {
    let fleet = Fleet::start().await;
    for (logged, name) in ["web-01.example.com", "ü x", &"n".repeat(128)].into_iter().enumerate() {
        let agent = fleet.agent(name).await;
        let js = jetstream::new(agent.client.clone());
        js.publish(subject::sample(&node(name)), "report".into()).await.unwrap().await.unwrap();
        assert_eq!(fleet.logged().await, logged as u64 + 1);
    }
}

#[tokio::test]
async fn an_agent_has_no_other_permissions() {
    let fleet = Fleet::start().await;
    let mut agent = fleet.agent("a").await;
    for subject in [
        subject::sample(&node("web-01")),
        // Its own name in another slot.
        "tidemap.v1.sample.45.a".to_owned(),
        "tidemap.v1.delta.0".to_owned(),
        "tidemap.v1.rpc.forget.0".to_owned(),
        "tidemap.v1.rpc.history.forget".to_owned(),
        "tidemap.v1.rpc.enroll".to_owned(),
        "$JS.API.STREAM.PURGE.TIDEMAP_4".to_owned(),
        "$JS.API.INFO".to_owned(),
        "$KV.TIDEMAP_LEASES.p.4".to_owned(),
        "$SYS.REQ.CLAIMS.UPDATE".to_owned(),
        "_INBOX.web-01.x".to_owned(),
        "anything".to_owned(),
    ] {
        agent.publish(&subject).await;
        agent.refused(&format!("publish to \"{subject}\"")).await;
    }
    for subject in ["tidemap.v1.sample.>", "tidemap.v1.delta.*", "_INBOX.>", "_INBOX.web-01.>", "$SYS.>", ">"]
    {
        let _subscription = agent.client.subscribe(subject).await.unwrap();
        agent.refused(&format!("subscription to \"{subject}\"")).await;
    }
    assert_eq!(fleet.logged().await, 0);
}

#[tokio::test]
async fn a_relay_publishes_under_its_own_name_until_it_is_revoked() {
    let fleet = Fleet::start().await;
    let enrolled = fleet.operator.enroll_relay(&node("edge"), now_s()).unwrap();
    let inbox = subject::relay_inbox(&node("edge"));
    let mut relay = User::connect(&fleet.broker, &enrolled.creds_path, &inbox).await;
    let js = jetstream::new(relay.client.clone());
    let pack = subject::pack("44".parse().unwrap(), &node("edge"));
    js.publish(pack, "pack".into()).await.unwrap().await.unwrap();
    for subject in ["tidemap.v1.pack.44.other", "tidemap.v1.sample.44.a", "tidemap.v1.delta.0", "_INBOX.a.x"]
    {
        relay.publish(subject).await;
        relay.refused(&format!("publish to \"{subject}\"")).await;
    }
    let mut agent = fleet.agent("a").await;
    agent.publish("tidemap.v1.pack.44.edge").await;
    agent.refused("publish to \"tidemap.v1.pack.44.edge\"").await;
    assert_eq!(fleet.operator.revoke_relay(&node("edge"), now_s()).unwrap(), Revocation::Now);
    assert_eq!(fleet.operator.revoke_relay(&node("edge"), now_s()).unwrap(), Revocation::Unknown);
    fleet.push().await;
    relay.until(|event| matches!(event, async_nats::Event::Disconnected)).await;
    assert_eq!(fleet.logged().await, 1);
}

#[tokio::test]
async fn an_agent_cannot_reach_the_log_through_reply_subjects_or_headers() {
    let fleet = Fleet::start().await;
    let agent = fleet.agent("a").await;
    let mine = subject::sample(&node("a"));
    for reply in
        ["$JS.API.STREAM.PURGE.TIDEMAP_4", "$JS.API.STREAM.DELETE.TIDEMAP_4", "$KV.TIDEMAP_LEASES.p.4"]
    {
        agent.client.publish_with_reply(mine.clone(), reply, "x".into()).await.unwrap();
    }
    let mut rollup = HeaderMap::new();
    rollup.insert("Nats-Rollup", "all");
    agent.client.publish_with_headers(mine.clone(), rollup, "x".into()).await.unwrap();
    let js = jetstream::new(agent.client.clone());
    js.publish(mine, "x".into()).await.unwrap().await.unwrap();
    // The rollup is refused by the stream; all others are reports like any other.
    assert_eq!(fleet.logged().await, 4);
    let leases = jetstream::new(fleet.service.clone()).get_key_value(streams::LEASES).await.unwrap();
    assert_eq!(leases.entry("p.4").await.unwrap(), None);
}

#[tokio::test]
async fn other_programs_read_everything_and_publish_nothing() {
    let fleet = Fleet::start().await;
    let mut app = User::connect(&fleet.broker, &fleet.operator.app_creds_path(), "_INBOX").await;
    let mut everything = app.client.subscribe("tidemap.v1.>").await.unwrap();
    // The broker handles commands in order: once it has refused these, it has accepted the subscription.
    for forbidden in ["tidemap.v1.delta.3", "tidemap.v1.sample.44.a", "$JS.API.INFO", "_INBOX.x"] {
        app.publish(forbidden).await;
        app.refused(&format!("publish to \"{forbidden}\"")).await;
    }
    let agent = fleet.agent("a").await;
    let mut expected = vec![subject::sample(&node("a"))];
    agent.publish(&expected[0]).await;
    for subject in [
        "tidemap.v1.delta.3",
        "tidemap.v1.stats.3",
        "tidemap.v1.event.joined.a",
        "tidemap.v1.history.minutes.44.1.0",
        "tidemap.v1.alert.fired.offline",
    ] {
        fleet.service.publish(subject, "x".into()).await.unwrap();
        expected.push(subject.to_owned());
    }
    let mut heard = Vec::new();
    while heard.len() < expected.len() {
        heard.push(timeout(TEST_TIMEOUT, everything.next()).await.unwrap().unwrap().subject.to_string());
    }
    heard.sort();
    expected.sort();
    assert_eq!(heard, expected);
}

#[tokio::test]
async fn services_and_the_simulator_may_do_what_they_need() {
    let fleet = Fleet::start().await;
    let creds = fleet.operator.simulator_creds_path();
    let mut simulator = User::connect(&fleet.broker, &creds, "_INBOX.simulator").await;
    let simulated = jetstream::new(simulator.client.clone());
    for name in ["a", "web-01"] {
        simulated.publish(subject::sample(&node(name)), "x".into()).await.unwrap().await.unwrap();
    }
    simulator.publish("tidemap.v1.delta.0").await;
    simulator.refused("publish to \"tidemap.v1.delta.0\"").await;

    let js = jetstream::new(fleet.service.clone());
    let leases = js.get_key_value(streams::LEASES).await.unwrap();
    let mut watch = leases.watch("p.0").await.unwrap();
    let revision = leases.create("p.0", "owner".into()).await.unwrap();
    leases.update("p.0", "owner".into(), revision).await.unwrap();
    assert_eq!(&*timeout(TEST_TIMEOUT, watch.next()).await.unwrap().unwrap().unwrap().value, b"owner");
    let stream = js.get_stream("TIDEMAP_4").await.unwrap();
    let config = consumer::pull::Config { ack_policy: consumer::AckPolicy::None, ..Default::default() };
    let mut messages = stream.create_consumer(config).await.unwrap().messages().await.unwrap();
    assert_eq!(&*timeout(TEST_TIMEOUT, messages.next()).await.unwrap().unwrap().unwrap().payload, b"x");
}

#[tokio::test]
async fn tokens_of_other_keys_or_with_permissions_of_their_own_are_refused() {
    let fleet = Fleet::start().await;
    let enrolled = fleet.operator.enroll(&node("a"), now_s()).unwrap();
    let mut claims = claims_of(&fs::read_to_string(enrolled.creds_path).unwrap());
    let key = |name: &str| {
        let path = fleet.dir.path().join("keys").join(name).with_extension("nk");
        KeyPair::from_seed(fs::read_to_string(path).unwrap().trim()).unwrap()
    };
    // The right key's signature under the same claims is accepted, so the refusals below are due to the
    // differences.
    drop(User::connect_with(&fleet.broker, &creds(&claims, &key("enroll")), "_INBOX.a").await);
    for stranger in [KeyPair::new_account(), key("apps"), key("tidemap")] {
        nobody(&fleet.broker, &creds(&claims, &stranger)).await;
    }
    for (what, grant) in [
        ("pub", json!({ "allow": [">"] })),
        ("sub", json!({ "allow": [">"] })),
        ("subs", json!(-1)),
        ("bearer_token", json!(true)),
    ] {
        claims["nats"][what] = grant;
        nobody(&fleet.broker, &creds(&claims, &key("enroll"))).await;
        claims["nats"].as_object_mut().unwrap().remove(what);
    }
    // A token without a slot grants nothing at all.
    claims["nats"].as_object_mut().unwrap().remove("tags");
    let mut untagged = User::connect_with(&fleet.broker, &creds(&claims, &key("enroll")), "_INBOX.a").await;
    untagged.publish("tidemap.v1.sample.44.a").await;
    untagged.refused("publish to \"tidemap.v1.sample.44.a\"").await;
}

#[tokio::test]
async fn clients_without_a_token_are_refused() {
    let fleet = Fleet::start().await;
    let enrolled = fleet.operator.enroll(&node("a"), now_s()).unwrap();
    let text = fs::read_to_string(enrolled.creds_path).unwrap();
    let seed = text.lines().find(|line| line.starts_with("SU")).unwrap();
    for options in [
        ConnectOptions::new(),
        ConnectOptions::with_nkey(seed.to_owned()),
        ConnectOptions::with_user_and_password("admin".to_owned(), "admin".to_owned()),
    ] {
        let refused = options.connect(fleet.broker.url()).await.unwrap_err();
        assert_eq!(refused.kind(), async_nats::ConnectErrorKind::AuthorizationViolation);
    }
}

#[tokio::test]
async fn thousands_are_enrolled_without_contacting_the_broker() {
    let fleet = Fleet::start().await;
    let nodes = if std::env::var_os("TIDEMAP_LONG").is_some() { 5_000 } else { 500 };
    let configured = fs::read(fleet.operator.configuration_path()).unwrap();
    let start = Instant::now();
    for number in 0..nodes {
        assert!(fleet.operator.enroll(&node(&format!("node-{number}")), now_s()).unwrap().created);
    }
    let took = start.elapsed();
    println!("{nodes} nodes enrolled in {took:?}, {:?} each", took / nodes);
    assert_eq!(fs::read(fleet.operator.configuration_path()).unwrap(), configured);
    for name in ["node-0".to_owned(), format!("node-{}", nodes - 1)] {
        let agent = fleet.agent(&name).await;
        let js = jetstream::new(agent.client.clone());
        js.publish(subject::sample(&node(&name)), "x".into()).await.unwrap().await.unwrap();
    }
}

/// The content of a credentials file.
fn claims_of(creds: &str) -> Value {
    let body = creds.lines().nth(1).unwrap().split('.').nth(1).unwrap();
    serde_json::from_slice(&BASE64URL_NOPAD.decode(body.as_bytes()).unwrap()).unwrap()
}

/// Credentials with these claims for a new user, as a forger with this key would make them.
fn creds(claims: &Value, issuer: &KeyPair) -> String {
    let user = KeyPair::new_user();
    let mut claims = claims.clone();
    claims["sub"] = user.public_key().into();
    claims["iss"] = issuer.public_key().into();
    let part = |value: Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
    let text = format!("{}.{}", part(json!({ "typ": "JWT", "alg": "ed25519-nkey" })), part(claims));
    let signature = BASE64URL_NOPAD.encode(&issuer.sign(text.as_bytes()).unwrap());
    let seed = user.seed().unwrap();
    format!("-----BEGIN-----\n{text}.{signature}\n-----END-----\n\n-----BEGIN-----\n{seed}\n-----END-----\n")
}
