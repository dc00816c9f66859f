//! All nodes of one tick.

use std::{
    borrow::Borrow,
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use bytes::Bytes;
use tidemap_client::Node;
use tidemap_service::exposition::ExpositionFormat;
use tidemap_wire::http::NodeJson;
use tokio::{sync::OnceCell, task::spawn_blocking};

use crate::{
    answers::{Encoded, Groupings, NotBuilt, Version, summary},
    json,
    memory_budget::MemoryBudget,
};

/// A selection of less than one node in this many is encoded by itself: that costs less than encoding the
/// whole list, which perhaps no other request needs.
const FEW_ONE_IN: usize = 16;
/// What a node takes in a list, about.
const USUAL_BYTES: usize = 2_048;
/// With less room than this in its buffer, a list grows: by a sixteenth, because twice the memory would be
/// mostly unused.
const ROOM_BYTES: usize = 64 * 1024;
const GROWTH_ONE_IN: usize = 16;

/// The nodes as of one tick, and the answers built from them so far. Building takes milliseconds to a large
/// part of a second, so neither the task that holds the view nor a thread that serves streams does it.
#[derive(Debug)]
pub(crate) struct Nodes {
    pub(crate) version: Version,
    nodes: Vec<Arc<Node>>,
    at_ms: i64,
    redacted: bool,
    budget: MemoryBudget,
    is_polled: AtomicBool,
    list: OnceCell<Vec<NodeJson>>,
    /// An error stays for the rest of the tick when the list was over the budget.
    written: OnceCell<Result<Written, NotBuilt>>,
    /// `/metrics` of this tick, as text and as OpenMetrics.
    metrics: [OnceCell<Encoded>; 2],
    /// `/api/stats?by=…` of this tick.
    pub(crate) groupings: Groupings,
}

/// The nodes as one JSON array, and the range of each node in it.
#[derive(Debug)]
struct Written {
    array: Encoded,
    spans: Vec<Range<usize>>,
}

impl Nodes {
    /// `redacted` leaves out what hosts keep to themselves. The array is charged to `budget`.
    pub(crate) fn new(
        version: Version,
        nodes: Vec<Arc<Node>>,
        at_ms: i64,
        redacted: bool,
        budget: MemoryBudget,
    ) -> Self {
        Self {
            version,
            nodes,
            at_ms,
            redacted,
            budget,
            is_polled: AtomicBool::new(false),
            list: OnceCell::new(),
            written: OnceCell::new(),
            metrics: Default::default(),
            groupings: Groupings::default(),
        }
    }

    /// The nodes themselves, in the order of their rows.
    pub(crate) fn nodes(&self) -> &[Arc<Node>] {
        &self.nodes
    }

    /// Whether it is shown to everybody.
    pub(crate) fn is_redacted(&self) -> bool {
        self.redacted
    }

    /// `/metrics` of this tick, once it is built.
    pub(crate) fn metrics(&self, format: ExpositionFormat) -> &OnceCell<Encoded> {
        let [text, openmetrics] = &self.metrics;
        match format {
            ExpositionFormat::Text => text,
            ExpositionFormat::OpenMetrics => openmetrics,
        }
    }

    /// All nodes as one array.
    pub(crate) async fn array(self: &Arc<Self>) -> Result<&Encoded, NotBuilt> {
        self.is_polled.store(true, Ordering::Relaxed);
        Ok(&self.written().await?.array)
    }

    /// Whether a client has requested [`Self::array`].
    pub(crate) fn is_polled(&self) -> bool {
        self.is_polled.load(Ordering::Relaxed)
    }

    /// Builds the forms of the array that clients have requested of an older state, so that nobody waits for
    /// them.
    pub(crate) async fn prepare(self: &Arc<Self>, older: &Self) -> Result<(), NotBuilt> {
        let array = &self.written().await?.array;
        if let Some(Ok(written)) = older.written.get()
            && written.array.gzip_requested()
        {
            array.compress().await?;
        }
        Ok(())
    }

    /// How many nodes there are.
    pub(crate) fn count(&self) -> usize {
        self.nodes.len()
    }

    /// The nodes at these positions of the list. They are copied from the whole array, unless they are few
    /// and no request in this tick has needed the array.
    pub(crate) async fn selection(self: &Arc<Self>, chosen: Vec<usize>) -> Result<Bytes, NotBuilt> {
        if chosen.len() > self.nodes.len() / FEW_ONE_IN {
            self.written().await?;
        }
        let nodes = Arc::clone(self);
        let select = move |list: &[NodeJson]| {
            nodes.budget.charge(match nodes.written.get() {
                Some(Ok(written)) => written.cut(&chosen),
                _ => array(Vec::new(), chosen.iter().map(|number| &list[*number])).0,
            })
        };
        Ok(self.make(select).await??)
    }

    /// A body built from the list.
    pub(crate) async fn body(
        self: &Arc<Self>,
        write: impl FnOnce(&[NodeJson]) -> Vec<u8> + Send + 'static,
    ) -> Result<Encoded, NotBuilt> {
        let budget = self.budget.clone();
        self.make(move |list| Encoded::long(write(list), &budget)).await?
    }

    /// A value built from the list, which is ordered by name.
    pub(crate) async fn make<T: Send + 'static>(
        self: &Arc<Self>,
        make: impl FnOnce(&[NodeJson]) -> T + Send + 'static,
    ) -> Result<T, NotBuilt> {
        let nodes = Arc::clone(self);
        let list = || async {
            let list = move || described(&nodes.nodes, nodes.at_ms, nodes.redacted).collect();
            spawn_blocking(list).await.map_err(|_| NotBuilt::Lost)
        };
        self.list.get_or_try_init(list).await?;
        let nodes = Arc::clone(self);
        let make = move || nodes.list.get().map(|list| make(list));
        spawn_blocking(make).await.ok().flatten().ok_or(NotBuilt::Lost)
    }

    async fn written(self: &Arc<Self>) -> Result<&Written, NotBuilt> {
        let nodes = Arc::clone(self);
        let written = || async {
            let write = move || nodes.write();
            spawn_blocking(write).await.map_err(|_| NotBuilt::Lost)
        };
        self.written.get_or_try_init(written).await?.as_ref().map_err(|error| *error)
    }

    /// Writes each node as soon as it is described: descriptions of all nodes together, which only some
    /// requests need, take more memory than the array.
    fn write(&self) -> Result<Written, NotBuilt> {
        let buffer = self.budget.buffer(self.nodes.len() * USUAL_BYTES);
        let (array, spans) = match self.list.get() {
            Some(list) => array(buffer, list),
            None => array(buffer, described(&self.nodes, self.at_ms, self.redacted)),
        };
        Ok(Written { array: Encoded::long(array, &self.budget)?, spans })
    }
}

