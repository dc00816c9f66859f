//! What fires, and what did: the view of all events, and a node's own among its details.

mod list;

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use tidemap_format as format;
use tidemap_parts::fetch::{self, Answer};
use wasm_bindgen::JsCast;
use web_sys::{HtmlElement, MouseEvent, XmlHttpRequestResponseType};

use crate::events::{self, Events, Finding, MOST};
use crate::marks::AlertSpan;
use crate::range::{Asked, with_pair};

use super::{dom, live};
use list::List;

/// How often it is looked whether something is to be asked for.
const LOOK_MS: i32 = 3_000;
/// After so many looks an answer is asked for again, though nothing was said of a change.
const LOOKS: u32 = 10;

thread_local! {
    static FOLLOWER: RefCell<Option<Rc<Follower>>> = const { RefCell::new(None) };
}

/// Shows what the page's address asks for.
pub(super) fn show(query: &str) {
    let is_asked = query.contains("view=events") || query.contains("node=");
    let follower = FOLLOWER.with(|follower| {
        let mut follower = follower.borrow_mut();
        if follower.is_none() && is_asked {
            *follower = Some(Follower::new());
        }
        follower.clone()
    });
    if let Some(follower) = follower {
        follower.follow(query);
    }
}

/// The stream has said something of alerts: there are rules, and something has changed.
pub(super) fn hear() {
    IS_WATCHED.set(true);
    if let Some(follower) = FOLLOWER.with(|follower| follower.borrow().clone()) {
        follower.is_old.set(true);
        follower.look();
    }
}

/// Calls `then` with the alerts of the node whose details are open, whenever an answer comes.
pub(super) fn on_node_alerts(then: impl Fn(&[AlertSpan]) + 'static) {
    ON_NODE.with(|on_node| *on_node.borrow_mut() = Some(Box::new(then)));
}

type OnNode = Box<dyn Fn(&[AlertSpan])>;

thread_local! {
    /// Whether anything watches rules. Without that nobody is asked about a node.
    static IS_WATCHED: Cell<bool> = const { Cell::new(false) };
    static ON_NODE: RefCell<Option<OnNode>> = const { RefCell::new(None) };
}

struct Follower {
    view: View,
    node: NodePart,
    query: RefCell<String>,
    /// The node whose details are open.
    open: RefCell<Option<String>>,
    is_view: Cell<bool>,
    /// Whether something has changed since it was asked for.
    is_old: Cell<bool>,
    /// Answers that are on their way.
    awaited: Cell<u32>,
    looks: Cell<u32>,
}

impl Follower {
    fn new() -> Rc<Self> {
        let follower = Rc::new(Self {
            view: View::new(),
            node: NodePart::new(),
            query: RefCell::default(),
            open: RefCell::default(),
            is_view: Cell::new(false),
            is_old: Cell::new(false),
            awaited: Cell::new(0),
            looks: Cell::new(0),
        });
        let looking = Rc::clone(&follower);
        dom::every(LOOK_MS, move || looking.pass());
        follower
    }

    fn follow(self: &Rc<Self>, query: &str) {
        let is_view = query.split(['?', '&']).any(|pair| pair == "view=events");
        let open = Asked::parse(query).node;
        let is_opened = is_view && !self.is_view.replace(is_view);
        let is_other_node = *self.open.borrow() != open;
        self.query.replace(query.to_owned());
        if is_view {
            self.view.place();
        }
        if is_other_node {
            let left = self.open.replace(open);
            self.node.clear();
            if let Some(left) = left.filter(|_| is_view && self.open.borrow().is_none()) {
                self.view.focus_again(&left);
            }
        }
        self.node.keep_first();
        if is_opened || is_other_node {
            self.is_old.set(true);
        }
        self.draw();
        self.look();
    }

    /// Some seconds have passed.
    fn pass(self: &Rc<Self>) {
        if dom::document().hidden() {
            return;
        }
        self.looks.set(self.looks.get() + 1);
        if self.looks.get() >= LOOKS {
            self.is_old.set(true);
            self.draw();
        }
        self.look();
    }

