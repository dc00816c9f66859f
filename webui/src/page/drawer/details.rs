//! The details themselves: rates, charts, interfaces with the reason why each counts or not, and facts.

use std::cell::RefCell;
use std::rc::Rc;

use tidemap_format::{self as format, Unit};
use tidemap_wire::Bps;
use tidemap_wire::http::InterfaceJson;

use crate::detail;
use crate::fragments::{self, FACT, INTERFACE, RATES};
use crate::json::NodeAnswer;
use crate::page::dom;
use crate::page::pool::Pool;

use super::chart::Chart;

/// The elements that details are written into.
pub(super) struct Details {
    sheet: fragments::Drawer,
    minute: Rc<Chart>,
    quarter: Rc<Chart>,
    lists: RefCell<DetailLists>,
}

struct DetailLists {
    rates: Pool,
    interfaces: Pool,
    host: Pool,
    identity: Pool,
}

impl Details {
    pub(super) fn new(sheet: fragments::Drawer) -> Self {
        let lists = DetailLists {
            rates: Pool::new(sheet.rates.clone(), RATES),
            interfaces: Pool::new(sheet.interface_rows.clone(), INTERFACE),
            host: Pool::new(sheet.host.clone(), FACT),
            identity: Pool::new(sheet.identity.clone(), FACT),
        };
        Self {
            minute: Chart::new(sheet.minute.clone(), "Last minute", "60 s"),
            quarter: Chart::new(sheet.quarter.clone(), "Last 15 minutes", "15 min"),
            lists: RefCell::new(lists),
            sheet,
        }
    }

    /// Writes what is known, if anything is.
    pub(super) fn show(&self, detail: Option<&NodeAnswer>, unit: Unit) {
        self.sheet.known.set_hidden(detail.is_none());
        let Some(detail) = detail else { return };
        self.sheet.unit.set_text_content(Some(unit.heading()));
        let skew_ms = detail.node.clock_skew_ms;
        self.minute.show(detail.last_60s.as_ref(), skew_ms, unit);
        self.quarter.show(detail.last_15m.as_ref(), skew_ms, unit);
        self.sheet.interfaces.set_hidden(detail.interfaces.is_empty());
        self.lists.borrow_mut().write(detail, unit);
    }
}

impl DetailLists {
    fn write(&mut self, detail: &NodeAnswer, unit: Unit) {
        let rates = |title: &str, rates: [String; 5]| {
            let mut line = vec![title.to_owned()];
            line.extend(rates);
            line
        };
        let (download, upload) = (detail::download(detail, unit), detail::upload(detail, unit));
        self.rates.write(vec![rates("↓ Download", download), rates("↑ Upload", upload)]);
        for (at, direction) in ["download", "upload"].into_iter().enumerate() {
            if let Some(row) = self.rates.element(at) {
                dom::set_attribute(row, "data-direction", Some(direction));
            }
        }
        self.host.write(detail::host(detail));
        self.identity.write(detail::identity(&detail.node));
        self.write_interfaces(&detail.interfaces, detail.unlisted_interfaces, unit);
    }

    /// Those that count come first.
    fn write_interfaces(&mut self, interfaces: &[InterfaceJson], unlisted: u32, unit: Unit) {
        let counted = |is_counted: bool| interfaces.iter().filter(move |one| one.counted == is_counted);
        let ordered: Vec<&InterfaceJson> = counted(true).chain(counted(false)).collect();
        let rate = |rate: Option<Bps>| unit.bare(rate.map(Bps::get));
        let line = |interface: &&InterfaceJson| {
            let answer = if interface.counted { "yes" } else { "no" };
            let (rx, tx) = (rate(interface.rx_bytes_per_sec), rate(interface.tx_bytes_per_sec));
            vec![interface.name.clone(), answer.to_owned(), interface.reason.clone(), rx, tx]
        };
        let mut lines: Vec<Vec<String>> = ordered.iter().map(line).collect();
        if unlisted > 0 {
            let more = format!("and {} more", format::count(unlisted.into()));
            lines.push(vec![more, String::new(), "not listed".to_owned(), String::new(), String::new()]);
        }
        self.interfaces.write(lines);
        if let Some(row) = self.interfaces.element(ordered.len()) {
            dom::set_attribute(row, "data-counted", Some("false"));
            dom::set_attribute(row, "title", None);
        }
        for (at, interface) in ordered.into_iter().enumerate() {
            if let Some(row) = self.interfaces.element(at) {
                let is_counted = if interface.counted { "true" } else { "false" };
                dom::set_attribute(row, "data-counted", Some(is_counted));
                dom::set_attribute(row, "title", Some(&about(interface)));
            }
        }
    }
}

/// Its link speed and addresses.
fn about(interface: &InterfaceJson) -> String {
    let speed = interface.speed_mbps.map(|speed| format::count(speed.into()) + " Mbit/s");
    let parts: Vec<String> = speed.into_iter().chain(interface.addresses.iter().cloned()).collect();
    parts.join(", ")
}
