//! The strip above the map and the list: which time it is, what the fleet moved in it, and who it was.

use std::cell::RefCell;
use std::rc::Rc;

use tidemap_format::{self as format, Unit};
use tidemap_wire::http::{TopJson, TopNodeJson};
use web_sys::{HtmlElement, MouseEvent};

use crate::past::Past;
use crate::range::{self, Spike};
use crate::{calendar, words};

use super::chart::{Chart, ChartEvents};
use super::dom;

pub(super) struct Strip {
    section: HtmlElement,
    body: HtmlElement,
    title: HtmlElement,
    trouble: HtmlElement,
    words: HtmlElement,
    culprits: HtmlElement,
    chart: Rc<Chart>,
    state: RefCell<State>,
}

#[derive(Default)]
struct State {
    /// What the list and the map show.
    of_nodes: String,
}

impl Strip {
    pub(super) fn new() -> Rc<Self> {
        let body = dom::create(include_str!("../html/strip.html"));
        let part = |selector: &str| dom::find(&body, selector);
        let events = ChartEvents {
            on_range: Box::new(|from_ms, to_ms| {
                dom::navigate(&range::with_time(&dom::query(), &range::between(from_ms, to_ms), None), true);
            }),
            on_moment: Some(Box::new(|is_download, from_ms, to_ms| {
                look_at(Some(Spike { is_download, from_ms, to_ms }));
            })),
        };
        dom::on_click(&part("[data-past=back]"), || {
            dom::navigate(&range::with_time(&dom::query(), "", None), true);
        });
        let strip = Rc::new(Self {
            section: dom::by_id("past").unwrap_or_else(|| body.clone()),
            title: part(".past-title"),
            trouble: part(".past-trouble"),
            words: part(".past-words"),
            culprits: part(".past-culprits"),
            chart: Chart::new(&part(".past-chart"), "The fleet", events),
            state: RefCell::default(),
            body,
        });
        dom::on_click(&dom::find(&strip.culprits, ".link"), || look_at(None));
        let followed = Rc::clone(&strip);
        dom::listen(&strip.culprits, "click", move |event: MouseEvent| followed.follow_link(&event));
        strip
    }

    /// Another time was chosen, and nothing of it is known yet.
    pub(super) fn wait(&self) {
        dom::write(&self.title, "Loading…");
        self.trouble("");
        self.say_of_nodes(String::new());
        self.put(&self.body);
        dom::set_attribute(&self.section, "data-state", "loading");
    }

    pub(super) fn draw(&self, title: &str, past: &Rc<Past>, unit: Unit) {
        dom::set_attribute(&self.section, "data-state", "known");
        dom::write(&self.title, title);
        let mut lines = vec![words::coverage(past, &dom::zone), words::resolution(past)];
        lines.extend(words::unplaced(past));
        let state = self.state.borrow();
        lines.extend((!state.of_nodes.is_empty()).then(|| state.of_nodes.clone()));
        dom::write_lines(&self.words, &lines);
        drop(state);
        self.chart.show(past, unit);
    }

    /// What the list and the map show; written with the next drawing.
    pub(super) fn say_of_nodes(&self, said: String) {
        self.state.borrow_mut().of_nodes = said;
    }

    /// Why what is there does not grow; empty when it does.
    pub(super) fn trouble(&self, word: &str) {
        dom::write(&self.trouble, word);
    }

    /// Instead of everything: why a time cannot be shown. `time` is what the address said.
    pub(super) fn say(&self, word: &str, time: &str) {
        let line = dom::create(include_str!("../html/word.html"));
        dom::write(&dom::find(&line, "span"), &["The past cannot be shown. ", word].concat());
        let time = time.to_owned();
        dom::on_click(&dom::find(&line, "button"), move || {
            dom::navigate(&range::with_time(&dom::query(), &time, None), true);
        });
        let section = self.section.clone();
        dom::on_click(&dom::find(&line, "button + button"), move || {
            section.set_text_content(None);
            let _removed = section.remove_attribute("data-state");
        });
        self.put(&line);
        dom::set_attribute(&self.section, "data-state", "failed");
    }

    pub(super) fn clear(&self) {
        self.section.set_text_content(None);
        let _removed = self.section.remove_attribute("data-state");
        self.close_culprits();
    }

    fn put(&self, content: &HtmlElement) {
        if !self.section.contains(Some(content)) {
            self.section.replace_children_with_node_1(content);
        }
    }

    /// Lists who moved most, or why that is not known.
    pub(super) fn show_culprits(&self, spike: Spike, top: Result<TopJson, String>) {
        let Spike { is_download, from_ms, to_ms } = spike;
        let (title, list) = (dom::find(&self.culprits, "h3"), dom::find(&self.culprits, "ol"));
        list.set_text_content(None);
        let what = if is_download { "Most ↓ download, " } else { "Most ↑ upload, " };
        match top {
            Ok(top) => {
                // The history sums up by whole hours, so this may be more than was clicked at.
                let summed = calendar::span(top.from_ms, top.to_ms, &dom::zone);
                dom::write(&title, &[what, &summed].concat());
                for node in &top.nodes {
                    append_culprit(&list, node, spike);
                }
                if top.nodes.is_empty() {
                    dom::append(&list, "li", "", "No node moved anything.");
                }
            }
            Err(word) => {
                dom::write(&title, &[what, &calendar::span(from_ms, to_ms, &dom::zone)].concat());
                dom::append(&list, "li", "", &word);
            }
        }
        self.culprits.set_hidden(false);
        self.words.set_hidden(true);
    }

    pub(super) fn close_culprits(&self) {
        self.culprits.set_hidden(true);
        self.words.set_hidden(false);
    }

    /// A plain click stays on the page; any other is the browser's.
    fn follow_link(&self, event: &MouseEvent) {
        use wasm_bindgen::JsCast;
        let is_plain = event.button() == 0
            && !(event.ctrl_key() || event.meta_key() || event.shift_key() || event.alt_key());
        let target = event.target().and_then(|target| target.dyn_into::<web_sys::Element>().ok());
        let link = target.and_then(|target| target.closest("a").ok().flatten());
        if let (true, Some(query)) = (is_plain, link.and_then(|link| link.get_attribute("href"))) {
            event.prevent_default();
            dom::navigate(&query, true);
        }
    }
}

/// Has the nodes of another moment listed, or of none.
fn look_at(spike: Option<Spike>) {
    dom::navigate(&range::with_spike(&dom::query(), spike), true);
}

fn append_culprit(list: &HtmlElement, node: &TopNodeJson, spike: Spike) {
    let item = dom::append(list, "li", "", "");
    let link = dom::append(&item, "a", "past-culprit", node.display_name.as_deref().unwrap_or(&node.node));
    let (from_ms, to_ms) = range::around(spike.from_ms, spike.to_ms);
    let time = [&range::between(from_ms, to_ms), "&", &*spike.pair()].concat();
    let query = range::with_time(&dom::query(), &time, Some(&node.node));
    dom::set_attribute(&link, "href", &query);
    let bytes = if spike.is_download { node.rx_bytes } else { node.tx_bytes };
    dom::append(&item, "span", "past-moved", &format::bytes(bytes as f64));
}
