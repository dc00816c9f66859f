//! What a row holds besides plain columns.

use std::rc::Rc;

use tidemap_format::lean;
use tidemap_wire::stream::Columns;

/// What a host has in use, each 0 to 100.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Use {
    /// Of all processors.
    pub cpu: Option<u8>,
    /// Of its memory.
    pub memory: Option<u8>,
    /// Of its disk.
    pub disk: Option<u8>,
}

/// A node's labels, ordered by key.
pub(super) type Labels = Rc<[(Rc<str>, Rc<str>)]>;

pub(super) fn labels(nodes: &Columns, at: usize) -> Labels {
    nodes.labels[at].iter().map(|(key, value)| (Rc::from(&**key), Rc::from(&**value))).collect()
}

/// Everything of a node that a search may find: names, place, provider and labels as `key=value`, in lower
/// case, apart by line ends, which no search contains.
pub(super) fn haystack(nodes: &Columns, at: usize) -> Rc<str> {
    let mut text = String::new();
    let title = nodes.display_name.get(at).unwrap_or(&None);
    for part in [&nodes.name[at], title, &nodes.location[at], &nodes.provider[at]].into_iter().flatten() {
        text.push_str(part);
        text.push('\n');
    }
    for (key, value) in &nodes.labels[at] {
        text.push_str(key);
        text.push('=');
        text.push_str(value);
        text.push('\n');
    }
    lean::lowercase(&text).into()
}