    /// Asks, if something has changed and nothing is on its way.
    fn look(self: &Rc<Self>) {
        if self.awaited.get() > 0 || !self.is_old.get() {
            return;
        }
        self.is_old.set(false);
        self.looks.set(0);
        if self.is_view.get() {
            self.ask(None);
        }
        let node = self.open.borrow().clone().filter(|_| IS_WATCHED.get());
        if let Some(node) = node {
            self.ask(Some(node));
        }
    }

    fn ask(self: &Rc<Self>, node: Option<String>) {
        self.awaited.set(self.awaited.get() + 1);
        let (follower, url) = (Rc::clone(self), events::url(node.as_deref()));
        fetch::get(&url, XmlHttpRequestResponseType::Text, move |answer| {
            follower.awaited.set(follower.awaited.get() - 1);
            match &node {
                None => follower.view.take(read(&answer)),
                // Another node may have been opened meanwhile; its answer comes with the next look.
                Some(node) if follower.open.borrow().as_ref() != Some(node) => follower.is_old.set(true),
                Some(_) => follower.node.take(read(&answer).ok()),
            }
            follower.draw();
        });
    }

    fn draw(&self) {
        let query = self.query.borrow();
        if self.is_view.get() {
            self.view.draw(&query);
        }
        self.node.draw(&query);
    }
}

/// What the API says, or in one line why there is nothing.
fn read(answer: &Answer) -> Result<Known, String> {
    if answer.status == 404 {
        return Err("No rule is watched here: alerts are switched off.".to_owned());
    }
    let events = super::read(answer, |text| Events::read(text).ok())?;
    Ok(Known { events, at_ms: dom::now_ms() })
}

/// An answer, and when it came by the reader's clock.
struct Known {
    events: Events,
    at_ms: i64,
}

impl Known {
    /// Broker time. Only what has passed since the answer is measured by the reader's clock.
    fn now_ms(&self) -> i64 {
        self.events.at_ms + (dom::now_ms() - self.at_ms).max(0)
    }

    fn spans(&self) -> Vec<AlertSpan> {
        self.events.firing.iter().chain(&self.events.log).map(Finding::span).collect()
    }
}

/// The view in the table's place.
struct View {
    root: HtmlElement,
    firing: List,
    log: List,
    known: RefCell<Option<Known>>,
}

impl View {
    fn new() -> Self {
        let root = dom::create(include_str!("../html/events.html"));
        let firing = List::new(dom::find(&root, ".events-list"));
        let log = List::new(dom::find(&root, ".events-log .events-list"));
        for (selector, state) in [("button", ""), ("button + button", "firing")] {
            dom::on_click(&dom::find(&root, selector), move || {
                dom::navigate(&with_pair(&dom::query(), "state", state), true);
            });
        }
        dom::listen(&root, "click", |event: MouseEvent| follow_link(&event));
        Self { root, firing, log, known: RefCell::default() }
    }

    /// Puts it into its place.
    fn place(&self) {
        let section = dom::by_id("events").filter(|section| !section.contains(Some(&self.root)));
        if let Some(section) = section {
            section.replace_children_with_node_1(&self.root);
        }
    }

    /// Takes an answer; one that failed leaves what was known before.
    fn take(&self, answer: Result<Known, String>) {
        let word = dom::find(&self.root, ".events-word");
        dom::write(&word, answer.as_ref().err().map_or("", |word| word));
        word.set_hidden(answer.is_ok());
        if let Ok(known) = answer {
            self.known.replace(Some(known));
        }
    }

