use std::fs;

use super::*;

const NOW_MS: i64 = 1_700_000_000_000;

fn terms(uses: u32) -> InviteTerms {
    InviteTerms {
        uses,
        expires_ms: NOW_MS + 1_000,
        labels: BTreeMap::new(),
        rejoin: false,
        url: None,
        authority: None,
    }
}

fn user() -> String {
    KeyPair::new_user().public_key()
}

/// A request of somebody who has a key, in the name of one.
fn signed(invite: &Invite, name: &str, named: &str, key: &KeyPair) -> JoinRequest {
    let ask = serde_json::to_string(&JoinAsk { name: name.to_owned(), key: named.to_owned() }).unwrap();
    let (proof, signature) = (invite.key().prove_ask(&ask), invite.key().sign_ask(key, &ask).unwrap());
    JoinRequest { invite: invite.id().to_owned(), ask, proof, signature }
}

fn request(invite: &Invite, name: &str, key: &KeyPair) -> JoinRequest {
    signed(invite, name, &key.public_key(), key)
}

fn refusal(invites: &mut Invites, request: &JoinRequest) -> JoinRefusal {
    invites.asked(request).unwrap_err().0
}

#[test]
fn who_knows_the_word_is_heard_and_nobody_else() {
    let mut invites = Invites::default();
    let invite = invites.make(terms(1), NOW_MS).unwrap();
    let other = invites.make(terms(1), NOW_MS).unwrap();
    let (key, stranger) = (KeyPair::new_user(), Invite::random().unwrap());
    let good = request(&invite, "Web 01", &key);
    let asked = invites.asked(&good).unwrap();
    assert_eq!(
        (asked.name.display(), asked.name.id().as_str(), &asked.key),
        ("Web 01", "web=2001", &key.public_key())
    );
    assert_eq!(asked.invite.id, invite.id());
    for wrong in [
        request(&stranger, "a", &key),
        JoinRequest { invite: other.id().to_owned(), ..good.clone() },
        JoinRequest { ask: good.ask.replace("Web 01", "Web 02"), ..good.clone() },
        JoinRequest { proof: String::new(), ..good.clone() },
        JoinRequest { proof: good.proof.to_ascii_uppercase(), ..good.clone() },
        JoinRequest { invite: String::new(), ..good.clone() },
    ] {
        assert_eq!(refusal(&mut invites, &wrong), JoinRefusal::Unknown, "{wrong:?}");
    }
}

#[test]
fn a_name_or_a_key_that_is_none_is_refused() {
    let mut invites = Invites::default();
    let invite = invites.make(terms(1), NOW_MS).unwrap();
    let account = nkeys::KeyPair::new_account().public_key();
    let injected = format!("{} }}\n{{ nkey: {}", user(), user());
    for (name, key) in
        [("", &*user()), (" ", &user()), ("a", ""), ("a", &account), ("a", &injected), ("a", " U")]
    {
        let asked = signed(&invite, name, key, &KeyPair::new_user());
        assert_eq!(refusal(&mut invites, &asked), JoinRefusal::Unfit, "{name:?} {key:?}");
    }
    let (long, own) = ("x".repeat(256), KeyPair::new_user());
    assert_eq!(refusal(&mut invites, &request(&invite, &long, &own)), JoinRefusal::Unfit);
    let ask = "no JSON".to_owned();
    let asked = JoinRequest { proof: invite.key().prove_ask(&ask), ask, ..request(&invite, "a", &own) };
    assert_eq!(refusal(&mut invites, &asked), JoinRefusal::Unfit);
}

#[test]
fn nobody_joins_with_the_key_of_somebody_else() {
    let mut invites = Invites::default();
    let invite = invites.make(terms(1), NOW_MS).unwrap();
    let (own, heard) = (KeyPair::new_user(), request(&invite, "a", &KeyPair::new_user()));
    let other = request(&invite, "b", &own).signature;
    for stolen in [
        signed(&invite, "a", &user(), &own),
        JoinRequest { signature: other, ..heard.clone() },
        JoinRequest { signature: String::new(), ..heard.clone() },
    ] {
        assert_eq!(refusal(&mut invites, &stolen), JoinRefusal::Unfit, "{stolen:?}");
    }
    assert!(invites.asked(&heard).is_ok());
}

