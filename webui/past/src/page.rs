//! The views, and what is asked for them.

mod arcs;
mod chart;
mod dom;
mod events;
mod figures;
mod latency;
mod live;
mod peaks;
mod quotas;
mod rows;
mod sheet;
mod strip;
mod traffic;

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use js_sys::Function;
use tidemap_parts::fetch::{self, Answer};
use tidemap_parts::value::{Text, Value};
use tidemap_wire::http::TopJson;
use wasm_bindgen::JsValue;
use web_sys::XmlHttpRequestResponseType;

use crate::past::Past;
use crate::range::{self, Asked, Range, Spike};
use crate::traffic::Wanted;
use crate::{calendar, top, words};

use arcs::Arcs;
use figures::Figures;
use latency::Latency;
use peaks::Peaks;
use quotas::Quotas;
use sheet::Sheet;
use strip::Strip;
use traffic::Traffic;

/// A range that ends now is asked for again as often as the history grows.
const REFRESH_MS: i32 = 60_000;

thread_local! {
    static APP: RefCell<Option<Rc<App>>> = const { RefCell::new(None) };
    static BILLS: (Rc<Traffic>, Rc<Quotas>) = (Traffic::new(), Quotas::new());
    static TRIPS: (Rc<Latency>, Rc<Arcs>) = (Latency::new(), Arcs::new());
}

/// Shows what the page's address asks for: a time, the view of traffic, and of the node whose details are
/// open its plans and its round trips. `tell` gets what nodes moved, as a text for the list and the map;
/// `null` when they show the present again.
pub(crate) fn show(query: &str, tell: &Function) {
    let asked = Asked::parse(query);
    BILLS.with(|(traffic, quotas)| {
        traffic.follow(Wanted::parse(query, calendar::month_of(dom::now_ms(), &dom::zone)));
        quotas.follow(asked.node.clone());
    });
    TRIPS.with(|(latency, arcs)| {
        latency.follow(asked.node.clone());
        arcs.follow(asked.node.clone());
    });
    let app = APP.with(|app| {
        let mut app = app.borrow_mut();
        // Its place in the page is there once a time was asked for.
        if app.is_none() && asked.range.is_some() {
            *app = Some(App::new(tell.clone()));
        }
        app.clone()
    });
    if let Some(app) = app {
        app.follow(asked);
    }
    // Last, because what fires of a node comes first in its details.
    events::show(query);
}

/// The stream has said something of alerts.
pub(crate) fn hear() {
    events::hear();
}

struct App {
    tell: Function,
    strip: Rc<Strip>,
    figures: Figures,
    peaks: Rc<Peaks>,
    sheet: Rc<Sheet>,
    asked: RefCell<Asked>,
    fleet: RefCell<Option<Rc<Past>>>,
    /// Why the time in the address cannot be shown, and how the address said it.
    failure: RefCell<Option<(String, String)>>,
    /// Answers to what was asked before another time was chosen are of no use.
    round: Cell<u32>,
}

impl App {
    fn new(tell: Function) -> Rc<Self> {
        let app = Rc::new(Self {
            tell,
            strip: Strip::new(),
            figures: Figures::new(),
            peaks: Peaks::new(),
            sheet: Sheet::new(),
            asked: RefCell::default(),
            fleet: RefCell::default(),
            failure: RefCell::default(),
            round: Cell::new(0),
        });
        let sheet = Rc::downgrade(&app);
        events::on_node_alerts(move |alerts| {
            if let Some(app) = sheet.upgrade() {
                app.sheet.mark(alerts);
                app.draw();
            }
        });
        let refreshed = Rc::clone(&app);
        dom::every(REFRESH_MS, move || refreshed.refresh());
        app
    }

    fn follow(self: &Rc<Self>, asked: Asked) {
        let before = self.asked.replace(asked.clone());
        let Some(range) = asked.range else {
            if before.range.is_some() {
                self.leave();
            }
            return;
        };
        let is_other_time = before.range.as_ref() != Some(&range);
        if is_other_time {
            self.failure.replace(None);
            self.fleet.replace(None);
            self.strip.wait();
        }
        if is_other_time || before.spike != asked.spike {
            match asked.spike {
                Some(spike) => self.ask_culprits(spike),
                None => self.strip.close_culprits(),
            }
        }
        let is_other_node = before.node != asked.node;
        if is_other_time || is_other_node {
            self.sheet.open(asked.node.is_some());
        }
        if is_other_time {
            self.ask(&range);
        } else if is_other_node {
            self.ask_node(&range);
        } else if before.unit != asked.unit {
            self.draw();
        }
    }

    /// The present is shown again.
    fn leave(&self) {
        self.round.set(self.round.get() + 1);
        self.fleet.replace(None);
        self.tell_means(&JsValue::NULL);
        self.peaks.show(None);
        self.figures.remove();
        self.sheet.open(false);
        match &*self.failure.borrow() {
            Some((word, time)) => self.strip.say(word, time),
            None => self.strip.clear(),
        }
    }

    /// What has not ended grows.
    fn refresh(self: &Rc<Self>) {
        let range = self.asked.borrow().range.clone();
        let is_growing = self.fleet.borrow().as_ref().is_some_and(|past| past.is_partial);
        if let Some(range) = range.filter(|range| range.length.is_some() || is_growing) {
            self.ask(&range);
        }
    }

