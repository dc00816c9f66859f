//! What is left when something fails between two steps.

use std::{collections::BTreeMap, fs};

use nkeys::KeyPair;
use tidemap_broker::{
    invites::{InviteRecord, InviteTerms},
    keys, unpublished,
};
use tidemap_service::invite::Invite;
use tidemap_wire::{JoinAsk, NodeId};

use super::*;

const NOW_MS: i64 = 1_700_000_000_000;

struct Scene {
    dir: tempfile::TempDir,
    invite: Invite,
    known: KnownInvites,
}

impl Scene {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        keys::Keys::open_or_create(dir.path()).unwrap();
        let terms = InviteTerms {
            uses: 1,
            expires_ms: NOW_MS + 1_000,
            labels: BTreeMap::new(),
            rejoin: false,
            url: Some("nats://broker.example:4222".to_owned()),
            authority: None,
        };
        let invite = invites::update(dir.path(), |invites| invites.make(terms, NOW_MS).unwrap()).unwrap();
        Self { dir, invite, known: KnownInvites::default() }
    }

    fn request(&self, name: &str) -> JoinRequest {
        let key = KeyPair::new_user();
        let ask = JoinAsk { name: name.to_owned(), key: key.public_key() };
        let (ask, secret) = (serde_json::to_string(&ask).unwrap(), self.invite.key());
        let (proof, signature) = (secret.prove_ask(&ask), secret.sign_ask(&key, &ask).unwrap());
        JoinRequest { invite: self.invite.id().to_owned(), ask, proof, signature }
    }

    /// Whether the request is granted, or why not; and whether the broker has to hear of it.
    fn ask(&mut self, request: &JoinRequest) -> (Result<(), JoinRefusal>, bool) {
        let registry = Registry::of_data_dir(self.dir.path());
        let requests = std::slice::from_ref(request);
        let mut outcome = admit_all(&registry, &mut self.known, requests, NOW_MS).unwrap();
        let reply = match outcome.replies.remove(0) {
            JoinReply::Granted(_) => Ok(()),
            JoinReply::Refused { reason, .. } => Err(reason),
        };
        (reply, outcome.has_news)
    }

    fn record(&self) -> InviteRecord {
        invites::read(self.dir.path()).unwrap().all()[0].clone()
    }

    fn admitted(&self) -> usize {
        let users = fs::read_to_string(self.dir.path().join("users/agents.conf")).unwrap();
        users.matches("# joined by").count()
    }
}

#[test]
fn a_use_is_counted_before_its_key_is_admitted() {
    let mut scene = Scene::new();
    let request = scene.request("a");
    // Nothing can take the mark's place, so nothing can be admitted.
    let mark = scene.dir.path().join("keys/unpublished");
    fs::create_dir_all(mark.join("x")).unwrap();
    assert_eq!(scene.ask(&request).0, Err(JoinRefusal::Failed));
    assert_eq!((scene.admitted(), scene.record().uses_left()), (0, 0));
    let other = scene.request("b");
    assert_eq!(scene.ask(&other).0, Err(JoinRefusal::Over), "no second name by one use");
    fs::remove_dir_all(mark).unwrap();
    assert_eq!(scene.ask(&request), (Ok(()), true), "the same request goes on");
    assert_eq!((scene.admitted(), scene.record().joined[0].pending), (1, false));
    assert!(unpublished::read(scene.dir.path()).unwrap().is_some(), "the broker has yet to hear of it");
}

#[test]
fn who_was_admitted_and_not_answered_goes_on_until_the_node_is_revoked() {
    let mut scene = Scene::new();
    let request = scene.request("a");
    assert_eq!(scene.ask(&request), (Ok(()), true));
    // As if the second writing of the invites had failed.
    let stop = |invites: &mut Invites| invites.asked(&request).unwrap().invite.joined[0].pending = true;
    invites::update(scene.dir.path(), stop).unwrap();
    assert_eq!(scene.ask(&request), (Ok(()), false));
    assert!(!scene.record().joined[0].pending);
    invites::update(scene.dir.path(), stop).unwrap();
    let node = NodeId::from_text("a").unwrap();
    invites::update(scene.dir.path(), |invites| invites.settle(node.as_str())).unwrap();
    assert!(keys::revoke(scene.dir.path(), &node).unwrap());
    assert_eq!(scene.ask(&request).0, Err(JoinRefusal::Taken));
    assert_eq!(scene.admitted(), 0);
}

#[test]
fn a_name_that_is_taken_takes_no_use() {
    let mut scene = Scene::new();
    let node = NodeId::from_text("a").unwrap();
    keys::enroll(scene.dir.path(), &node).unwrap();
    let refused = scene.request("a");
    assert_eq!(scene.ask(&refused), (Err(JoinRefusal::Taken), false));
    assert_eq!(scene.record().uses_left(), 1);
    let request = scene.request("b");
    assert_eq!(scene.ask(&request), (Ok(()), true));
}