impl Written {
    fn cut(&self, chosen: &[usize]) -> Vec<u8> {
        let whole = self.array.plain();
        let spans = chosen.iter().map(|number| self.spans[*number].clone());
        let mut bytes = Vec::with_capacity(2 + spans.clone().map(|span| span.len() + 1).sum::<usize>());
        bytes.push(b'[');
        for (place, span) in spans.enumerate() {
            if place > 0 {
                bytes.push(b',');
            }
            bytes.extend_from_slice(&whole[span]);
        }
        bytes.push(b']');
        bytes
    }
}

/// The nodes as lists show them, by name.
fn described(nodes: &[Arc<Node>], at_ms: i64, redacted: bool) -> impl Iterator<Item = NodeJson> {
    let mut nodes: Vec<&Node> = nodes.iter().map(|node| &**node).collect();
    nodes.sort_by_cached_key(|node| node.name());
    nodes.into_iter().map(move |node| summary(node, at_ms, redacted))
}

/// Nodes as one JSON array, and the range of each node in it. The array is written to the empty `bytes`.
fn array(
    mut bytes: Vec<u8>,
    nodes: impl IntoIterator<Item: Borrow<NodeJson>>,
) -> (Vec<u8>, Vec<Range<usize>>) {
    let mut spans = Vec::new();
    bytes.push(b'[');
    for node in nodes {
        if !spans.is_empty() {
            bytes.push(b',');
        }
        if bytes.len() > ROOM_BYTES && bytes.capacity() - bytes.len() < ROOM_BYTES {
            bytes.reserve_exact(ROOM_BYTES + bytes.len() / GROWTH_ONE_IN);
        }
        let start = bytes.len();
        json::append(&mut bytes, node.borrow());
        spans.push(start..bytes.len());
    }
    bytes.push(b']');
    (bytes, spans)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidemap_client::testing::{AT_MS, full_node};

    use crate::memory_budget::OverBudget;

    const NODES: usize = 20;

    fn of_tick(tick: u64, budget: &MemoryBudget) -> Arc<Nodes> {
        let nodes = (0..NODES).map(|number| Arc::new(Node::new(full_node(&format!("n{}", 99 - number)))));
        Arc::new(Nodes::new(Version { epoch: 1, tick }, nodes.collect(), AT_MS, false, budget.clone()))
    }

    #[tokio::test]
    async fn lists_that_clients_do_not_read_stay_within_their_budget() {
        let enough = MemoryBudget::new(1 << 20);
        let whole = of_tick(1, &enough).array().await.unwrap().plain().clone();
        let budget = MemoryBudget::new(whole.len() as u32 * 5 / 2);
        // The bodies that slow clients still hold.
        let mut held = Vec::new();
        for tick in 0..10 {
            let nodes = of_tick(tick, &budget);
            match nodes.array().await {
                Ok(array) => held.push(array.plain().clone()),
                Err(error) => assert_eq!(error, NotBuilt::OverBudget(OverBudget)),
            }
        }
        assert_eq!(held, [whole.clone(), whole.clone()]);
        drop(held);
        let nodes = of_tick(11, &budget);
        let all = || (0..NODES).collect();
        held = vec![nodes.selection(all()).await.unwrap()];
        assert_eq!(held, [whole]);
        assert_eq!(nodes.selection(all()).await, Err(NotBuilt::OverBudget(OverBudget)));
        held.clear();
        assert!(nodes.selection(all()).await.is_ok());
    }

    #[tokio::test]
    async fn the_list_is_in_the_order_of_names() {
        let names = |list: &[NodeJson]| list.iter().map(|node| node.name.clone()).collect::<Vec<_>>();
        let names = of_tick(1, &MemoryBudget::new(1 << 20)).make(names).await.unwrap();
        assert!(names.len() == NODES && names.is_sorted(), "{names:?}");
    }

    #[tokio::test]
    async fn a_few_nodes_are_encoded_alone_unless_the_whole_list_exists() {
        let nodes = of_tick(1, &MemoryBudget::new(1 << 20));
        let alone = nodes.selection(vec![7]).await.unwrap();
        assert!(nodes.written.get().is_none());
        nodes.selection((0..NODES).collect()).await.unwrap();
        assert!(nodes.written.get().is_some());
        assert_eq!(nodes.selection(vec![7]).await.unwrap(), alone);
        let both: Vec<NodeJson> =
            serde_json::from_slice(&nodes.selection(vec![9, 7]).await.unwrap()).unwrap();
        let names: Vec<&str> = both.iter().map(|node| node.name.as_str()).collect();
        assert_eq!(names, ["n89", "n87"]);
    }
}
