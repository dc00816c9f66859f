//! The part of a node's details that is about the plans in which it is billed.

use std::cell::RefCell;
use std::rc::Rc;

use tidemap_parts::encoding::path_segment;
use tidemap_parts::fetch;
use web_sys::{HtmlElement, XmlHttpRequestResponseType};

use crate::traffic::{self, Plan};

use super::dom;
use super::traffic::append_bar;

/// The present cycles are counted once a minute.
const REFRESH_MS: i32 = 60_000;

pub(super) struct Quotas {
    section: HtmlElement,
    node: RefCell<Option<String>>,
}

impl Quotas {
    pub(super) fn new() -> Rc<Self> {
        let section = dom::create(include_str!("../html/quota.html"));
        let quotas = Rc::new(Self { section, node: RefCell::default() });
        let refreshed = Rc::clone(&quotas);
        dom::every(REFRESH_MS, move || {
            if !dom::is_resting() {
                refreshed.ask();
            }
        });
        quotas
    }

    /// A node's details are open, or none are.
    pub(super) fn follow(self: &Rc<Self>, node: Option<String>) {
        if *self.node.borrow() != node {
            self.section.remove();
            self.node.replace(node);
            self.ask();
        }
    }

    fn ask(self: &Rc<Self>) {
        let Some(node) = self.node.borrow().clone() else { return };
        let quotas = Rc::clone(self);
        fetch::get("api/traffic/plans", XmlHttpRequestResponseType::Text, move |answer| {
            // Another node may have been opened meanwhile.
            if quotas.node.borrow().as_ref() == Some(&node)
                && let Ok((plans, _)) = super::read(&answer, |text| Plan::list(text).ok())
            {
                if plans.is_empty() { quotas.draw(Vec::new()) } else { quotas.ask_groups(node, plans) }
            }
        });
    }

    /// A plan may be that of a group: who is in it, the node's details tell.
    fn ask_groups(self: &Rc<Self>, node: String, plans: Vec<Plan>) {
        let quotas = Rc::clone(self);
        let url = ["api/nodes/", &path_segment(&node)].concat();
        fetch::get(&url, XmlHttpRequestResponseType::Text, move |answer| {
            if quotas.node.borrow().as_ref() == Some(&node) {
                // One that is gone is still named.
                let groups = super::read(&answer, |text| traffic::groups(text).ok()).unwrap_or_default();
                quotas.draw(plans.iter().filter(|plan| plan.covers(&node, &groups)).collect());
            }
        });
    }

    fn draw(&self, plans: Vec<&Plan>) {
        while let Some(line) = self.section.query_selector("h3 ~ *").ok().flatten() {
            line.remove();
        }
        let mut is_empty = true;
        for plan in plans {
            let Some(bar) = plan.bar() else { continue };
            is_empty = false;
            let line = dom::append(&self.section, "div", "quota-line", "");
            dom::append(&line, "span", "traffic-name", &plan.name);
            append_bar(&line, &bar);
            let forecast = plan.period.as_ref().and_then(|period| period.forecast);
            let forecast = forecast.map(|_| [&plan.forecast(), " by then"].concat());
            let resets = plan.resets(dom::now_ms()).map(|(left, at)| ["resets ", &left, ", ", &*at].concat());
            let words: Vec<String> = resets.into_iter().chain(forecast).collect();
            dom::append(&line, "span", "traffic-note", &words.join(" · "));
        }
        let body = dom::document().query_selector("#detail-known").ok().flatten().filter(|_| !is_empty);
        match body.and_then(|body| body.query_selector(".drawer-section").ok().flatten()) {
            Some(first) => {
                let _added = first.before_with_node_1(&self.section);
            }
            None => self.section.remove(),
        }
    }
}
