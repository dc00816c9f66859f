//! The nodes' highest rates, beside their means in the list. Its rows are the page's other program's: each
//! names its node, and shows another one as the reader scrolls.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use tidemap_format::Unit;
use tidemap_wire::http::TopJson;

use super::dom;

/// What a row is called, and where it names its node.
const ROWS: &str = ".grid-node";
const NODE: &str = "data-node";
/// The cells of both directions, and where their peak stands: a style shows it.
const CELLS: [&str; 2] = ["[data-cell=rx]", "[data-cell=tx]"];
const PEAK: &str = "data-peak";

/// The highest rates of nodes.
#[derive(Default)]
pub(super) struct Peaks {
    /// Download and upload, by the nodes' names; nothing while the list shows the present.
    of_nodes: RefCell<Option<HashMap<String, [Option<f64>; 2]>>>,
    unit: Cell<Unit>,
}

impl Peaks {
    pub(super) fn new() -> Rc<Self> {
        let peaks = Rc::new(Self::default());
        let shown = Rc::clone(&peaks);
        dom::on_change(NODE, move || shown.write());
        peaks
    }

    /// Shows the peaks of these nodes; those of none for the present.
    pub(super) fn show(&self, top: Option<&TopJson>) {
        let rate = |bytes: Option<u64>| bytes.map(|bytes| bytes as f64);
        let of_nodes = top.map(|top| {
            let nodes = top.nodes.iter();
            nodes.map(|node| (node.node.clone(), [rate(node.rx_max_bps), rate(node.tx_max_bps)])).collect()
        });
        self.of_nodes.replace(of_nodes);
        for cell in dom::all(&["[", PEAK, "]"].concat()) {
            dom::remove_attribute(&cell, PEAK);
        }
        self.write();
    }

    /// Shows them in this unit.
    pub(super) fn draw(&self, unit: Unit) {
        if self.unit.replace(unit) != unit {
            self.write();
        }
    }

    fn write(&self) {
        let of_nodes = self.of_nodes.borrow();
        let Some(of_nodes) = &*of_nodes else { return };
        for row in dom::all(ROWS) {
            let peaks = row.get_attribute(NODE).and_then(|node| of_nodes.get(&node)).copied();
            for (cell, peak) in CELLS.into_iter().zip(peaks.unwrap_or_default()) {
                let cell = dom::find(&row, cell);
                match peak {
                    Some(_) => dom::set_attribute(&cell, PEAK, &self.unit.get().bare(peak)),
                    None => dom::remove_attribute(&cell, PEAK),
                }
            }
        }
    }
}
