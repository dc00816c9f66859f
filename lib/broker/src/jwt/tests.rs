use std::{collections::BTreeSet, fs};

use super::*;
use crate::keys::tests::snapshot;

const NOW_S: i64 = 1_700_000_000;

fn node(name: &str) -> NodeId {
    NodeId::from_name(name).unwrap()
}

fn operator(dir: &Path) -> Operator {
    Operator::open_or_create(dir, EnrollKey::Keep, NOW_S).unwrap()
}

#[test]
fn making_the_folder_again_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    operator(dir.path()).enroll(&node("a"), NOW_S).unwrap();
    let first = snapshot(dir.path());
    assert_eq!(first.len(), 18, "6 keys, 5 tokens, 4 + 1 credentials, a configuration, a lock: {first:?}");
    let again = Operator::open_or_create(dir.path(), EnrollKey::Keep, NOW_S + 9).unwrap();
    assert!(!again.enroll(&node("a"), NOW_S + 9).unwrap().created);
    assert_eq!(snapshot(dir.path()), first);
}

#[cfg(unix)]
#[test]
fn only_the_owner_can_read_what_is_secret() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    operator(dir.path()).enroll(&node("a"), NOW_S).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    for folder in ["keys", "creds", "agents"] {
        assert_eq!(mode(&dir.path().join(folder)), 0o700, "{folder}");
        for (path, _) in snapshot(&dir.path().join(folder)) {
            assert_eq!(mode(&path), 0o600, "{}", path.display());
        }
    }
}

#[test]
fn files_for_brokers_hold_no_seed() {
    let dir = tempfile::tempdir().unwrap();
    let configuration = fs::read_to_string(operator(dir.path()).configuration_path()).unwrap();
    for (path, seed) in snapshot(&dir.path().join("keys")) {
        assert!(!configuration.contains(seed.trim()), "{}", path.display());
    }
}

#[test]
fn a_host_that_enrolls_needs_one_key_and_one_public_token() {
    let (home, away) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    operator(home.path());
    for file in ["keys/enroll.nk", "claims/AGENTS.jwt"] {
        fs::create_dir_all(away.path().join(file).parent().unwrap()).unwrap();
        fs::copy(home.path().join(file), away.path().join(file)).unwrap();
    }
    let enroller = Operator::open(away.path()).unwrap();
    assert!(enroller.enroll(&node("a"), NOW_S).unwrap().created);
    let refused = enroller.revoke(&node("a"), NOW_S).unwrap_err();
    assert!(matches!(refused, JwtError::NoKey { .. }), "{refused}");
    assert!(enroller.agent_creds_path(&node("a")).exists(), "what was not revoked stays");
}

#[test]
fn a_removed_key_is_an_error_and_is_not_generated_again() {
    let dir = tempfile::tempdir().unwrap();
    let before = operator(dir.path()).claims("AGENTS").unwrap();
    fs::remove_file(dir.path().join("keys/enroll.nk")).unwrap();
    assert_eq!(operator(dir.path()).claims("AGENTS").unwrap(), before, "its public half is enough");
    for key in ["operator", "agents"] {
        let path = dir.path().join("keys").join(key).with_extension("nk");
        let seed = fs::read(&path).unwrap();
        fs::remove_file(&path).unwrap();
        let refused = Operator::open_or_create(dir.path(), EnrollKey::Keep, NOW_S).unwrap_err();
        assert!(matches!(&refused, JwtError::NoKey { path: missing } if *missing == path), "{refused}");
        assert!(!path.exists());
        fs::write(&path, seed).unwrap();
    }
}

#[test]
fn revoking_is_final_and_enrolling_again_makes_a_new_key() {
    let dir = tempfile::tempdir().unwrap();
    let operator = operator(dir.path());
    let user = |name: &str| creds::read(&operator.agent_creds_path(&node(name))).unwrap().unwrap().claims.sub;
    let revoked = || claims::revoked(&operator.claims("AGENTS").unwrap().unwrap());
    operator.enroll(&node("b"), NOW_S).unwrap();
    // By a host whose clock is ahead.
    operator.enroll(&node("a"), NOW_S + 50).unwrap();
    let first = user("a");
    assert_eq!(operator.revoke(&node("a"), NOW_S).unwrap(), Revocation::Now);
    assert_eq!(operator.revoke(&node("a"), NOW_S).unwrap(), Revocation::Before(first.clone()));
    assert_eq!(operator.revoke(&node("c"), NOW_S).unwrap(), Revocation::Unknown);
    assert_eq!(revoked(), claims::Revoked::from([(first.clone(), NOW_S + 50)]));
    assert!(operator.enroll(&node("a"), NOW_S).unwrap().created);
    assert_ne!(user("a"), first);
    // Signing the accounts again keeps the list of revoked users, and gives the token a later time, so
    // brokers keep it.
    let issued = operator.claims("AGENTS").unwrap().unwrap().iat;
    assert_eq!(operator.revoke(&node("b"), NOW_S).unwrap(), Revocation::Now);
    Operator::open_or_create(dir.path(), EnrollKey::Keep, NOW_S).unwrap();
    assert_eq!(revoked().len(), 2);
    assert!(operator.claims("AGENTS").unwrap().unwrap().iat > issued);
}