    fn ask(self: &Rc<Self>, range: &Range) {
        self.round.set(self.round.get() + 1);
        self.get(&range.history_url(None), Self::take_fleet);
        self.get(&range.top_url(), Self::take_top);
        self.ask_node(range);
    }

    fn ask_node(self: &Rc<Self>, range: &Range) {
        let Some(node) = self.asked.borrow().node.clone() else { return };
        self.get(&range.history_url(Some(&node)), move |app, answer| {
            // Another node may have been opened meanwhile; its answer is on its way.
            if app.asked.borrow().node.as_ref() == Some(&node) {
                app.take_node(answer);
            }
        });
    }

    fn get(self: &Rc<Self>, url: &str, then: impl FnOnce(&Self, &Answer) + 'static) {
        let (app, round) = (Rc::clone(self), self.round.get());
        fetch::get(url, XmlHttpRequestResponseType::Text, move |answer| {
            if app.round.get() == round {
                then(&app, &answer);
            }
        });
    }

    fn take_fleet(&self, answer: &Answer) {
        match read(answer, |text| Past::read(text, false).ok()) {
            Ok(past) => {
                self.fleet.replace(Some(Rc::new(past)));
                self.strip.trouble("");
                self.draw();
            }
            // What is there stays: it is true, but it no longer grows.
            Err(word) if self.fleet.borrow().is_some() => self.strip.trouble(&word),
            Err(word) => {
                let query = dom::query();
                let time = range::time_of(&query);
                self.failure.replace(Some((word, time)));
                dom::navigate(&range::with_time(&query, "", None), false);
            }
        }
    }

    fn take_top(&self, answer: &Answer) {
        match read(answer, |text| top::read(text).ok()) {
            Ok(top) => {
                self.tell_means(&means(&top).into());
                self.peaks.show(Some(&top));
                let said =
                    words::of_nodes(top.from_ms, top.to_ms, top.nodes.len(), range::MOST_NODES, &dom::zone);
                self.strip.say_of_nodes(said);
            }
            Err(word) => {
                self.tell_means(&JsValue::NULL);
                self.peaks.show(None);
                self.strip.say_of_nodes(["List, map and groups: now. ", &word].concat());
            }
        }
        self.draw();
    }

    fn take_node(&self, answer: &Answer) {
        let past = read(answer, |text| Past::read(text, true).ok());
        self.sheet.take(past.map(Rc::new));
        self.draw();
    }

    fn ask_culprits(self: &Rc<Self>, spike: Spike) {
        let app = Rc::clone(self);
        fetch::get(&spike.culprits_url(), XmlHttpRequestResponseType::Text, move |answer| {
            // Another moment may have been chosen meanwhile.
            if app.asked.borrow().spike == Some(spike) {
                app.strip.show_culprits(spike, read(&answer, |text| top::read(text).ok()));
            }
        });
    }

    fn draw(&self) {
        let asked = self.asked.borrow();
        let Some(range) = &asked.range else { return };
        if let Some(past) = &*self.fleet.borrow() {
            let title = words::title(range, past, dom::now_ms(), &dom::zone);
            dom::document().set_title(&[&title, " – Tidemap"].concat());
            self.strip.draw(&title, past, asked.unit);
            self.figures.draw(past, asked.unit);
        }
        self.peaks.draw(asked.unit);
        self.sheet.draw(range, asked.unit);
    }

    /// It sends to this window only, so it cannot fail.
    fn tell_means(&self, text: &JsValue) {
        let text = if text.is_null() { &JsValue::from_str("null") } else { text };
        let _infallible = self.tell.call1(&JsValue::NULL, text);
    }
}

/// What a good answer says, or in one line why there is none.
fn read<T>(answer: &Answer, of: impl FnOnce(&Text) -> Option<T>) -> Result<T, String> {
    if answer.status == 200 {
        return of(&answer.body).ok_or_else(|| "The server's answer cannot be read.".to_owned());
    }
    let said = Value::parse(&answer.body).ok().and_then(|body| body.get("detail").text().ok());
    Err(match (answer.status, said) {
        (0, _) => "The server does not answer.".to_owned(),
        (_, Some(said)) => words::sentence(&said),
        (status, None) => ["The server answers with ", &status.to_string(), "."].concat(),
    })
}

/// What nodes moved, as the page's other program reads it.
fn means(top: &TopJson) -> String {
    let [names, rx, tx] = [(); 3].map(|()| js_sys::Array::new());
    for mean in top::mean_rates(top) {
        names.push(&JsValue::from_str(&mean.name));
        rx.push(&JsValue::from_f64(mean.rx_bps));
        tx.push(&JsValue::from_f64(mean.tx_bps));
    }
    let all = js_sys::Object::new();
    for (name, column) in [("names", names), ("rx", rx), ("tx", tx)] {
        // A new object takes every field.
        let _infallible = js_sys::Reflect::set(&all, &name.into(), &column);
    }
    js_sys::JSON::stringify(&all).map(String::from).unwrap_or_default()
}
