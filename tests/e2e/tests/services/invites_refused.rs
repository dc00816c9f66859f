//! Who may not join, and what becomes of a node that is revoked after it has joined.

use std::{fs, path::Path, time::Duration};

use anyhow::ensure;
use futures_util::future::join_all;
use nkeys::KeyPair;
use tidemap_service::invite::Invite;
use tidemap_testkit::{eventually, http, nginx::Nginx, process::Tidemap};
use tidemap_wire::{JoinAsk, JoinRequest};

use crate::invites::{Said, agent, invite, is_online, run};

const EVENT_TIMEOUT: Duration = Duration::from_secs(30);

/// One Tidemap, and folders of hosts.
struct Scene {
    _up: Tidemap,
    url: String,
    folder: tempfile::TempDir,
}

impl Scene {
    async fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (up, url) = Tidemap::up(&folder.path().join("data"), &["--node", "first"]).await.unwrap();
        eventually(EVENT_TIMEOUT, || http::is_ready(&url)).await.unwrap();
        Self { _up: up, url, folder }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    fn data(&self) -> String {
        self.path("data")
    }

    fn users(&self) -> String {
        fs::read_to_string(Path::new(&self.data()).join("users/agents.conf")).unwrap()
    }

    /// A host's attempt to join; its folder is called as the node.
    async fn join(&self, node: &str, word: &str, more: &[&str]) -> Said {
        let folder = self.path(node);
        let words = ["agent", "join", &self.url, word, "--node", node, "--config-dir", &folder];
        run(&[&words[..], more].concat()).await
    }

    async fn refuses(&self, node: &str, word: &str, why: &str) {
        let said = self.join(node, word, &[]).await;
        assert!(said.code == Some(1) && said.err.contains(why), "{node}: {}", said.err);
        assert_eq!(said.err.lines().count(), 1, "{}", said.err);
        assert!(!Path::new(&self.path(node)).join("agent.nk").exists());
    }
}

/// Sends a request to join, and returns the status.
pub(crate) async fn post(url: &str, request: &JoinRequest) -> (u16, String) {
    let (url, body) = (format!("{url}/api/enroll"), serde_json::to_vec(request).unwrap());
    tokio::task::spawn_blocking(move || {
        let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        let mut answer = agent.post(&url).content_type("application/json").send(&body).unwrap();
        (answer.status().as_u16(), answer.body_mut().read_to_string().unwrap())
    })
    .await
    .unwrap()
}

/// A request of somebody who has a key, in the name of one.
pub(crate) fn request(word: &str, node: &str, named: &str, key: &KeyPair) -> JoinRequest {
    let invite = Invite::parse(word).unwrap();
    let ask = serde_json::to_string(&JoinAsk { name: node.to_owned(), key: named.to_owned() }).unwrap();
    let (proof, signature) = (invite.key().prove_ask(&ask), invite.key().sign_ask(key, &ask).unwrap());
    JoinRequest { invite: invite.id().to_owned(), ask, proof, signature }
}

/// A request of a host that has just made its key.
fn fresh(word: &str, node: &str) -> JoinRequest {
    let key = KeyPair::new_user();
    request(word, node, &key.public_key(), &key)
}

#[tokio::test]
async fn an_invite_that_is_wrong_or_over_admits_nobody() {
    let scene = Scene::open().await;
    let before = scene.users();
    scene.refuses("a", "aaaaaaaabbbbbbbbccccccccdddddddd", "there is no such invite").await;
    let word = invite(&scene.data(), &[]).await;
    // The id of one and the secret of another.
    let mixed = format!("{}{}", &word[..8], &invite(&scene.data(), &[]).await[8..]);
    scene.refuses("a", &mixed, "there is no such invite").await;
    let short = invite(&scene.data(), &["--expires", "1s"]).await;
    eventually(EVENT_TIMEOUT, async || {
        let listed = run(&["invites", "--data-dir", &scene.data()]).await.out;
        ensure!(listed.contains("has expired"), "{listed}");
        Ok(())
    })
    .await
    .unwrap();
    scene.refuses("a", &short, "has expired").await;
    let ended = run(&["invites", "revoke", &word[..8], "--data-dir", &scene.data()]).await;
    assert_eq!(ended.code, Some(0));
    scene.refuses("a", &word, "is revoked").await;
    assert_eq!(run(&["invites", "revoke", "nobody", "--data-dir", &scene.data()]).await.code, Some(1));
    for wrong in [&["--expires", "0s"][..], &["--expires", "367d"], &["--uses", "0"], &["--label", "a"]] {
        let data = scene.data();
        assert_eq!(
            run(&[&["invite", "--data-dir", &data], wrong].concat()).await.code,
            Some(64),
            "{wrong:?}"
        );
    }
    assert_eq!(scene.users(), before);
}