#[test]
fn a_key_is_revoked_by_its_public_half() {
    let dir = tempfile::tempdir().unwrap();
    let operator = operator(dir.path());
    let path = operator.enroll(&node("a"), NOW_S).unwrap().creds_path;
    let key = creds::read(&path).unwrap().unwrap().claims.sub;
    for bad in ["", "U", "web-01", &nkeys::KeyPair::new_account().public_key()] {
        let refused = operator.revoke_key(&node("a"), bad, NOW_S).unwrap_err();
        assert!(matches!(refused, JwtError::NotAKey { .. }), "{refused}");
    }
    operator.revoke_key(&node("a"), &key, NOW_S).unwrap();
    let revoked = claims::revoked(&operator.claims("AGENTS").unwrap().unwrap());
    assert!(revoked.len() == 1 && revoked.contains_key(&key), "{revoked:?}");
    assert!(!path.exists(), "what no longer holds is not handed out again");
    assert_eq!(operator.revoke(&node("a"), NOW_S).unwrap(), Revocation::Before(key));
}

#[test]
fn a_new_enrolling_key_signs_known_nodes_again() {
    let dir = tempfile::tempdir().unwrap();
    let operator = operator(dir.path());
    operator.enroll(&node("a"), NOW_S).unwrap();
    operator.enroll(&node("b"), NOW_S).unwrap();
    operator.revoke(&node("b"), NOW_S).unwrap();
    let relay = operator.enroll_relay(&node("r"), NOW_S).unwrap().creds_path;
    let relay = creds::read(&relay).unwrap().unwrap().claims.sub;
    let elsewhere = nkeys::KeyPair::new_user().public_key();
    operator.revoke_relay(&node("r"), NOW_S).unwrap();
    operator.revoke_relay_key(&node("s"), &elsewhere, NOW_S).unwrap();
    let read = || creds::read(&operator.agent_creds_path(&node("a"))).unwrap().unwrap().claims;
    let before = read();
    Operator::open_or_create(dir.path(), EnrollKey::Renew, NOW_S).unwrap();
    assert!(operator.enroll(&node("a"), NOW_S).unwrap().created);
    let after = read();
    assert!(after.sub == before.sub && after.iss != before.iss);
    let revoked = claims::revoked(&operator.claims("AGENTS").unwrap().unwrap());
    let relays = [(relay, NOW_S), (elsewhere, NOW_S + CLOCK_SKEW_MAX_S)];
    assert_eq!(revoked, claims::Revoked::from(relays), "another key signs relays, so they stay revoked");
}

#[test]
fn a_relay_that_was_revoked_without_its_kind_stays_revoked() {
    let dir = tempfile::tempdir().unwrap();
    let operator = operator(dir.path());
    let revoked = || claims::revoked(&operator.claims("AGENTS").unwrap().unwrap()).into_keys();
    let relay = nkeys::KeyPair::new_user().public_key();
    operator.revoke_key(&node("r"), &relay, NOW_S).unwrap();
    assert_eq!(operator.revoke(&node("r"), NOW_S).unwrap(), Revocation::Before(relay.clone()));
    // An older Tidemap recorded every key like this.
    let old = nkeys::KeyPair::new_user().public_key();
    operator.revoke_key(&node("s"), &old, NOW_S).unwrap();
    fs::write(operator.revoked_path(&node("s")), format!("{old}\n")).unwrap();
    // Credentials that are here show that the key is an agent's.
    let path = operator.enroll(&node("a"), NOW_S).unwrap().creds_path;
    let agent = creds::read(&path).unwrap().unwrap().claims.sub;
    operator.revoke_key(&node("a"), &agent, NOW_S).unwrap();
    assert_eq!(revoked().count(), 3);
    Operator::open_or_create(dir.path(), EnrollKey::Renew, NOW_S).unwrap();
    assert_eq!(revoked().collect::<BTreeSet<_>>(), BTreeSet::from([relay, old]));
}

