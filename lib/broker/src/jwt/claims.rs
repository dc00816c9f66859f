//! The claims of the operator, its accounts and its users: the same rules as in the account blocks of
//! `nats.conf`, which gives their reasons. A test compares the two.

use std::collections::BTreeMap;

use nkeys::KeyPair;
use serde_json::{Map, Value, json};
use tidemap_wire::{NodeId, Slot, subject};

use super::{
    JwtError,
    token::{self, Claims},
};

/// The accounts, by the names that `nats.conf` gives them.
pub(super) const ACCOUNTS: [&str; 4] = ["SYS", "TIDEMAP", "AGENTS", "APPS"];

/// The slot and the name in the report subject of every agent that the enrolling key has signed; the broker
/// fills in the tag and the name from the agent's token.
const AGENT_SLOT: &str = "{{tag(slot)}}";
const AGENT_NAME: &str = "{{name()}}";
const AGENT_SUBSCRIBE: &str = "_INBOX.{{name()}}.>";

/// The limits of each connection in the account `AGENTS`.
const AGENT_SUBSCRIPTIONS: u32 = 256;
const AGENT_PAYLOAD_BYTES: u32 = 128 * 1024;

const SAMPLES: &str = subject::ALL_SAMPLES;
const PACKS: &str = subject::ALL_PACKS;

/// The accounts' keys.
pub(super) struct Accounts {
    pub(super) sys: KeyPair,
    pub(super) tidemap: KeyPair,
    pub(super) agents: KeyPair,
    pub(super) apps: KeyPair,
    /// The public half of the enrolling key.
    pub(super) enroll: String,
}

/// How one account passes messages on to another: as a stream, or as a service.
#[derive(Clone, Copy)]
enum Passage {
    Stream,
    Service,
}

/// Revoked users: their public keys, and the time up to which what was signed for them is invalid.
pub(super) type Revoked = BTreeMap<String, i64>;

