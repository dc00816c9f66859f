//! Revocation, on one broker and on several.

use std::{
    fs,
    hash::{BuildHasher, RandomState},
    net::{SocketAddr, TcpListener},
};

use async_nats::{Event, jetstream};
use tidemap_broker::jwt::{EnrollKey, Operator, Revocation};
use tidemap_wire::subject;
use tokio::time::Instant;

use super::fleet::{Broker, Fleet, User, eventually, nobody, node, now_s};

#[tokio::test]
async fn revoking_disconnects_one_node_and_no_other() {
    let mut fleet = Fleet::start().await;
    let mut victim = fleet.agent("victim").await;
    let mut other = fleet.agent("other").await;
    let mut app = User::connect(&fleet.broker, &fleet.operator.app_creds_path(), "_INBOX").await;
    let stolen =
        fs::read_to_string(fleet.operator.enroll(&node("victim"), now_s()).unwrap().creds_path).unwrap();

    assert_eq!(fleet.operator.revoke(&node("victim"), now_s()).unwrap(), Revocation::Now);
    let start = Instant::now();
    assert_eq!(fleet.push().await, 1);
    victim.until(|event| matches!(event, Event::Disconnected)).await;
    println!("a revoked connection ended {:?} after the first word to the broker", start.elapsed());
    victim.until(|event| event.to_string().contains("authorization violation")).await;
    nobody(&fleet.broker, &stolen).await;

    let js = jetstream::new(other.client.clone());
    js.publish(subject::sample(&node("other")), "x".into()).await.unwrap().await.unwrap();
    assert!(other.disturbed().is_none() && app.disturbed().is_none());
    // When the node enrolls again, it gets another key and is let in.
    drop(fleet.agent("victim").await);

    // A broker that restarts with the configuration from before the revocation still has the revocation.
    fleet.broker.stop().await;
    fleet.broker.start_again().await;
    nobody(&fleet.broker, &stolen).await;
    drop(fleet.agent("other").await);
}

#[tokio::test]
async fn a_new_enrolling_key_revokes_all_nodes_of_the_old_one() {
    let fleet = Fleet::start().await;
    let mut agent = fleet.agent("a").await;
    let mut app = User::connect(&fleet.broker, &fleet.operator.app_creds_path(), "_INBOX").await;
    Operator::open_or_create(fleet.dir.path(), EnrollKey::Renew, now_s()).unwrap();
    fleet.push().await;
    agent.shut_out().await;
    assert!(app.disturbed().is_none());
    drop(fleet.agent("a").await);
}

#[tokio::test]
async fn revocations_reach_all_brokers_of_a_cluster_even_later() {
    let dir = tempfile::tempdir().unwrap();
    let operator = Operator::open_or_create(dir.path(), EnrollKey::Keep, now_s()).unwrap();
    let (one, two) = (format!("nats://{}", free_address()), format!("nats://{}", free_address()));
    let start = async |name: &'static str, here: &str, there: &str| {
        let cluster = ["--cluster_name", "test", "-n", name, "--cluster", here, "--routes", there];
        Broker::start(&operator.configuration_path(), &cluster).await
    };
    let first = start("one", &one, &two).await;
    let mut second = start("two", &two, &one).await;

    let creds =
        |name: &str| fs::read_to_string(operator.enroll(&node(name), now_s()).unwrap().creds_path).unwrap();
    let (a, b) = (creds("a"), creds("b"));
    let mut victim = User::connect_with(&second, &a, "_INBOX.a").await;
    let mut other = User::connect_with(&second, &b, "_INBOX.b").await;
    let sys = User::connect(&first, &operator.sys_creds_path(), "_INBOX").await.client;
    operator.revoke(&node("a"), now_s()).unwrap();
    let pushed = until_pushed(&sys, &operator, 2).await;
    victim.shut_out().await;
    println!(
        "a connection to the other broker ended {:?} after the last word to the first",
        pushed.elapsed()
    );
    assert!(other.disturbed().is_none());

    second.stop().await;
    operator.revoke(&node("b"), now_s()).unwrap();
    let error = tidemap_broker::jwt::push(&sys, &operator.accounts_tokens().unwrap()).await.unwrap_err();
    assert!(error.to_string().starts_with("1 of 2 brokers"), "nobody may think that all know: {error}");
    second.start_again().await;
    // It starts with its old state, and gets the update from the other broker.
    let start = Instant::now();
    eventually(async || {
        let options = async_nats::ConnectOptions::with_credentials(&b).unwrap();
        match options.ignore_discovered_servers().connect(second.url()).await {
            Err(error) if error.kind() == async_nats::ConnectErrorKind::AuthorizationViolation => Ok(()),
            Err(error) => Err(error.to_string()),
            Ok(_client) => Err("it has not heard of it: the node is let in".to_owned()),
        }
    })
    .await;
    println!("a broker that was away refused {:?} after its start", start.elapsed());
}

/// Pushes until this many brokers have answered, as their routes connect at different times.
async fn until_pushed(sys: &async_nats::Client, operator: &Operator, brokers: usize) -> Instant {
    let tokens = operator.accounts_tokens().unwrap();
    eventually(async || {
        let start = Instant::now();
        match tidemap_broker::jwt::push(sys, &tokens).await {
            Ok(heard) if heard == brokers => Ok(start),
            heard => Err(format!("not {brokers} brokers: {heard:?}")),
        }
    })
    .await
}

/// A route's address must be known before anything listens on it, and be free after a restart: it is outside
/// the range that the operating system uses for its own connections.
fn free_address() -> SocketAddr {
    let any = || 10_000 + (RandomState::new().hash_one(()) % 22_000) as u16;
    let addresses = std::iter::repeat_with(|| SocketAddr::from(([127, 0, 0, 1], any())));
    addresses.take(1_000).find(|address| TcpListener::bind(address).is_ok()).unwrap()
}
