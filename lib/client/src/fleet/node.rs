//! One node, with the latest value of each of its parts.

use std::sync::Arc;

use tidemap_wire::{Hello, Host, InterfaceRate, NodeId, NodeUpdate, Probe, Status};

/// A node. A delta leaves out parts that did not change; this type always holds the last known value.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Shared with the answers that show it, so that an unchanged hello is recognized by its address.
    hello: Option<Arc<Hello>>,
    /// Everything else; `hello` in it is always absent.
    latest: NodeUpdate,
    /// Since when its worker is not heard: broker time, Unix milliseconds. Absent while it is.
    unheard_since_ms: Option<i64>,
}

impl Node {
    /// A node from a snapshot, or one that has just joined.
    pub fn new(mut update: NodeUpdate) -> Self {
        let hello = update.hello.take().map(Arc::from);
        Self { hello, latest: update, unheard_since_ms: None }
    }

    /// The text of its id: unique, and the same as long as the node exists.
    pub fn name(&self) -> String {
        self.latest.node.text()
    }

    /// How it is called, as somebody typed it. Two nodes may be called the same.
    pub fn display_name(&self) -> String {
        let given = self.hello.as_ref().and_then(|hello| hello.display_name.as_ref());
        given.filter(|given| !given.is_empty()).map_or_else(|| self.name(), String::clone)
    }

    /// The id as a subject token.
    pub fn id(&self) -> &NodeId {
        &self.latest.node
    }

    /// How the node describes itself: place, labels, addresses. The `Arc` stays the same while the content
    /// does not change.
    pub fn hello(&self) -> Option<&Arc<Hello>> {
        self.hello.as_ref()
    }

    /// Host metrics.
    pub fn host(&self) -> Option<&Host> {
        self.latest.host.as_deref()
    }

    /// Rates by interface.
    pub fn interfaces(&self) -> &[InterfaceRate] {
        self.latest.interfaces.as_deref().unwrap_or_default()
    }

    /// What its probes found in the last minute that it reported; empty when it does not probe.
    pub fn probes(&self) -> &[Probe] {
        self.latest.probes.as_deref().unwrap_or_default()
    }

    /// Whether the node still reports; unknown while its worker is not heard.
    pub fn status(&self) -> Status {
        if self.unheard_since_ms.is_some() { Status::Unknown } else { self.latest.status }
    }

    /// Since when it has this status: broker time, Unix milliseconds.
    pub fn status_since_ms(&self) -> i64 {
        self.unheard_since_ms.unwrap_or(self.latest.since_ms)
    }

    /// Notes since when its worker is not heard, or that it is.
    pub(crate) fn set_unheard(&mut self, since_ms: Option<i64>) {
        self.unheard_since_ms = since_ms;
    }

    /// Times, rates and totals, and the status that its worker has published.
    pub fn latest(&self) -> &NodeUpdate {
        &self.latest
    }

    /// Applies an update from a delta.
    pub(crate) fn merge(&mut self, mut update: NodeUpdate) {
        if let Some(hello) = update.hello.take() {
            self.set_hello(Some(Arc::from(hello)));
        }
        // Long-lived allocations are updated in place: replacing them again and again would fragment the
        // heap.
        update.host = match (self.latest.host.take(), update.host) {
            (Some(mut known), Some(new)) => {
                *known = *new;
                Some(known)
            }
            (known, new) => new.or(known),
        };
        update.interfaces = match (self.latest.interfaces.take(), update.interfaces) {
            (Some(mut known), Some(new)) if have_same_names(&known, &new) => {
                for (known, new) in known.iter_mut().zip(new) {
                    (known.rx_bps, known.tx_bps) = (new.rx_bps, new.tx_bps);
                }
                Some(known)
            }
            (known, new) => new.or(known),
        };
        update.probes = update.probes.or(self.latest.probes.take());
        self.latest = update;
    }

    /// Applies an update from a snapshot, which is complete.
    pub(crate) fn replace(&mut self, mut update: NodeUpdate) {
        self.set_hello(update.hello.take().map(Arc::from));
        self.latest = update;
    }

    /// Agents repeat their hello; only a different hello counts as a change.
    fn set_hello(&mut self, hello: Option<Arc<Hello>>) {
        if self.hello != hello {
            self.hello = hello;
        }
    }
}

fn have_same_names(known: &[InterfaceRate], new: &[InterfaceRate]) -> bool {
    known.len() == new.len() && known.iter().zip(new).all(|(known, new)| known.name == new.name)
}
