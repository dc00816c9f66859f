//! What few nodes have: earlier runs of their agent, lost messages, refused reports, probes.

use serde::{Deserialize, Serialize};
use tidemap_wire::{Hello, bounds};

use super::{clocks::Clocks, conduct::Conduct, jumps::Jumps, probed::Probed};
use crate::agent_run::Run;

/// How many earlier runs are remembered at least: enough for an agent that crashes every 3 s while messages
/// arrive up to 5 s out of order.
const EARLIER_RUNS: usize = 3;
/// How many are remembered while each was short: of any of them the agent may send samples again that it has
/// not seen acknowledged. A run that was forgotten would seem new, and its samples would count twice.
const SHORT_RUNS: usize = 32;
/// A run with so many samples was long: nothing from before it is in its agent's ring any more.
const LONG: u64 = 2 * bounds::SAMPLES as u64;

/// Earlier runs, whether messages were lost, and what was refused.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Past {
    /// Newest first.
    pub(super) earlier: Vec<Run>,
    /// Bytes of runs that are no longer remembered.
    forgotten_rx_bytes: u64,
    forgotten_tx_bytes: u64,
    /// The newest sample's time when messages were last lost: windows that reach back beyond it are
    /// incomplete.
    pub(super) lost_at_ms: Option<i64>,
    #[serde(default, skip_serializing_if = "Conduct::is_empty")]
    pub(super) conduct: Conduct,
    #[serde(default, skip_serializing_if = "Clocks::is_empty")]
    pub(super) clocks: Clocks,
    /// Parts of runs that ended because the run's clock jumped.
    #[serde(default, skip_serializing_if = "Jumps::is_empty")]
    pub(super) jumps: Jumps,
    /// What the node's probes found, while it probes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) probed: Option<Probed>,
    /// Who reported before the current run, or beside it. Not kept: its next hello tells a new owner.
    #[serde(skip)]
    pub(super) other: Option<Box<str>>,
}

impl Past {
    /// Remembers a run, and forgets the oldest when there are too many.
    pub(super) fn remember(&mut self, run: Run) {
        let most = if run.newest_seq() >= LONG { EARLIER_RUNS } else { SHORT_RUNS };
        self.earlier.insert(0, run);
        while self.earlier.len() > most
            && let Some(oldest) = self.earlier.pop()
        {
            self.clocks.forget(oldest.boot);
            self.jumps.forget(oldest.boot);
            self.forgotten_rx_bytes = self.forgotten_rx_bytes.saturating_add(oldest.rx_bytes);
            self.forgotten_tx_bytes = self.forgotten_tx_bytes.saturating_add(oldest.tx_bytes);
        }
    }

    /// Whether a run is none of those remembered, though some were forgotten, and a sample of it at `at_ms`
    /// is older than all of theirs.
    pub(super) fn is_before_all(&self, boot: u64, at_ms: i64) -> bool {
        let is_before = |run: &Run| run.boot != boot && at_ms < run.first_at_ms;
        // Of a run without bytes nothing can count twice.
        let has_forgotten = self.forgotten_rx_bytes > 0 || self.forgotten_tx_bytes > 0;
        has_forgotten && self.earlier.iter().all(is_before)
    }

    /// Bytes that all runs before the current one have received and sent.
    pub(super) fn bytes(&self) -> (u64, u64) {
        self.earlier.iter().fold((self.forgotten_rx_bytes, self.forgotten_tx_bytes), |(rx, tx), run| {
            (rx.saturating_add(run.rx_bytes), tx.saturating_add(run.tx_bytes))
        })
    }
}

/// A host as its operator knows it: the name that is shown, the host's own, and an address.
pub(super) fn who(hello: &Hello) -> Box<str> {
    let Hello { display_name, hostname, internal_ip, .. } = hello;
    let mut who = display_name.as_deref().unwrap_or(hostname).to_owned();
    if who != *hostname {
        who.push_str(&format!(" on {hostname}"));
    }
    if let Some(ip) = internal_ip {
        who.push_str(&format!(" ({ip})"));
    }
    who.into()
}
