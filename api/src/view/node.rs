//! One node, as the newest of each of its parts tells it.

use std::sync::Arc;

use tidemap_wire::{Hello, Host, InterfaceRate, NodeId, NodeUpdate};

/// A node. A delta leaves out the parts that did not change; here they are always as last known.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Node {
    /// Shared with what was last shown to browsers, so that telling them apart costs one comparison of addresses.
    hello: Option<Arc<Hello>>,
    /// Everything else; `hello` in it is always absent.
    latest: NodeUpdate,
}

impl Node {
    /// A node as a snapshot has it, or one that just joined.
    pub(crate) fn new(mut update: NodeUpdate) -> Self {
        let hello = update.hello.take().map(Arc::from);
        Self { hello, latest: update }
    }

    /// Takes what a delta says.
    pub(crate) fn merge(&mut self, mut update: NodeUpdate) {
        if let Some(hello) = update.hello.take() {
            self.know(Some(Arc::from(hello)));
        }
        // What is kept for long stays where it is: replaced over and over it would leave holes between what is not.
        update.host = match (self.latest.host.take(), update.host) {
            (Some(mut known), Some(told)) => {
                *known = *told;
                Some(known)
            }
            (known, told) => told.or(known),
        };
        update.interfaces = match (self.latest.interfaces.take(), update.interfaces) {
            (Some(mut known), Some(told)) if are_the_same(&known, &told) => {
                for (known, told) in known.iter_mut().zip(told) {
                    (known.rx_bps, known.tx_bps) = (told.rx_bps, told.tx_bps);
                }
                Some(known)
            }
            (known, told) => told.or(known),
        };
        self.latest = update;
    }

    /// Takes what a snapshot says, which is all there is to know.
    pub(crate) fn replace(&mut self, mut update: NodeUpdate) {
        self.know(update.hello.take().map(Arc::from));
        self.latest = update;
    }

    /// The name as people read it.
    pub(crate) fn name(&self) -> String {
        self.latest.node.display_name()
    }

    pub(crate) fn id(&self) -> &NodeId {
        &self.latest.node
    }

    pub(crate) fn hello(&self) -> Option<&Arc<Hello>> {
        self.hello.as_ref()
    }

    pub(crate) fn host(&self) -> Option<&Host> {
        self.latest.host.as_deref()
    }

    pub(crate) fn interfaces(&self) -> &[InterfaceRate] {
        self.latest.interfaces.as_deref().unwrap_or_default()
    }

    /// Status, times, rates and totals.
    pub(crate) fn latest(&self) -> &NodeUpdate {
        &self.latest
    }

    /// Agents repeat their hello; only a different one is news.
    fn know(&mut self, hello: Option<Arc<Hello>>) {
        if self.hello != hello {
            self.hello = hello;
        }
    }
}

fn are_the_same(known: &[InterfaceRate], told: &[InterfaceRate]) -> bool {
    known.len() == told.len() && known.iter().zip(told).all(|(known, told)| known.name == told.name)
}