#[tokio::test]
async fn a_name_belongs_to_the_key_that_has_it() {
    let scene = Scene::open().await;
    let word = invite(&scene.data(), &["--uses", "9"]).await;
    assert_eq!(scene.join("a", &word, &[]).await.code, Some(0));
    fs::rename(scene.path("a"), scene.path("kept")).unwrap();
    // The first host's own agent, and one that has joined; written in any way.
    let before = scene.users();
    scene.refuses("first", &word, "is enrolled with another key").await;
    scene.refuses("A", &word, "is enrolled with another key").await;
    // The keys of another node and of a service: the broker would refuse all of its users.
    let own = KeyPair::new_user();
    let key = before.split("nkey: ").nth(1).unwrap().split(',').next().unwrap();
    let services = fs::read_to_string(Path::new(&scene.data()).join("users/services.conf")).unwrap();
    let service = services.split("nkey: ").nth(1).unwrap().split(' ').next().unwrap();
    for taken in [key, service] {
        let (status, body) = post(&scene.url, &request(&word, "b", taken, &own)).await;
        assert!(status == 422 && body.contains("does not have the key"), "{status} {body}");
    }
    // Whoever has it may not use it twice either.
    let seed = fs::read_to_string(Path::new(&scene.path("kept")).join("agent.nk")).unwrap();
    let known = KeyPair::from_seed(seed.trim()).unwrap();
    let (status, body) = post(&scene.url, &request(&word, "b", &known.public_key(), &known)).await;
    assert!(status == 409 && body.contains("under another name"), "{status} {body}");
    let public = own.public_key();
    for (name, key) in [("", &*public), ("b", "U"), ("b", &format!("{public} }} {{"))] {
        assert_eq!(post(&scene.url, &request(&word, name, key, &own)).await.0, 422, "{name} {key}");
    }
    assert_eq!(scene.users(), before);
    // With an invite that allows it the name goes to the other key, and the first one ends.
    let word = invite(&scene.data(), &["--rejoin"]).await;
    let _first = agent(Path::new(&scene.path("kept")));
    is_online(&scene.url, "a", &[]).await;
    assert_eq!(scene.join("a", &word, &[]).await.code, Some(0));
    let _second = agent(Path::new(&scene.path("a")));
    eventually(EVENT_TIMEOUT, async || {
        let log = _first.log();
        ensure!(log.contains("refuses this key"), "{log}");
        Ok(())
    })
    .await
    .unwrap();
    is_online(&scene.url, "a", &[]).await;
}

#[tokio::test]
async fn a_request_may_be_repeated_until_its_node_is_revoked() {
    let scene = Scene::open().await;
    let word = invite(&scene.data(), &["--uses", "2"]).await;
    let heard = fresh(&word, "a");
    let first = post(&scene.url, &heard).await;
    assert_eq!(first.0, 200, "{}", first.1);
    for _ in 0..3 {
        assert_eq!(post(&scene.url, &heard).await, first, "the same answer");
    }
    let listed = run(&["invites", "--data-dir", &scene.data()]).await.out;
    assert!(listed.contains("1 of 2 left"), "{listed}");
    let revoked = run(&["revoke", "a", "--data-dir", &scene.data()]).await;
    assert!(revoked.code == Some(0) && revoked.err.contains("a is revoked"), "{}", revoked.err);
    assert!(revoked.err.contains(&format!("tidemap invites revoke {}", &word[..8])), "{}", revoked.err);
    let before = scene.users();
    let (status, body) = post(&scene.url, &heard).await;
    assert!(status == 409 && body.contains("was revoked since"), "{status} {body}");
    assert_eq!(scene.users(), before);
    let line = run(&["enroll", "a", "--data-dir", &scene.data()]).await;
    assert_eq!(line.code, Some(0), "its name is free again: {}", line.err);
}

