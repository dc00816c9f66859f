//! What stands in the table's place when somebody asks for totals: who moves most, as buttons that open the details, and
//! what each group moves, as buttons that list its nodes.
//!
//! The frame is a fixed piece of HTML: as views it would weigh three times as much.

use std::cell::RefCell;
use std::rc::Rc;

use sycamore::prelude::*;
use web_sys::{EventTarget, HtmlSelectElement};

use crate::format::{self, Unit};
use crate::groups::{By, Group, Membership};
use crate::summary::Summary as Content;
use crate::talkers::Talker;

use super::Page;
use super::board::Board;
use super::dom;
use super::header::value;
use super::pool::Pool;

const FRAME: &str = "<div class=switches role=group aria-label=Show>\
    <button type=button class=switch id=show-nodes>Nodes</button>\
    <button type=button class=switch id=show-summary>Summary</button></div>\
    <section class='region region-summary panel' id=summary aria-label=Summary><div class=talkers>\
    <section data-direction=download><h3><span class=arrow>↓</span>Most download</h3><ol id=top-download></ol></section>\
    <section data-direction=upload><h3><span class=arrow>↑</span>Most upload</h3><ol id=top-upload></ol></section></div>\
    <div class=by><label>Totals by <select id=by></select></label><span id=groups-count></span></div>\
    <table class='figures groups'><thead><tr>\
    <th scope=col>Group<th scope=col class=cell-rate>Nodes<th scope=col class=cell-rate>Online\
    <th scope=col class=cell-rate>↓ <span id=groups-unit></span><th scope=col class=cell-rate>↑</tr></thead>\
    <tbody id=groups></tbody></table></section>";

const TALKER: &str = "<li><button type=button class=talker><bdi class='text talker-name'></bdi>\
    <span class='text live'></span></button></li>";

const GROUP: &str = "<tr><th scope=row><button type=button class='text group'></button></th>\
    <td class='text cell-rate'></td><td class='text cell-rate live'></td>\
    <td class='text cell-rate live'></td><td class='text cell-rate live'></td></tr>";

/// The lists of the region.
struct Lists {
    talkers: [Pool; 2],
    groups: Pool,
    choices: Pool,
}

/// The region, and the switch between it and the table.
#[component]
pub(super) fn Summary() -> View {
    let Page { board, engine } = use_context();
    let frame = create_node_ref();
    on_mount(move || {
        let Some(frame) = dom::element(frame) else { return };
        frame.set_inner_html(FRAME);
        let Some(lists) = Lists::new() else { return };
        let lists = Rc::new(RefCell::new(lists));
        let held = Rc::clone(&lists);
        engine.attach_summary(move || held.borrow().is_held());
        for event in ["click", "change"] {
            let (engine, lists) = (Rc::clone(&engine), Rc::clone(&lists));
            dom::listen(&frame, event, move |event: web_sys::Event| {
                if let Some(target) = event.target() {
                    act(board, &lists, &event, &target);
                    engine.request_frame();
                }
            });
        }
        create_effect(move || {
            let (summary, unit) = (board.summary.get_clone(), board.unit.get());
            lists.borrow_mut().write(&summary, unit);
            show("groups-unit", unit.heading());
            show("groups-count", &count_text(&summary));
            if let Some(select) = select() {
                select.set_value(&board.by.get_clone().name());
            }
        });
        create_effect(move || {
            for (id, is_summary) in [("show-nodes", false), ("show-summary", true)] {
                let pressed = if board.is_summary.get() == is_summary { "true" } else { "false" };
                if let Some(button) = dom::by_id(id) {
                    dom::set_attribute(&button, "aria-pressed", Some(pressed));
                }
            }
        });
    });
    view! { div(class="side", r#ref=frame) }
}

/// What a click or a choice means.
fn act(board: Board, lists: &RefCell<Lists>, event: &web_sys::Event, target: &EventTarget) {
    if event.type_() == "change" {
        board.by.set(By::from_name(&value(event)).unwrap_or_default());
        return;
    }
    if dom::is_inside(target, ".switch") {
        board.is_summary.set(dom::is_inside(target, "#show-summary"));
        return;
    }
    if !dom::is_inside(target, "button") {
        return;
    }
    let summary = board.summary.get_clone_untracked();
    let lists = lists.borrow();
    for (pool, talkers) in lists.talkers.iter().zip(&summary.talkers) {
        if let Some(talker) = pool.position_of(target).and_then(|at| talkers.get(at)) {
            board.open(Rc::clone(&talker.name));
        }
    }
    if let Some(group) = lists.groups.position_of(target).and_then(|at| summary.groups.get(at)) {
        board.list_group(Membership { by: summary.by.clone(), key: group.key.clone() });
    }
}

impl Lists {
    fn new() -> Option<Self> {
        let pool = |id, html| Some(Pool::new(dom::by_id(id)?, html));
        Some(Self {
            talkers: [pool("top-download", TALKER)?, pool("top-upload", TALKER)?],
            groups: pool("groups", GROUP)?,
            choices: pool("by", "<option class=text>")?,
        })
    }

    fn is_held(&self) -> bool {
        self.groups.is_held() || self.talkers.iter().any(Pool::is_held)
    }

    fn write(&mut self, summary: &Content, unit: Unit) {
        self.choices.write(summary.choices.iter().map(|name| vec![name.clone()]).collect());
        for (pool, talkers) in self.talkers.iter_mut().zip(&summary.talkers) {
            let line = |talker: &Talker| vec![talker.name.to_string(), unit.full(talker.rate_bps)];
            pool.write(talkers.iter().map(line).collect());
        }
        self.groups.write(summary.groups.iter().map(|group| line(group, &summary.by, unit)).collect());
        // The line below each group is as long as its part of the largest.
        let both = |group: &Group| group.rx_bps + group.tx_bps;
        let most = summary.groups.iter().map(both).fold(1.0, f64::max);
        for (at, group) in summary.groups.iter().enumerate() {
            let Some(element) = self.groups.element(at) else { continue };
            for (property, bps) in [("--down-part", group.rx_bps), ("--both-parts", both(group))] {
                dom::set_style(element, property, &(format::fixed(bps / most * 100.0, 1) + "%"));
            }
        }
    }
}

fn line(group: &Group, by: &By, unit: Unit) -> Vec<String> {
    let none = || Membership { by: by.clone(), key: None }.title();
    let rate = |bps: f64| unit.bare((group.online > 0).then_some(bps));
    vec![
        group.key.as_ref().map_or_else(none, |key| key.to_string()),
        format::count(group.nodes.into()),
        format::count(group.online.into()),
        rate(group.rx_bps),
        rate(group.tx_bps),
    ]
}

fn count_text(summary: &Content) -> String {
    let all = format::count(summary.all_groups as u64);
    match summary.groups.len() {
        listed if listed < summary.all_groups => [&format::count(listed as u64), " of ", &all].concat(),
        _ => all,
    }
}

fn select() -> Option<HtmlSelectElement> {
    wasm_bindgen::JsCast::dyn_into(dom::by_id("by")?).ok()
}

fn show(id: &str, text: &str) {
    if let Some(element) = dom::by_id(id) {
        element.set_text_content(Some(text));
    }
}
