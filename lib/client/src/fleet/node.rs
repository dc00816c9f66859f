//! One node, with the newest of each of its parts.

use std::sync::Arc;

use tidemap_wire::{Hello, Host, InterfaceRate, NodeId, NodeUpdate};

/// A node. A delta leaves out the parts that did not change; here they are always as last known.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Shared with the answers that show it, so that comparing it costs one comparison of addresses.
    hello: Option<Arc<Hello>>,
    /// Everything else; `hello` in it is always absent.
    latest: NodeUpdate,
}

impl Node {
    /// A node as a snapshot has it, or one that just joined.
    pub fn new(mut update: NodeUpdate) -> Self {
        let hello = update.hello.take().map(Arc::from);
        Self { hello, latest: update }
    }

    /// The name as people read it.
    pub fn name(&self) -> String {
        self.latest.node.display_name()
    }

    /// The name as subjects have it.
    pub fn id(&self) -> &NodeId {
        &self.latest.node
    }

    /// How the node describes itself: place, labels, addresses. The same `Arc` for as long as that does not
    /// change.
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

    /// Status, times, rates and totals.
    pub fn latest(&self) -> &NodeUpdate {
        &self.latest
    }

    /// Applies a delta's part.
    pub(crate) fn merge(&mut self, mut update: NodeUpdate) {
        if let Some(hello) = update.hello.take() {
            self.set_hello(Some(Arc::from(hello)));
        }
        // What is kept for long stays where it is: replaced over and over it would leave holes between what
        // is not.
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
        self.latest = update;
    }

    /// Applies a snapshot's part, which is all there is to know.
    pub(crate) fn replace(&mut self, mut update: NodeUpdate) {
        self.set_hello(update.hello.take().map(Arc::from));
        self.latest = update;
    }

    /// Agents repeat their hello; only a different one is a change.
    fn set_hello(&mut self, hello: Option<Arc<Hello>>) {
        if self.hello != hello {
            self.hello = hello;
        }
    }
}

fn have_same_names(known: &[InterfaceRate], new: &[InterfaceRate]) -> bool {
    known.len() == new.len() && known.iter().zip(new).all(|(known, new)| known.name == new.name)
}