#[tokio::test]
async fn a_node_that_has_joined_keeps_its_key_and_can_be_revoked() {
    let scene = Scene::open().await;
    let word = invite(&scene.data(), &[]).await;
    assert_eq!(scene.join("a", &word, &[]).await.code, Some(0));
    let running = agent(Path::new(&scene.path("a")));
    is_online(&scene.url, "a", &[]).await;
    let before = scene.users();
    let again = run(&["enroll", "a", "--data-dir", &scene.data()]).await;
    assert!(again.code == Some(1) && again.err.contains("has joined by an invite"), "{}", again.err);
    assert_eq!(scene.users(), before);
    let revoked = run(&["revoke", "a", "--data-dir", &scene.data()]).await;
    assert!(revoked.code == Some(0) && revoked.err.contains("is no longer listed"), "{}", revoked.err);
    eventually(EVENT_TIMEOUT, async || {
        let log = running.log();
        ensure!(log.contains("refuses this key"), "{log}");
        Ok(())
    })
    .await
    .unwrap();
    eventually(EVENT_TIMEOUT, async || {
        let status = http::get(format!("{}/api/nodes/a", scene.url)).await?.status;
        ensure!(status == 404, "{status}");
        Ok(())
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn as_many_join_at_the_same_time_as_the_invite_says() {
    let scene = Scene::open().await;
    let word = invite(&scene.data(), &["--uses", "20"]).await;
    let requests: Vec<JoinRequest> = (0..30).map(|number| fresh(&word, &format!("n{number}"))).collect();
    let answers = join_all(requests.iter().map(|request| post(&scene.url, request))).await;
    let with = |status: u16| answers.iter().filter(|answer| answer.0 == status).count();
    assert_eq!((with(200), with(410)), (20, 10), "{answers:?}");
    assert_eq!(scene.users().matches("# joined by").count(), 20);
}

#[tokio::test]
async fn whoever_does_not_know_the_invite_cannot_name_a_broker() {
    let scene = Scene::open().await;
    let word = invite(&scene.data(), &[]).await;
    // Another Tidemap's answer, with a broker of its own, and the true one with another broker.
    let (status, answer) = post(&scene.url, &fresh(&word, "spy")).await;
    assert_eq!(status, 200);
    let other = answer.replace("127.0.0.1:", "127.0.0.9:");
    assert_ne!(other, answer);
    for forged in [&answer, &other] {
        let quoted = forged.replace('\\', "\\\\").replace('\'', "\\'");
        let directives = format!("location = /api/enroll {{ return 200 '{quoted}'; }}");
        let between = Nginx::start(&directives, &[]).await.unwrap();
        let (folder, url) = (scene.path("a"), format!("http://{}", between.address));
        let said = run(&["agent", "join", &url, &word, "--node", "a", "--config-dir", &folder]).await;
        assert!(said.code == Some(1) && said.err.contains("does not know this invite"), "{}", said.err);
        for file in ["agent.nk", "agent.env", "broker-ca.pem"] {
            assert!(!Path::new(&folder).join(file).exists(), "{file}");
        }
    }
}

#[tokio::test]
async fn strangers_do_not_keep_a_host_from_joining() {
    let scene = Scene::open().await;
    let word = invite(&scene.data(), &[]).await;
    let strange = JoinRequest { proof: String::new(), ..fresh(&word, "spy") };
    let trying = (0..8).map(|_| async {
        loop {
            let (status, body) = post(&scene.url, &strange).await;
            assert!(matches!(status, 403 | 429), "{status} {body}");
        }
    });
    let joined = tokio::select! {
        joined = scene.join("a", &word, &[]) => joined,
        _ = join_all(trying) => Said { code: None, out: String::new(), err: String::new() },
    };
    assert!(joined.code == Some(0) && !joined.err.contains("trying again"), "{}", joined.err);
}