#[test]
fn an_invite_ends_by_its_time_by_its_uses_or_by_hand() {
    let mut invites = Invites::default();
    let invite = invites.make(terms(1), NOW_MS).unwrap();
    let record = |invites: &Invites| invites.all()[0].clone();
    assert_eq!(record(&invites).over(NOW_MS + 999), None);
    assert_eq!(record(&invites).over(NOW_MS + 1_000), Some("has expired"));
    let joined = Joined {
        name: "A".to_owned(),
        node: "a".to_owned(),
        key: "U".to_owned(),
        at_ms: NOW_MS,
        pending: false,
    };
    invites.invites[0].joined.push(joined);
    assert_eq!((record(&invites).over(NOW_MS), record(&invites).uses_left()), (Some("is used up"), 0));
    assert!(record(&invites).joined("a", "U").is_some() && record(&invites).joined("a", "V").is_none());
    assert_eq!(invites.still_admitting("a", NOW_MS).count(), 0);
    invites.invites[0].terms.uses = 2;
    assert_eq!(invites.still_admitting("a", NOW_MS).collect::<Vec<_>>(), [invite.id()]);
    assert_eq!(invites.still_admitting("b", NOW_MS).count(), 0);
    assert!(invites.revoke(invite.id()) && !invites.revoke("nobody"));
    assert_eq!(record(&invites).over(NOW_MS), Some("is revoked"));
}

#[test]
fn the_file_is_the_owners_and_holds_no_word_and_old_invites_leave_it() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(read(dir.path()).unwrap(), Invites::default());
    let invite = update(dir.path(), |invites| invites.make(terms(3), NOW_MS).unwrap()).unwrap();
    let path = dir.path().join(FILE);
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(invite.id()) && !text.contains(&invite.word()[8..]), "{text}");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
    assert_eq!(read(dir.path()).unwrap().all()[0].terms, terms(3));
    let month = 31 * 24 * 3_600_000;
    update(dir.path(), |invites| invites.make(terms(1), NOW_MS + month).map(drop)).unwrap().unwrap();
    let left: Vec<String> = read(dir.path()).unwrap().all().iter().map(|invite| invite.id.clone()).collect();
    assert!(left.len() == 1 && left[0] != invite.id());
    fs::write(&path, "{").unwrap();
    let refused = update(dir.path(), |_| ()).unwrap_err().to_string();
    assert!(refused.contains("invites.json cannot be read"), "{refused}");
}

#[test]
fn a_use_that_is_counted_stays_so_until_it_is_settled_or_taken_back() {
    let mut invites = Invites::default();
    invites.make(terms(2), NOW_MS).unwrap();
    let joined = |node: &str| Joined {
        name: node.to_owned(),
        node: node.to_owned(),
        key: "U".to_owned(),
        at_ms: NOW_MS,
        pending: true,
    };
    invites.invites[0].joined = vec![joined("a"), joined("b")];
    assert_eq!(invites.all()[0].over(NOW_MS), Some("is used up"));
    invites.settle("a");
    let pending: Vec<bool> = invites.all()[0].joined.iter().map(|joined| joined.pending).collect();
    assert_eq!(pending, [false, true]);
    for node in ["a", "b"] {
        invites.invites[0].uncount(node, "U");
    }
    let left: Vec<&str> = invites.all()[0].joined.iter().map(|joined| &*joined.node).collect();
    assert_eq!((left, invites.all()[0].uses_left()), (vec!["a"], 1));
}

#[test]
fn strangers_are_refused_without_the_file_and_what_has_changed_is_known() {
    let dir = tempfile::tempdir().unwrap();
    let mut known = KnownInvites::default();
    assert_eq!(known.now(dir.path()).unwrap(), &Invites::default());
    let invite = update(dir.path(), |invites| invites.make(terms(1), NOW_MS).unwrap()).unwrap();
    let asked = request(&invite, "a", &KeyPair::new_user());
    assert_eq!(known.now(dir.path()).unwrap().refuses(&asked), None);
    let strange = JoinRequest { proof: String::new(), ..asked };
    // Nobody waits for whoever has the file open.
    let mut held = open(dir.path()).unwrap();
    let refused = known.now(dir.path()).unwrap().refuses(&strange);
    assert_eq!(refused.map(|(reason, _)| reason), Some(JoinRefusal::Unknown));
    assert!(held.invites.revoke(invite.id()));
    held.save().unwrap();
    assert!(known.now(dir.path()).unwrap().all()[0].revoked);
}
