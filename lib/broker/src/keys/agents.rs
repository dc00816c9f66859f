//! `users/agents.conf`: one line for each agent and relay, with its permissions.
//!
//! Other lines stay as they are, so an operator may add users by hand.

use std::path::{Path, PathBuf};

use tidemap_wire::{NodeId, subject};

use super::{KeysError, RelaySide};
use crate::files;

const OPEN: &str = "users = [";
const CLOSE: &str = "]";
/// Begins the remark on the line of a node that has joined: its seed was never in this folder.
const JOINED: &str = " # joined by ";

/// The fragment's content.
pub(super) struct Agents {
    path: PathBuf,
    lines: Vec<String>,
    /// The index of the closing line, before which users are added.
    close: usize,
}

impl Agents {
    /// Reads the fragment; a missing one has no users.
    pub(super) fn read(path: &Path) -> Result<Self, KeysError> {
        let text = files::read(path)?.unwrap_or_else(new_fragment);
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let open = lines.iter().position(|line| line.trim() == OPEN);
        let close = lines.iter().rposition(|line| line.trim() == CLOSE);
        match (open, close) {
            (Some(open), Some(close)) if open < close => Ok(Self { path: path.to_owned(), lines, close }),
            _ => Err(KeysError::NotAFragment { path: path.to_owned() }),
        }
    }

    /// Adds or replaces the user of a node's agent. Returns whether that changed anything.
    pub(super) fn set(&mut self, node: &NodeId, user: &str) -> bool {
        self.set_user(user, &subject::sample(node), node.as_str())
    }

    /// The same for a node that has joined by an invite.
    pub(super) fn set_joined(&mut self, node: &NodeId, user: &str, invite: &str) {
        let publish = subject::sample(node);
        let line = format!("{}{JOINED}{invite}", user_line(user, &publish, node.as_str()));
        self.set_line(&mark(&publish), line);
    }

    /// The user of a node's agent, and whether the node has joined by an invite.
    pub(super) fn user(&self, node: &NodeId) -> Option<(&str, bool)> {
        let mark = mark(&subject::sample(node));
        let line = self.lines.iter().find(|line| line.contains(&mark))?;
        let (_, user) = line.split_once("nkey: ")?;
        Some((user.split([',', ' ', '}']).next()?, line.contains(JOINED)))
    }

    /// Adds or replaces the simulator's user, which may publish as every node.
    pub(super) fn set_simulator(&mut self, user: &str) {
        self.set_user(user, subject::ALL_SAMPLES, "simulator");
    }

    /// Adds or replaces a relay's user on this side. Returns whether that changed anything.
    pub(super) fn set_relay(&mut self, relay: &NodeId, side: RelaySide, user: &str) -> bool {
        let mark = relay_mark(relay, side);
        let may = match side {
            RelaySide::Packs => format!("{mark}, subscribe: \"{}.>\"", subject::relay_inbox(relay)),
            RelaySide::Reports => {
                format!("publish: \"_INBOX.>\", subscribe: \"{} {}\"", subject::ALL_SAMPLES, subject::RELAYS)
            }
        };
        // All relays have the same permissions on this side, so only a comment can name the relay of a line.
        let remark = if side == RelaySide::Reports { format!(" {mark}") } else { String::new() };
        self.set_line(&mark, format!("  {{ nkey: {user}, permissions: {{ {may} }} }}{remark}"))
    }

    /// Removes a relay's users on both sides. Returns whether there was one.
    pub(super) fn remove_relay(&mut self, relay: &NodeId) -> bool {
        let [packs, reports] =
            [RelaySide::Packs, RelaySide::Reports].map(|side| self.remove_line(&relay_mark(relay, side)));
        packs || reports
    }

    /// Removes a node's agent. Returns whether it was there.
    pub(super) fn remove(&mut self, node: &NodeId) -> bool {
        self.remove_line(&mark(&subject::sample(node)))
    }

    /// Writes the file back.
    pub(super) fn write(&self) -> Result<(), KeysError> {
        Ok(files::write_if_changed(&self.path, &(self.lines.join("\n") + "\n"))?)
    }

    fn set_user(&mut self, user: &str, publish: &str, inbox: &str) -> bool {
        self.set_line(&mark(publish), user_line(user, publish, inbox))
    }

    fn remove_line(&mut self, mark: &str) -> bool {
        let before = self.lines.len();
        self.lines.retain(|line| !line.contains(mark));
        self.close -= before - self.lines.len();
        before != self.lines.len()
    }

    fn set_line(&mut self, mark: &str, line: String) -> bool {
        match self.lines.iter_mut().find(|line| line.contains(mark)) {
            Some(found) if *found == line => return false,
            Some(found) => *found = line,
            None => {
                self.lines.insert(self.close, line);
                self.close += 1;
            }
        }
        true
    }
}

fn user_line(user: &str, publish: &str, inbox: &str) -> String {
    let mark = mark(publish);
    format!("  {{ nkey: {user}, permissions: {{ {mark}, subscribe: \"_INBOX.{inbox}.>\" }} }}")
}

/// The part of an agent's line by which it is found.
fn mark(publish: &str) -> String {
    format!("publish: \"{publish}\"")
}

/// The part of a relay's line by which it is found.
fn relay_mark(relay: &NodeId, side: RelaySide) -> String {
    match side {
        RelaySide::Packs => mark(&subject::packs_by(relay)),
        RelaySide::Reports => format!("# relay {relay};"),
    }
}

fn new_fragment() -> String {
    format!(
        "# The users of the account AGENTS, kept by `tidemap up` and `tidemap enroll`.\n{OPEN}\n{CLOSE}\n"
    )
}
