//! The rows on screen: a pool of elements that move over a list of any length.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use sycamore::prelude::*;
use wasm_bindgen::JsCast;
use web_sys::{Element, HtmlElement, Node, PointerEvent};

use crate::format::Unit;
use crate::order::Listing;
use crate::page::board::Board;
use crate::page::dom;
use crate::page::engine::Engine;
use crate::row::Row;
use crate::store::Fleet;
use crate::window::{self, Slots};

use super::keys;
use super::slot::Slot;

/// The rows on screen.
pub(in crate::page) struct Table {
    scroller: HtmlElement,
    head: HtmlElement,
    body: HtmlElement,
    scope: NodeHandle,
    slots: RefCell<Slots>,
    elements: RefCell<Vec<Slot>>,
    is_pointer_inside: Cell<bool>,
    /// The position that the tab key comes to.
    tab_position: Cell<usize>,
    len: Cell<usize>,
}

/// What the rows are written from.
#[derive(Clone, Copy)]
pub(in crate::page) struct Content<'a> {
    pub(in crate::page) fleet: &'a Fleet,
    pub(in crate::page) listing: &'a Listing,
    pub(in crate::page) unit: Unit,
    pub(in crate::page) selected: Option<usize>,
    /// Broker time of what is shown, Unix milliseconds.
    pub(in crate::page) now_ms: i64,
}

impl Table {
    /// Takes the table's elements; rows live in `scope`.
    pub(super) fn new(
        scroller: HtmlElement,
        head: HtmlElement,
        body: HtmlElement,
        scope: NodeHandle,
    ) -> Rc<Self> {
        Rc::new(Self {
            scroller,
            head,
            body,
            scope,
            slots: RefCell::default(),
            elements: RefCell::default(),
            is_pointer_inside: Cell::new(false),
            tab_position: Cell::new(0),
            len: Cell::new(0),
        })
    }

    /// Hears what people do to the rows.
    pub(super) fn listen(self: &Rc<Self>, board: Board, engine: &Rc<Engine>) {
        for (event, is_inside) in [("pointerenter", true), ("pointerleave", false)] {
            let table = Rc::clone(self);
            dom::listen(&self.scroller, event, move |_: PointerEvent| table.is_pointer_inside.set(is_inside));
        }
        let (table, opener) = (Rc::clone(self), Rc::clone(engine));
        dom::listen(&self.body, "click", move |event: web_sys::Event| {
            if let Some(position) =
                table.position_at(event.target().and_then(|target| target.dyn_into().ok()))
            {
                table.tab_position.set(position);
                open(&opener, board, position);
            }
        });
        keys::listen(self, board, engine);
    }

    /// Whether somebody is at the rows: their order must stand still.
    pub(in crate::page) fn is_held(&self) -> bool {
        self.is_pointer_inside.get() || self.focused_slot().is_some()
    }

    /// Whether the pointer is at the rows.
    pub(in crate::page) fn is_pointed_at(&self) -> bool {
        self.is_pointer_inside.get()
    }

    /// Writes the rows that are on screen.
    pub(in crate::page) fn show(&self, content: Content<'_>) {
        let rows = content.listing.rows();
        let row_px = self.row_px();
        if self.len.replace(rows.len()) != rows.len() {
            let height = ["calc(var(--row) * ", &rows.len().to_string(), ")"].concat();
            dom::set_style(&self.body, "height", &height);
        }
        let wanted = window::visible(self.top_px(), self.height_px(), row_px, rows.len());
        let mut slots = self.slots.borrow_mut();
        slots.assign(wanted, self.focused_slot());
        self.grow(slots.positions().len());
        let tab_position = self.tab_position_among(&slots);
        for (slot, position) in self.elements.borrow().iter().zip(slots.positions()) {
            let listed = position.and_then(|position| Some((position, *rows.get(position)? as usize)));
            slot.show(listed.map(|(position, row)| Row {
                is_selected: content.selected == Some(row),
                is_tab_stop: position == tab_position,
                ..Row::new(content.fleet, row, position, content.unit, content.now_ms)
            }));
        }
    }

    /// Scrolls as little as needed to bring a position into view.
    pub(in crate::page) fn scroll_to(&self, position: usize) {
        if let Some(top_px) = window::scroll_to(position, self.top_px(), self.height_px(), self.row_px()) {
            self.scroller.set_scroll_top(top_px.round() as i32);
        }
    }

    /// Gives the focus to the row of this node, if it is on screen.
    pub(in crate::page) fn focus_node(&self, name: &str) -> bool {
        let elements = self.elements.borrow();
        let slot = elements.iter().find(|slot| slot.name().as_deref() == Some(name));
        if let Some(slot) = slot {
            dom::focus(slot.element());
        }
        slot.is_some()
    }

    /// How many elements the pool holds.
    pub(in crate::page) fn pool_size(&self) -> usize {
        self.elements.borrow().len()
    }

    /// How many rows are listed.
    pub(super) fn len(&self) -> usize {
        self.len.get()
    }

    /// How many whole rows fit on screen.
    pub(super) fn page_len(&self) -> usize {
        ((self.height_px() / self.row_px()) as usize).max(1)
    }

    /// Makes a position the one that the tab key comes to.
    pub(super) fn set_tab_position(&self, position: usize) {
        self.tab_position.set(position);
    }

    /// Gives the focus to the row at this position, if it is on screen.
    pub(in crate::page) fn focus_position(&self, position: usize) {
        let slot = self.slots.borrow().slot_of(position);
        if let Some(slot) = slot.and_then(|slot| self.elements.borrow().get(slot).cloned()) {
            dom::focus(slot.element());
        }
    }

    /// The position of the row that holds this element.
    pub(super) fn position_at(&self, element: Option<Element>) -> Option<usize> {
        let row = element?.closest("tr").ok()??;
        self.elements.borrow().iter().find(|slot| slot.element().is_same_node(Some(&row)))?.position()
    }

    pub(super) fn body(&self) -> &HtmlElement {
        &self.body
    }

    /// The pool's element with the focus.
    fn focused_slot(&self) -> Option<usize> {
        let focused: Node = document().active_element()?.into();
        if !self.body.contains(Some(&focused)) {
            return None;
        }
        self.elements.borrow().iter().position(|slot| slot.element().contains(Some(&focused)))
    }

    /// The tab stop, as long as it is on screen; else the first row that is.
    fn tab_position_among(&self, slots: &Slots) -> usize {
        let kept = self.tab_position.get();
        if slots.slot_of(kept).is_some() {
            return kept;
        }
        let first = (self.top_px() / self.row_px()).ceil() as usize;
        first.min(self.len.get().saturating_sub(1))
    }

    fn grow(&self, len: usize) {
        let mut elements = self.elements.borrow_mut();
        while elements.len() < len {
            // What a browser makes of a row is always a row.
            let Some(slot) = self.scope.run_in(|| Slot::new(&self.body)) else { return };
            elements.push(slot);
        }
    }

    fn top_px(&self) -> f64 {
        f64::from(self.scroller.scroll_top())
    }

    /// The height of what is visible of the rows: the heading stays above them.
    fn height_px(&self) -> f64 {
        (f64::from(self.scroller.client_height()) - self.row_px()).max(0.0)
    }

    /// The height of a row: that of the heading, which never scrolls away.
    fn row_px(&self) -> f64 {
        f64::from(self.head.offset_height()).max(1.0)
    }
}

/// Opens the details of the node at this position.
pub(super) fn open(engine: &Engine, board: Board, position: usize) {
    if let Some(name) = engine.name_at(position) {
        board.open(name);
        engine.request_frame();
    }
}
