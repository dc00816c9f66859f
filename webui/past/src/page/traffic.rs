//! The view of what billing cycles and months came to.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use tidemap_format as format;
use tidemap_parts::encoding::encoded;
use tidemap_parts::fetch::{self, Answer};
use tidemap_wire::http::{TopJson, TopNodeJson};
use wasm_bindgen::JsCast;
use web_sys::{Element, HtmlElement, MouseEvent, XmlHttpRequestResponseType};

use crate::calendar;
use crate::top;
use crate::traffic::{self, Bar, Plan, Wanted};

use super::{dom, rows};

/// The present cycles are counted once a minute.
const REFRESH_MS: i32 = 60_000;
/// So many plans are asked for in a month that is over, one by one; others have no figures there.
const MOST_PLANS: usize = 40;

pub(super) struct Traffic {
    body: HtmlElement,
    wanted: RefCell<Option<Wanted>>,
    plans: RefCell<Vec<Plan>>,
    nodes: RefCell<Option<TopJson>>,
    /// Answers to what was asked before another month was chosen are of no use.
    round: Cell<u32>,
}

impl Traffic {
    pub(super) fn new() -> Rc<Self> {
        let view = Rc::new(Self {
            body: dom::create(include_str!("../html/traffic.html")),
            wanted: RefCell::default(),
            plans: RefCell::default(),
            nodes: RefCell::default(),
            round: Cell::new(0),
        });
        let clicked = Rc::clone(&view);
        dom::listen(&view.body, "click", move |event: MouseEvent| clicked.click(&event));
        let refreshed = Rc::clone(&view);
        dom::every(REFRESH_MS, move || refreshed.refresh());
        view
    }

    /// Shows what the address asks for, if that is this view.
    pub(super) fn follow(self: &Rc<Self>, wanted: Option<Wanted>) {
        let before = self.wanted.replace(wanted.clone());
        let Some(wanted) = wanted else { return };
        if let Some(section) = dom::by_id("traffic").filter(|section| !section.contains(Some(&self.body))) {
            section.replace_children_with_node_1(&self.body);
        }
        match before {
            Some(before) if before.month == wanted.month => self.draw(),
            _ => {
                self.plans.take();
                self.nodes.take();
                self.say("Loading…");
                self.draw();
                self.ask();
            }
        }
    }

    fn refresh(self: &Rc<Self>) {
        if self.wanted.borrow().as_ref().is_some_and(|wanted| wanted.month.is_none()) {
            self.ask();
        }
    }

    /// The month that is shown.
    fn month(&self) -> i64 {
        let chosen = self.wanted.borrow().as_ref().and_then(|wanted| wanted.month);
        chosen.unwrap_or_else(present)
    }

    fn ask(self: &Rc<Self>) {
        self.round.set(self.round.get() + 1);
        self.get("api/traffic/plans", |view, answer| {
            match super::read(answer, |text| Plan::list(text).ok()) {
                Ok((plans, warning)) => {
                    view.say(&warning.unwrap_or_default());
                    view.take_plans(plans);
                }
                Err(word) => view.say(&word),
            }
        });
        let [from_ms, to_ms] = self.ends();
        self.get(&traffic::top_url(from_ms, to_ms, false), |view, answer| {
            match super::read(answer, |text| top::read(text).ok()) {
                Ok(top) => {
                    view.nodes.replace(Some(top));
                    view.draw();
                }
                Err(word) => view.say(&word),
            }
        });
    }

    fn take_plans(self: &Rc<Self>, mut plans: Vec<Plan>) {
        let month = self.month();
        if month != present() {
            for plan in &mut plans {
                plan.period = None;
            }
            for plan in plans.iter().take(MOST_PLANS) {
                self.get(&plan.url(false), move |view, answer| {
                    if let Ok(counted) = super::read(answer, |text| Plan::of_month(text, month).ok()) {
                        let mut plans = view.plans.borrow_mut();
                        plans
                            .iter_mut()
                            .filter(|plan| plan.name == counted.name)
                            .for_each(|plan| *plan = counted.clone());
                    }
                    view.draw();
                });
            }
        }
        self.plans.replace(plans);
        self.draw();
    }

