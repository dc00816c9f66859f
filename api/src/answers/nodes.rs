//! All nodes of one tick.

use std::{ops::Range, sync::Arc};

use bytes::Bytes;
use tidemap_wire::http::NodeJson;
use tokio::sync::OnceCell;

use crate::{
    answers::{Encoded, Lost, Version},
    json,
};

/// The nodes, ordered by name, and what has been made of them so far.
#[derive(Debug)]
pub(crate) struct Nodes {
    pub(crate) version: Version,
    pub(crate) list: Vec<NodeJson>,
    written: OnceCell<Written>,
    /// `/metrics` of this tick.
    pub(crate) metrics: OnceCell<Encoded>,
}

/// The nodes as one JSON array, and where in it each one stands.
#[derive(Debug)]
struct Written {
    array: Encoded,
    spans: Vec<Range<usize>>,
}

impl Nodes {
    pub(crate) fn new(version: Version, mut list: Vec<NodeJson>) -> Self {
        list.sort_unstable_by(|one, other| one.name.cmp(&other.name));
        Self { version, list, written: OnceCell::new(), metrics: OnceCell::new() }
    }

    /// The whole list.
    pub(crate) async fn array(self: &Arc<Self>) -> Result<&Encoded, Lost> {
        Ok(&self.written().await?.array)
    }

    /// Some of the nodes, by their numbers in `list`, cut from the whole list instead of written again.
    pub(crate) async fn selection(self: &Arc<Self>, chosen: &[usize]) -> Result<Bytes, Lost> {
        let written = self.written().await?;
        let whole = written.array.plain();
        let mut bytes = vec![b'['];
        for (place, number) in chosen.iter().enumerate() {
            if place > 0 {
                bytes.push(b',');
            }
            bytes.extend_from_slice(&whole[written.spans[*number].clone()]);
        }
        bytes.push(b']');
        Ok(bytes.into())
    }

    async fn written(self: &Arc<Self>) -> Result<&Written, Lost> {
        self.written
            .get_or_try_init(|| async {
                let nodes = Arc::clone(self);
                tokio::task::spawn_blocking(move || write(&nodes.list)).await.map_err(|_| Lost)
            })
            .await
    }
}

fn write(list: &[NodeJson]) -> Written {
    let mut bytes = vec![b'['];
    let mut spans = Vec::with_capacity(list.len());
    for node in list {
        if !spans.is_empty() {
            bytes.push(b',');
        }
        let start = bytes.len();
        json::append(&mut bytes, node);
        spans.push(start..bytes.len());
    }
    bytes.push(b']');
    Written { array: Encoded::new(bytes.into()), spans }
}