impl Accounts {
    /// The claims that the operator signs for each account.
    pub(super) fn claims(&self, revoked: &Revoked) -> Result<[(&'static str, Claims); 4], JwtError> {
        let account = |name: &str, key: &KeyPair, nats: Value| {
            Claims::new("account", &key.public_key(), name, object(nats))
        };
        Ok([
            ("SYS", account("SYS", &self.sys, json!({ "limits": limits() }))),
            ("TIDEMAP", account("TIDEMAP", &self.tidemap, tidemap())),
            ("AGENTS", account("AGENTS", &self.agents, self.agents(revoked)?)),
            ("APPS", account("APPS", &self.apps, self.apps()?)),
        ])
    }

    /// The users that are created with the folder, with the key of the account that signs each.
    pub(super) fn users(&self) -> [(&'static str, Claims, &KeyPair); 4] {
        // Users without permissions of their own have the account's default permissions.
        let plain = |name| user(name, json!({}));
        let simulator = user(
            "simulator",
            json!({ "pub": { "allow": [SAMPLES] }, "sub": { "allow": ["_INBOX.simulator.>"] } }),
        );
        [
            ("service", plain("service"), &self.tidemap),
            ("app", plain("app"), &self.apps),
            ("sys", plain("sys"), &self.sys),
            ("simulator", simulator, &self.agents),
        ]
    }

    fn agents(&self, revoked: &Revoked) -> Result<Value, JwtError> {
        let mut limits = limits();
        // Also for users whose own tokens set no limits. None for connections: enrolling is for any number of
        // nodes here, and the account's connections to all servers of a cluster would be counted together.
        limits["subs"] = json!(AGENT_SUBSCRIPTIONS);
        limits["payload"] = json!(AGENT_PAYLOAD_BYTES);
        Ok(json!({
            "limits": limits,
            "imports": [
                import(Passage::Service, SAMPLES, &self.tidemap, &self.agents)?,
                import(Passage::Service, PACKS, &self.tidemap, &self.agents)?,
            ],
            "exports": [export(Passage::Stream, SAMPLES), export(Passage::Stream, PACKS)],
            "default_permissions": { "pub": { "deny": [">"] }, "sub": { "deny": [">"] } },
            "signing_keys": [{
                "kind": "user_scope",
                "key": self.enroll,
                "role": "agent",
                "template": unlimited(json!({
                    "pub": { "allow": [subject::sample_template(AGENT_SLOT, AGENT_NAME)] },
                    "sub": { "allow": [AGENT_SUBSCRIBE] },
                })),
            }],
            "revocations": revoked,
        }))
    }

    fn apps(&self) -> Result<Value, JwtError> {
        let mut imports = vec![
            import(Passage::Stream, SAMPLES, &self.agents, &self.apps)?,
            import(Passage::Stream, PACKS, &self.agents, &self.apps)?,
        ];
        for subject in subject::READABLE {
            imports.push(import(Passage::Stream, subject, &self.tidemap, &self.apps)?);
        }
        Ok(json!({
            "limits": limits(),
            "imports": imports,
            "default_permissions": { "pub": { "deny": [">"] }, "sub": { "allow": [subject::ALL] } },
        }))
    }
}

/// The operator's claims about itself.
pub(super) fn operator(key: &KeyPair, accounts: &Accounts) -> Claims {
    let nats = json!({ "system_account": accounts.sys.public_key() });
    Claims::new("operator", &key.public_key(), "tidemap", object(nats))
}

/// The claims that the enrolling key signs: a name and a tag, and no permissions, because the account's
/// template grants them.
pub(super) fn agent(node: &NodeId, account: &str) -> Claims {
    let nats = json!({ "issuer_account": account, "tags": [format!("slot:{}", Slot::of(node))] });
    Claims::new("user", "", node.as_str(), object(nats))
}

/// The claims of a relay, which publishes reports of any node in packs.
pub(super) fn relay(relay: &NodeId) -> Claims {
    let publish = subject::packs_by(relay);
    let subscribe = format!("{}.>", subject::relay_inbox(relay));
    let permissions = json!({ "pub": { "allow": [publish] }, "sub": { "allow": [subscribe] } });
    user(&format!("relay {relay}"), permissions)
}

/// The account's claims with the addition that tokens for the user `key` are invalid if issued until
/// `until_s`.
pub(super) fn revoke(account: Claims, key: &str, until_s: i64) -> Claims {
    let mut revoked = revoked(&account);
    let refused_s = revoked.entry(key.to_owned()).or_insert(until_s);
    *refused_s = until_s.max(*refused_s);
    let mut account = account;
    account.nats.insert("revocations".to_owned(), json!(revoked));
    account
}

/// The users that an account's claims revoke.
pub(super) fn revoked(account: &Claims) -> Revoked {
    let found = account.nats.get("revocations").cloned().unwrap_or_default();
    serde_json::from_value(found).unwrap_or_default()
}

/// The public half of the enrolling key, from the claims of the account `AGENTS`.
pub(super) fn enroll_key(agents: &Claims) -> Option<String> {
    agents.nats.get("signing_keys")?.get(0)?.get("key")?.as_str().map(str::to_owned)
}

fn tidemap() -> Value {
    let readable = subject::READABLE.map(|subject| export(Passage::Stream, subject));
    let reports = [SAMPLES, PACKS].map(|subject| export(Passage::Service, subject));
    let exports: Vec<Value> = reports.into_iter().chain(readable).collect();
    let mut limits = limits();
    for storage in ["mem_storage", "disk_storage", "streams", "consumer"] {
        limits[storage] = json!(-1);
    }
    json!({
        "limits": limits,
        "exports": exports,
        "default_permissions": {
            "pub": { "allow": [
                subject::ALL, "$JS.API.>", "$KV.>", "$JS.ACK.>", "$JS.FC.>", "_INBOX.>", "$SRV.>",
            ] },
            "sub": { "allow": [subject::ALL, "_INBOX.>", "$SRV.>"] },
        },
    })
}

/// An import needs an activation that this account has signed, because the operator may have other accounts.
fn export(passage: Passage, subject: &str) -> Value {
    json!({ "subject": subject, "type": passage.name(), "token_req": true })
}

fn import(passage: Passage, subject: &str, from: &KeyPair, into: &KeyPair) -> Result<Value, JwtError> {
    let nats = json!({ "subject": subject, "kind": passage.name() });
    // Without a time, so that the same activation always yields the same token.
    let activation = Claims::new("activation", &into.public_key(), subject, object(nats));
    let token = token::sign(activation, from)?;
    Ok(json!({ "subject": subject, "type": passage.name(), "account": from.public_key(), "token": token }))
}

fn user(name: &str, permissions: Value) -> Claims {
    Claims::new("user", "", name, object(unlimited(permissions)))
}

/// NATS reads an absent limit as 0.
fn unlimited(permissions: Value) -> Value {
    let mut limits = object(json!({ "subs": -1, "data": -1, "payload": -1 }));
    limits.extend(object(permissions));
    limits.into()
}

/// Without limits, and without JetStream.
fn limits() -> Value {
    json!({
        "subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "conn": -1, "leaf": -1,
        "wildcards": true,
        "mem_storage": 0, "disk_storage": 0, "streams": 0, "consumer": 0,
    })
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

impl Passage {
    fn name(self) -> &'static str {
        match self {
            Self::Stream => "stream",
            Self::Service => "service",
        }
    }
}