    fn get(self: &Rc<Self>, url: &str, then: impl FnOnce(&Rc<Self>, &Answer) + 'static) {
        let (view, round) = (Rc::clone(self), self.round.get());
        fetch::get(url, XmlHttpRequestResponseType::Text, move |answer| {
            if view.round.get() == round {
                then(&view, &answer);
            }
        });
    }

    fn say(&self, word: &str) {
        let line = self.part(".traffic-trouble");
        dom::write(&line, word);
        line.set_hidden(word.is_empty());
    }

    fn part(&self, selector: &str) -> HtmlElement {
        dom::find(&self.body, selector)
    }

    /// Begin and end of the month, Unix milliseconds.
    fn ends(&self) -> [i64; 2] {
        let month = self.month();
        [
            calendar::month_begin(month, &dom::zone),
            calendar::month_begin(month + 1, &dom::zone).min(dom::now_ms()),
        ]
    }

    fn draw(&self) {
        let Some(wanted) = self.wanted.borrow().clone() else { return };
        let month = self.month();
        dom::write(&self.part("h2"), &calendar::month_title(month));
        set_disabled(&self.part("[data-step='1']"), month == present());
        let [from_ms, to_ms] = self.ends();
        dom::set_attribute(&self.part(".traffic-csv"), "href", &traffic::top_url(from_ms, to_ms, true));
        dom::set_attribute(&self.part(".traffic-csv"), "aria-label", "The month's nodes as CSV");
        for (rank, is_chosen) in [("share", !wanted.by_forecast), ("forecast", wanted.by_forecast)] {
            let head = self.part(&["[data-rank=", rank, "]"].concat());
            if is_chosen {
                dom::set_attribute(&head, "aria-sort", "descending");
            } else {
                dom::remove_attribute(&head, "aria-sort");
            }
        }
        let mut plans = self.plans.borrow().clone();
        traffic::order(&mut plans, wanted.by_forecast);
        let is_known = self.nodes.borrow().is_some();
        self.part(".traffic-plans").set_hidden(plans.is_empty());
        self.part(".traffic-none").set_hidden(!plans.is_empty() || !is_known);
        let rows = rows::body();
        plans.iter().for_each(|plan| append_plan(&rows, plan));
        rows::renew(&self.part(".traffic-plans tbody"), &rows);
        if is_known && self.part(".traffic-trouble").text_content().as_deref() == Some("Loading…") {
            self.say("");
        }
        let nodes = self.nodes.borrow();
        self.part(".traffic-nodes").set_hidden(nodes.as_ref().is_none_or(|top| top.nodes.is_empty()));
        let rows = rows::body();
        if let Some(top) = &*nodes {
            top.nodes.iter().for_each(|node| append_node(&rows, node));
            dom::write(&self.part(".traffic-word"), &traffic::of_nodes(top));
        }
        rows::renew(&self.part(".traffic-nodes tbody"), &rows);
    }

    fn click(&self, event: &MouseEvent) {
        let Some(target) = event.target().and_then(|target| target.dyn_into::<Element>().ok()) else {
            return;
        };
        let closest = |selector: &str| target.closest(selector).ok().flatten();
        let Some(wanted) = self.wanted.borrow().clone() else { return };
        if let Some(button) = closest("[data-step]") {
            let step: i64 = button.get_attribute("data-step").and_then(|step| step.parse().ok()).unwrap_or(0);
            let month = Some(self.month() + step).filter(|month| *month < present());
            dom::navigate(&Wanted { month, ..wanted }.query(&dom::query()), true);
        } else if let Some(head) = closest("[data-rank]") {
            let by_forecast = head.get_attribute("data-rank").as_deref() == Some("forecast");
            dom::navigate(&Wanted { by_forecast, ..wanted }.query(&dom::query()), false);
        } else if let Some(link) = closest("a[data-node]")
            && event.button() == 0
            && !(event.ctrl_key() || event.meta_key() || event.shift_key() || event.alt_key())
        {
            event.prevent_default();
            dom::navigate(&link.get_attribute("href").unwrap_or_default(), true);
        }
    }
}

