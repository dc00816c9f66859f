//! The bucket's keys, and the ids in them.

use tidemap_wire::{Alert, AlertChange, AlertTarget, NodeId};

/// The key of the lease.
pub const LEASE_KEY: &str = "lease";

/// The key of what a rule finds about a target.
///
/// # Errors
///
/// When no token can be made of the rule's name.
pub fn record_key(rule: &str, target: &AlertTarget) -> anyhow::Result<String> {
    let kind = target.kind as u8;
    let hash = fnv(&[&[kind], target.id.as_bytes()].concat());
    Ok(format!("a.{}.{hash:016x}", NodeId::from_name(rule)?))
}

/// The key of a notice.
pub fn notice_key(id: &str) -> String {
    format!("n.{id}")
}

/// The key of a part of what does not fire yet.
pub fn pending_key(part: usize) -> String {
    format!("p.{part}")
}

/// How the keys of what fires on although its condition is over begin.
pub const CLEAR_KEYS: &str = "c.";

/// The key of a part of what fires on although its condition is over.
pub fn clear_key(part: usize) -> String {
    format!("{CLEAR_KEYS}{part}")
}

/// The key of a silence.
pub fn silence_key(id: &str) -> String {
    format!("s.{id}")
}

/// The id of the notice that tells first of this change of an alert: the same in every station.
pub fn notice_id(alert: &Alert, change: AlertChange, changes: u64) -> String {
    format!("{:016x}", fnv(format!("{}/{}/{change}/{changes}", alert.rule, alert.id).as_bytes()))
}

/// A record as a notice names it.
pub fn member(key: &str) -> u64 {
    fnv(key.as_bytes())
}

/// FNV-1a.
fn fnv(bytes: &[u8]) -> u64 {
    let add = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, add)
}

/// What a key is about.
#[derive(Clone, Copy, Debug)]
pub(super) enum Key<'a> {
    Lease,
    Alert,
    Notice(&'a str),
    Pending,
    Clear,
    Silence(&'a str),
    /// Of a later version.
    Other,
}

pub(super) fn split(key: &str) -> Key<'_> {
    match key.split_once('.') {
        None if key == LEASE_KEY => Key::Lease,
        Some(("a", _)) => Key::Alert,
        Some(("n", id)) => Key::Notice(id),
        Some(("p", _)) => Key::Pending,
        Some(("c", _)) => Key::Clear,
        Some(("s", id)) => Key::Silence(id),
        _ => Key::Other,
    }
}
