//! One node, as the newest of each of its parts tells it.

use std::sync::Arc;

use tidemap_wire::{Hello, Host, InterfaceRate, NodeId, NodeUpdate};

/// A node. A delta leaves out the parts that did not change; here they are always as last known.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Node {
    name: String,
    /// Shared with what was last shown to browsers, so that telling them apart costs one comparison of addresses.
    hello: Option<Arc<Hello>>,
    /// Everything else; `hello` in it is always absent.
    latest: NodeUpdate,
}

impl Node {
    /// A node as a snapshot has it, or one that just joined.
    pub(crate) fn new(mut update: NodeUpdate) -> Self {
        let hello = update.hello.take().map(Arc::from);
        Self { name: update.node.display_name(), hello, latest: update }
    }

    /// Takes what a delta says.
    pub(crate) fn merge(&mut self, mut update: NodeUpdate) {
        if let Some(hello) = update.hello.take() {
            self.know(Some(Arc::from(hello)));
        }
        update.host = update.host.or_else(|| self.latest.host.take());
        update.interfaces = update.interfaces.or_else(|| self.latest.interfaces.take());
        self.latest = update;
    }

    /// Takes what a snapshot says, which is all there is to know.
    pub(crate) fn replace(&mut self, mut update: NodeUpdate) {
        self.know(update.hello.take().map(Arc::from));
        self.latest = update;
    }

    /// The name as people read it.
    pub(crate) fn name(&self) -> &str {
        &self.name
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