fn present() -> i64 {
    calendar::month_of(dom::now_ms(), &dom::zone)
}

fn set_disabled(button: &HtmlElement, is_disabled: bool) {
    if is_disabled {
        dom::set_attribute(button, "disabled", "");
    } else {
        dom::remove_attribute(button, "disabled");
    }
}

fn append_plan(rows: &HtmlElement, plan: &Plan) {
    let row = rows::append(rows, &plan.name);
    let head = dom::append(&row, "th", "", "");
    dom::set_attribute(&head, "scope", "row");
    dom::append(&head, "span", "traffic-name", &plan.name);
    let of =
        [plan.of.as_str(), &plan.cycle].into_iter().filter(|word| !word.is_empty() && *word != plan.name);
    dom::append(&head, "span", "traffic-note", &of.collect::<Vec<_>>().join(" · "));
    let period = plan.period.as_ref();
    let bytes = |of: Option<f64>| of.map_or_else(|| format::UNKNOWN.to_owned(), format::bytes);
    dom::append(&row, "td", "cell-rate", &bytes(period.and_then(|period| period.rx)));
    dom::append(&row, "td", "cell-rate", &bytes(period.and_then(|period| period.tx)));
    dom::append(&row, "td", "cell-rate", &plan.billed());
    let quota = dom::append(&row, "td", "traffic-quota", "");
    match plan.bar() {
        Some(bar) => append_bar(&quota, &bar),
        None => dom::write(&quota, format::UNKNOWN),
    }
    dom::append(&row, "td", "cell-rate", &plan.forecast());
    let resets = dom::append(&row, "td", "", "");
    match plan.resets(dom::now_ms()) {
        Some((left, at)) => {
            dom::append(&resets, "span", "traffic-name", &left);
            dom::append(&resets, "span", "traffic-note", &at);
        }
        None => dom::write(&resets, format::UNKNOWN),
    }
    let csv = dom::append(&dom::append(&row, "td", "", ""), "a", "link", "CSV");
    dom::set_attribute(&csv, "href", &plan.url(true));
    dom::set_attribute(&csv, "download", "");
    dom::set_attribute(&csv, "aria-label", &["Cycles of ", &plan.name, " as CSV"].concat());
}

fn append_node(rows: &HtmlElement, node: &TopNodeJson) {
    let row = rows::append(rows, &node.node);
    let head = dom::append(&row, "th", "", "");
    dom::set_attribute(&head, "scope", "row");
    let link = dom::append(&head, "a", "traffic-name", node.display_name.as_deref().unwrap_or(&node.node));
    let query = dom::query();
    let pairs = query.trim_start_matches('?').split('&').filter(|pair| !pair.starts_with("node="));
    let pairs = pairs.map(str::to_owned).chain([["node=", &encoded(&node.node)].concat()]);
    dom::set_attribute(&link, "href", &["?", &pairs.collect::<Vec<_>>().join("&")].concat());
    dom::set_attribute(&link, "data-node", "");
    for bytes in [node.rx_bytes, node.tx_bytes, node.rx_bytes.saturating_add(node.tx_bytes)] {
        dom::append(&row, "td", "cell-rate", &format::bytes(bytes as f64));
    }
}

/// A quota as a bar, with what it says in words below.
pub(super) fn append_bar(parent: &HtmlElement, bar: &Bar) {
    let frame = dom::append(parent, "span", "quota-bar", "");
    dom::set_attribute(&frame, "aria-hidden", "true");
    let fill = dom::append(&frame, "span", "quota-fill", "");
    // Style attributes are forbidden by the page's policy, the object model's are not.
    let _infallible = fill.style().set_property("width", &[&format::fixed(bar.part, 1), "%"].concat());
    if bar.is_over {
        dom::set_attribute(&frame, "data-over", "true");
    }
    dom::append(parent, "span", "quota-text", &bar.text);
}