    fn draw(&self, query: &str) {
        let is_firing_only = query.split(['?', '&']).any(|pair| pair == "state=firing");
        for (selector, is_pressed) in [("button", !is_firing_only), ("button + button", is_firing_only)] {
            let pressed = if is_pressed { "true" } else { "false" };
            dom::set_attribute(&dom::find(&self.root, selector), "aria-pressed", pressed);
        }
        let known = self.known.borrow();
        let part = |selector: &str| dom::find(&self.root, selector);
        part(".events-known").set_hidden(known.is_none());
        let Some(known) = &*known else { return };
        let events = &known.events;
        dom::write(&part(".events-watch"), &events.watch());
        dom::set_attribute(
            &part(".events-watch"),
            "data-watched",
            if events.is_watched() { "true" } else { "false" },
        );
        dom::write_lines(&part(".events-warnings"), &events.warnings);
        let count = if events.count > 0 { format::count(events.count as u64) } else { String::new() };
        dom::write(&part(".events-count"), &count);
        dom::write(&part(".events-calm"), events.calm());
        part(".events-calm").set_hidden(events.count > 0);
        dom::write(&part(".events-more"), &events.more());
        part(".events-log").set_hidden(is_firing_only);
        part(".events-log .events-calm").set_hidden(!events.log.is_empty());
        let is_inside = self.has_focus();
        let write = |list: &List, findings: &[Finding]| {
            let findings = &findings[..findings.len().min(MOST)];
            list.write(findings, |finding| {
                finding.line(known.now_ms(), query, Asked::parse(query).unit, &dom::zone)
            });
        };
        write(&self.firing, &events.firing);
        write(&self.log, &events.log);
        // Whoever was at an alert that is gone goes on at the list.
        if is_inside && !self.has_focus() {
            let _focused = part(".events-scroller").focus();
        }
    }

    fn has_focus(&self) -> bool {
        self.root.contains(dom::document().active_element().as_deref())
    }

    /// The node's details are closed, and the focus is nowhere: the row that the page gives it to is hidden.
    fn focus_again(&self, node: &str) {
        let is_lost = dom::document().active_element().is_none_or(|element| element.tag_name() == "BODY");
        if is_lost && !(self.firing.focus(node) || self.log.focus(node)) {
            let _focused = dom::find(&self.root, ".events-scroller").focus();
        }
    }
}

/// What fires of the open node, before everything else in its details.
struct NodePart {
    section: HtmlElement,
    list: List,
    known: RefCell<Option<Known>>,
}

impl NodePart {
    fn new() -> Self {
        let section = dom::create(
            "<section class=drawer-section id=node-alerts hidden><h3>Firing</h3><ol class=events-list></ol></section>",
        );
        let list = List::new(dom::find(&section, "ol"));
        Self { section, list, known: RefCell::default() }
    }

    /// Another node's details are open, or none are; nothing is known of them yet.
    fn clear(&self) {
        self.known.replace(None);
        self.tell();
    }

    /// Others put their parts into the details too.
    fn keep_first(&self) {
        let body = dom::document().query_selector(".drawer-body").ok().flatten();
        if let Some(body) = body.filter(|body| body.first_element_child().as_ref() != Some(&self.section)) {
            let _added = body.prepend_with_node_1(&self.section);
        }
    }

    fn take(&self, known: Option<Known>) {
        if known.is_some() {
            self.known.replace(known);
            self.tell();
        }
    }

    /// Marks them on the charts.
    fn tell(&self) {
        let known = self.known.borrow();
        let findings = known.as_ref().map_or_else(Vec::new, Known::spans);
        live::mark(&findings);
        ON_NODE.with(|on_node| {
            if let Some(on_node) = &*on_node.borrow() {
                on_node(&findings);
            }
        });
    }

    fn draw(&self, query: &str) {
        let known = self.known.borrow();
        let firing = known.as_ref().map_or(&[][..], |known| &known.events.firing);
        self.section.set_hidden(firing.is_empty());
        let Some(known) = &*known else { return };
        self.list.write(firing, |finding| {
            let line = finding.line(known.now_ms(), query, Asked::parse(query).unit, &dom::zone);
            // It is open already.
            events::Line { query: None, name: String::new(), ..line }
        });
    }
}

/// A plain click stays on the page; any other is the browser's.
fn follow_link(event: &MouseEvent) {
    let is_plain = event.button() == 0
        && !(event.ctrl_key() || event.meta_key() || event.shift_key() || event.alt_key());
    let target = event.target().and_then(|target| target.dyn_into::<web_sys::Element>().ok());
    let link = target.and_then(|target| target.closest("a").ok().flatten());
    if let (true, Some(query)) = (is_plain, link.and_then(|link| link.get_attribute("href"))) {
        event.prevent_default();
        dom::navigate(&query, true);
    }
}
