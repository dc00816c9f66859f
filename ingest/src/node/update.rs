//! What readers receive of a node: what has changed, or everything.

use tidemap_wire::{NodeId, NodeUpdate};

use super::{Node, probed::Probed};
use crate::packed_metadata::PackedMetadata;

/// Between two publications of a node's interfaces and probes, which are long. Agents report them every 5 s
/// and every minute.
const LISTS_PERIOD_S: u16 = 2;

/// What has changed since the last update was published.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Changed {
    pub(super) any: bool,
    pub(super) hello: bool,
    pub(super) host: bool,
    pub(super) interfaces: bool,
    pub(super) probes: bool,
}

impl Node {
    /// What changed since the last call, for a delta; `None` when nothing did.
    pub fn take_update(&mut self, id: &NodeId) -> Option<NodeUpdate> {
        let mut changed = std::mem::take(&mut self.changed);
        if changed.interfaces || changed.probes {
            let now_s = (self.seen_ms / 1_000) as u16;
            if now_s.wrapping_sub(self.interfaces_s) >= LISTS_PERIOD_S {
                self.interfaces_s = now_s;
            } else {
                (self.changed.interfaces, self.changed.probes) = (changed.interfaces, changed.probes);
                (changed.interfaces, changed.probes) = (false, false);
            }
        }
        (changed.any || changed.hello).then(|| self.describe(id, changed))
    }

    /// Marks everything as published.
    pub fn mark_published(&mut self) {
        self.changed = Changed::default();
    }

    /// Everything, for a snapshot.
    pub fn full_update(&self, id: &NodeId) -> NodeUpdate {
        self.describe(
            id,
            Changed { any: true, hello: true, host: true, interfaces: true, probes: self.probed().is_some() },
        )
    }

    fn describe(&self, id: &NodeId, include: Changed) -> NodeUpdate {
        let (rx_avg, tx_avg) = self.windows.averages();
        let (past_rx_bytes, past_tx_bytes) = self.past.as_ref().map_or((0, 0), |past| past.bytes());
        NodeUpdate {
            node: id.clone(),
            row: self.row,
            boot: self.current.boot,
            status: self.status,
            since_ms: self.since_ms,
            seen_ms: self.seen_ms,
            at_ms: self.latest.at_ms,
            skew_ms: self.skew_ms,
            interval_ms: self.interval_ms,
            rx_bps: self.latest.rx_bps,
            tx_bps: self.latest.tx_bps,
            rx_avg,
            tx_avg,
            rx_bytes: self.current.rx_bytes.saturating_add(past_rx_bytes),
            tx_bytes: self.current.tx_bytes.saturating_add(past_tx_bytes),
            partial: self.is_partial(),
            refused: self.past.as_ref().and_then(|past| past.conduct.refused()),
            hello: self
                .hello
                .as_ref()
                .filter(|_| include.hello)
                .and_then(PackedMetadata::unpack)
                .map(Box::new),
            host: self.host.as_ref().filter(|_| include.host).and_then(PackedMetadata::unpack).map(Box::new),
            interfaces: self
                .interfaces
                .as_ref()
                .filter(|_| include.interfaces)
                .and_then(PackedMetadata::unpack),
            // Empty when the node probes no longer.
            probes: include.probes.then(|| self.probed().map(Probed::unpack).unwrap_or_default()),
        }
    }

    fn probed(&self) -> Option<&Probed> {
        self.past.as_ref()?.probed.as_ref()
    }
}
