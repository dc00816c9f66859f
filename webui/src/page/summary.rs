//! What stands in the table's place when somebody asks for totals: who moves most, as buttons that open the
//! details, and what each group moves, as buttons that list its nodes.

use std::cell::RefCell;
use std::rc::Rc;

use sycamore::prelude::{View, component};
use sycamore::reactive::{Signal, create_effect, create_signal, use_context};
use tidemap_format::{self as format, Unit};
use web_sys::EventTarget;

use crate::fragments::{self, GROUP, OPTION, TALKER};
use crate::groups::{By, Group, Membership};
use crate::summary::{Summarist, Summary};
use crate::talkers::Talker;

use super::controller::Controller;
use super::dom;
use super::html;
use super::panel::{Frame, Panel};
use super::pool::Pool;
use super::state::{DisplayState, ListState, SelectionState};

struct SummaryPanel {
    list: ListState,
    lists: Rc<RefCell<SummaryLists>>,
    summarist: RefCell<Summarist>,
    content: Signal<Rc<Summary>>,
}

/// The lists of the region.
struct SummaryLists {
    talkers: [Pool; 2],
    groups: Pool,
    choices: Pool,
}

/// The region, and the empty switch between all that stands there, which the boot script fills.
#[component]
pub(super) fn Summary() -> View {
    let (list, display): (ListState, DisplayState) = (use_context(), use_context());
    let region = fragments::Summary::create();
    let content = create_signal(Rc::<Summary>::default());
    let lists = Rc::new(RefCell::new(SummaryLists {
        talkers: [
            Pool::new(region.top_download.clone(), TALKER),
            Pool::new(region.top_upload.clone(), TALKER),
        ],
        groups: Pool::new(region.groups.clone(), GROUP),
        choices: Pool::new(region.by.clone().into(), OPTION),
    }));
    listen(&region, list, content, &lists);
    html::text(&region.unit, move || display.unit.get().heading().to_owned());
    html::text(&region.count, move || content.with(|content| count_text(content)));
    let (by, written) = (region.by, Rc::clone(&lists));
    create_effect(move || {
        let (content, unit) = (content.get_clone(), display.unit.get());
        written.borrow_mut().write(&content, unit);
        by.set_value(&list.by.get_clone().name());
    });
    let controller: Rc<Controller> = use_context();
    controller.add(Rc::new(SummaryPanel { list, lists, summarist: RefCell::default(), content }));
    html::view(&region.root)
}

/// Opens a talker's details, lists a group's nodes, groups by something else.
fn listen(
    region: &fragments::Summary,
    list: ListState,
    content: Signal<Rc<Summary>>,
    lists: &Rc<RefCell<SummaryLists>>,
) {
    let selection: SelectionState = use_context();
    let clicked = Rc::clone(lists);
    dom::listen(&region.root, "click", move |event: web_sys::Event| {
        let Some(target) = event.target().filter(|target| dom::is_inside(target, ".talker, .group")) else {
            return;
        };
        let content = content.get_clone_untracked();
        let lists = clicked.borrow();
        let (talker, group) = (lists.talker(&target, &content), lists.groups.position_of(&target));
        drop(lists);
        if let Some(name) = talker {
            selection.open(name);
        } else if let Some(group) = group.and_then(|at| content.groups.get(at)) {
            list.list_group(Membership { by: content.by.clone(), key: group.key.clone() });
        }
    });
    dom::listen(&region.by, "change", move |event: web_sys::Event| {
        list.by.set(By::from_name(&dom::value(&event)).unwrap_or_default());
    });
}

impl Panel for SummaryPanel {
    fn name(&self) -> &'static str {
        "summary"
    }

    fn draw(&self, frame: &Frame<'_>) {
        let (is_held, by) = (self.lists.borrow().is_held(), self.list.by.get_clone_untracked());
        let renewed = self.summarist.borrow_mut().renew(frame.fleet, &by, is_held, frame.now_ms);
        if let Some(content) = renewed {
            self.content.set(Rc::new(content));
        }
    }
}

impl SummaryLists {
    fn is_held(&self) -> bool {
        self.groups.is_held() || self.talkers.iter().any(Pool::is_held)
    }

    /// The node whose button holds this element.
    fn talker(&self, target: &EventTarget, content: &Summary) -> Option<Rc<str>> {
        for (pool, talkers) in self.talkers.iter().zip(&content.talkers) {
            if let Some(talker) = pool.position_of(target).and_then(|at| talkers.get(at)) {
                return Some(Rc::clone(&talker.name));
            }
        }
        None
    }

    fn write(&mut self, content: &Summary, unit: Unit) {
        self.choices.write(content.choices.iter().map(|name| vec![name.clone()]).collect());
        for (pool, talkers) in self.talkers.iter_mut().zip(&content.talkers) {
            let line = |talker: &Talker| vec![talker.title.to_string(), unit.full(talker.rate_bps)];
            pool.write(talkers.iter().map(line).collect());
        }
        self.groups.write(content.groups.iter().map(|group| line(group, &content.by, unit)).collect());
        // The line below each group is as long as its part of the largest.
        let both = |group: &Group| group.rx_bps + group.tx_bps;
        let most = content.groups.iter().map(both).fold(1.0, f64::max);
        for (at, group) in content.groups.iter().enumerate() {
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

fn count_text(content: &Summary) -> String {
    let all = format::count(content.all_groups as u64);
    match content.groups.len() {
        listed if listed < content.all_groups => [&format::count(listed as u64), " of ", &all].concat(),
        _ => all,
    }
}