#[test]
fn a_node_joins_with_a_key_that_is_not_here() {
    use crate::keys::Admission;
    let dir = tempfile::tempdir().unwrap();
    let operator = operator(dir.path());
    let (a, key, other) =
        (node("a"), nkeys::KeyPair::new_user().public_key(), nkeys::KeyPair::new_user().public_key());
    let revoked = || claims::revoked(&operator.claims("AGENTS").unwrap().unwrap());
    let (admission, token) = operator.admit(&a, &key, false, NOW_S).unwrap();
    let claims = token::claims(&token).unwrap();
    assert_eq!((admission, &claims.sub, &*claims.name), (Admission::New, &key, "a"));
    assert_eq!(operator.admit(&a, &key, false, NOW_S + 9).unwrap(), (Admission::Known, token));
    assert_eq!(operator.admit(&a, &other, false, NOW_S).unwrap().0, Admission::NodeTaken);
    let refused = operator.enroll(&a, NOW_S).unwrap_err();
    assert!(matches!(refused, JwtError::Joined { .. }), "{refused}");
    assert_eq!(operator.admit(&a, &other, true, NOW_S + 5).unwrap().0, Admission::Replaced);
    assert_eq!(revoked(), claims::Revoked::from([(key.clone(), NOW_S + 5)]));
    assert!(operator.is_admitted(&a, &other).unwrap() && !operator.is_admitted(&a, &key).unwrap());
    // Its key was never here, and it is revoked by its name all the same.
    assert_eq!(operator.revoke(&a, NOW_S + 9).unwrap(), Revocation::Now);
    assert!(revoked().contains_key(&other) && !operator.is_admitted(&a, &other).unwrap());
    assert_eq!(operator.revoke(&a, NOW_S).unwrap(), Revocation::Before(other));
    // What was enrolled with a key of ours is replaced, and no longer handed out.
    let creds = operator.enroll(&node("b"), NOW_S).unwrap().creds_path;
    let ours = creds::read(&creds).unwrap().unwrap().claims.sub;
    assert_eq!(operator.admit(&node("b"), &key, false, NOW_S).unwrap().0, Admission::NodeTaken);
    assert_eq!(operator.admit(&node("b"), &key, true, NOW_S).unwrap().0, Admission::Replaced);
    assert!(revoked().contains_key(&ours) && !creds.exists());
    // A new enrolling key ends them all: each may join again, with the key that it has.
    Operator::open_or_create(dir.path(), EnrollKey::Renew, NOW_S).unwrap();
    assert_eq!(operator.admit(&node("b"), &key, false, NOW_S + 9).unwrap().0, Admission::New);
}

/// The same rules are written in two places, so a test must keep them equal.
#[test]
fn accounts_have_the_permissions_of_nats_conf() {
    let dir = tempfile::tempdir().unwrap();
    let operator = operator(dir.path());
    let text = include_str!("../../../../nats.conf");
    let (_, text) = text.split_once("\naccounts {").unwrap();
    for name in claims::ACCOUNTS {
        let (_, block) = text.split_once(&format!("\n  {name} {{\n")).unwrap();
        let (block, _) = block.split_once("\n  }\n").unwrap();
        let rules = block.lines().filter(|line| !line.trim().starts_with(['#', 'i']) || line.contains('['));
        let named: BTreeSet<String> = rules
            .filter(|line| !line.trim().starts_with('#'))
            .flat_map(|line| line.split('"').skip(1).step_by(2))
            .map(str::to_owned)
            .collect();
        let nats = operator.claims(name).unwrap().unwrap().nats;
        let mut signed = BTreeSet::new();
        for part in ["imports", "exports", "default_permissions"] {
            subjects(nats.get(part).unwrap_or(&serde_json::Value::Null), &mut signed);
        }
        assert_eq!(signed, named, "{name}");
        let storage = nats["limits"]["disk_storage"].as_i64().unwrap();
        assert_eq!(storage != 0, block.contains("jetstream: enabled"), "{name}");
        let limit = |named: &str| block.lines().find_map(|line| line.trim().strip_prefix(named));
        let written = [limit("max_subscriptions: "), limit("max_payload: ")];
        let signed =
            [&nats["limits"]["subs"], &nats["limits"]["payload"]].map(|limit| limit.as_i64().unwrap());
        match written {
            [None, None] => assert_eq!(signed, [-1, -1], "{name}"),
            limits => assert_eq!(limits, [Some("256"), Some("128KB")], "{name}"),
        }
        assert_eq!(name == "AGENTS", signed == [256, 128 * 1024], "{name}");
    }
}

/// What looks like a subject in a part of an account's claims.
fn subjects(part: &serde_json::Value, found: &mut BTreeSet<String>) {
    match part {
        serde_json::Value::Array(parts) => parts.iter().for_each(|part| subjects(part, found)),
        serde_json::Value::Object(parts) => parts.values().for_each(|part| subjects(part, found)),
        serde_json::Value::String(text) if text.ends_with('>') => {
            found.insert(text.clone());
        }
        _ => {}
    }
}
