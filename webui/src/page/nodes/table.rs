//! The rows on screen: a pool of elements that move over a list of any length.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use web_sys::{Element, HtmlElement, Node};

use crate::fragments::Nodes;
use crate::order::Listing;
use crate::page::dom::{self, document};
use crate::page::panel::Frame;
use crate::row::Row;
use crate::window::{self, Slots};

use super::slot::Slot;

/// The rows on screen.
pub(super) struct Table {
    scroller: HtmlElement,
    head: HtmlElement,
    body: HtmlElement,
    pool: RefCell<SlotPool>,
    is_pointer_inside: Cell<bool>,
    /// The position that the tab key comes to.
    tab_position: Cell<usize>,
    len: Cell<usize>,
}

/// Elements, and the position that each of them shows.
#[derive(Default)]
struct SlotPool {
    slots: Slots,
    elements: Vec<Slot>,
}

impl Table {
    pub(super) fn new(region: &Nodes) -> Self {
        Self {
            scroller: region.scroller.clone(),
            head: region.head.clone(),
            body: region.body.clone(),
            pool: RefCell::default(),
            is_pointer_inside: Cell::new(false),
            tab_position: Cell::new(0),
            len: Cell::new(0),
        }
    }

    /// Whether somebody is at the rows: their order must stand still.
    pub(super) fn is_held(&self) -> bool {
        self.is_pointed_at() || self.focused_slot(&self.pool.borrow()).is_some()
    }

    /// Whether the pointer is at the rows.
    pub(super) fn is_pointed_at(&self) -> bool {
        self.is_pointer_inside.get()
    }

    /// The pointer has come to the rows or left them.
    pub(super) fn set_pointer_inside(&self, is_inside: bool) {
        self.is_pointer_inside.set(is_inside);
    }

    /// Writes the rows that are on screen.
    pub(super) fn show(&self, listing: &Listing, frame: &Frame<'_>) {
        let rows = listing.rows();
        if self.len.replace(rows.len()) != rows.len() {
            let height = ["calc(var(--row) * ", &rows.len().to_string(), ")"].concat();
            dom::set_style(&self.body, "height", &height);
        }
        let wanted = window::visible(self.top_px(), self.height_px(), self.row_px(), rows.len());
        let mut pool = self.pool.borrow_mut();
        let focused = self.focused_slot(&pool);
        pool.slots.assign(wanted, focused);
        while pool.elements.len() < pool.slots.positions().len() {
            pool.elements.push(Slot::new(&self.body));
        }
        let tab_position = self.tab_position_among(&pool.slots);
        let SlotPool { slots, elements } = &mut *pool;
        for (slot, position) in elements.iter_mut().zip(slots.positions()) {
            let listed = position.and_then(|position| Some((position, *rows.get(position)? as usize)));
            slot.show(listed.map(|(position, row)| Row {
                is_selected: frame.selected == Some(row),
                is_tab_stop: position == tab_position,
                ..Row::new(frame.fleet, row, position, frame.unit, frame.fleet_ms)
            }));
        }
    }

    /// Scrolls as little as needed to bring a position into view.
    pub(super) fn scroll_to(&self, position: usize) {
        if let Some(top_px) = window::scroll_to(position, self.top_px(), self.height_px(), self.row_px()) {
            self.scroller.set_scroll_top(top_px.round() as i32);
        }
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
    pub(super) fn focus_position(&self, position: usize) {
        let pool = self.pool.borrow();
        let slot = pool.slots.slot_of(position).and_then(|slot| pool.elements.get(slot));
        let element = slot.map(|slot| slot.element().clone());
        // Taking the focus may have the page drawn.
        drop(pool);
        if let Some(element) = element {
            dom::focus(&element);
        }
    }

    /// The position of the row that holds this element.
    pub(super) fn position_at(&self, element: &Element) -> Option<usize> {
        let row = element.closest("tr").ok()??;
        let pool = self.pool.borrow();
        pool.elements.iter().find(|slot| slot.element().is_same_node(Some(&row)))?.position()
    }

    /// The name of the node in the row at this position, if that is on screen.
    pub(super) fn name_at(&self, position: usize) -> Option<Rc<str>> {
        let pool = self.pool.borrow();
        pool.elements.get(pool.slots.slot_of(position)?)?.name()
    }

    /// The pool's element with the focus.
    fn focused_slot(&self, pool: &SlotPool) -> Option<usize> {
        let focused: Node = document().active_element()?.into();
        if !self.body.contains(Some(&focused)) {
            return None;
        }
        pool.elements.iter().position(|slot| slot.element().contains(Some(&focused)))
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
