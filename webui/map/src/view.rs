//! The map in the browser: canvases, elements and listeners. The [`Scene`] decides what it shows.

mod base;
mod brush;
mod bubbles;
mod dom;
mod input;
mod layers;
mod legend;
mod list;
mod markers;
mod overlay;
mod popup;
mod renderer;
mod theme;
mod tiles;
mod tip;

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};

use wasm_bindgen::prelude::Closure;
use wasm_bindgen::{JsCast as _, UnwrapThrowExt as _};
use web_sys::{HtmlElement, ResizeObserver};

use crate::Markers;
use crate::projection::Bounds;
use crate::scene::{Answer, Scene};
use base::Level;
use dom::{Listener, create, window};
use legend::Legend;
use list::List;
use popup::Popup;
use renderer::Renderer;
use tidemap_format::Unit;
use tip::Tip;

/// The calls from the map to the page.
pub struct MapEvents {
    pub on_select: Box<dyn Fn(Option<usize>)>,
    /// Asks for one animation frame in which the page calls [`MapView::draw`]. It is also called from within
    /// `draw`, and then means the frame after.
    pub request_frame: Box<dyn Fn()>,
    pub on_open: Box<dyn Fn(usize)>,
    /// The reader wants to see the nodes that are not on the map.
    pub on_nowhere: Box<dyn Fn()>,
    /// Fetches a file and hands over its bytes, or the status of the answer where there are none.
    pub fetch: Fetch,
}

/// Fetches the file at an address.
pub type Fetch = Box<dyn Fn(&str, Fetched)>;

/// Takes a file that has been fetched.
pub type Fetched = Box<dyn FnOnce(Result<Vec<u8>, u16>)>;

/// The map. It lives in the container that it was given until it is dropped.
pub struct MapView {
    root: HtmlElement,
    stage: HtmlElement,
    scene: RefCell<Scene>,
    renderer: RefCell<Renderer>,
    popup: Popup,
    list: List,
    legend: Legend,
    tip: Tip,
    unit: Cell<Unit>,
    events: MapEvents,
    listeners: RefCell<Vec<Listener>>,
    /// Held because the browser calls it.
    _observer: (ResizeObserver, Closure<dyn FnMut()>),
    this: Weak<Self>,
}

impl MapView {
    /// Builds the map into `container`, which it fills.
    #[expect(clippy::needless_pass_by_value, reason = "the container is the map's from then on")]
    pub fn new(container: HtmlElement, events: MapEvents) -> Rc<Self> {
        let root = create(&container, "div", "map");
        let stage = create(&root, "div", "map-stage");
        let view = Rc::new_cyclic(|this: &Weak<Self>| Self {
            scene: RefCell::new(Scene::new(0.0, 0.0, prefers_stillness())),
            renderer: RefCell::new(Renderer::new(&stage, &root, Weak::clone(this))),
            // In the order in which they are tabbed to.
            popup: Popup::new(&root),
            list: List::new(&root),
            legend: Legend::new(&root, &stage),
            tip: Tip::new(&root),
            unit: Cell::default(),
            events,
            listeners: RefCell::default(),
            _observer: observe(&stage, Weak::clone(this)),
            root,
            stage,
            this: Weak::clone(this),
        });
        input::listen(&view);
        view.resize();
        view
    }

    /// Draws what has changed. Called for each frame of data, and for each frame that the map asked for.
    pub fn draw(&self, now_ms: f64, markers: &Markers<'_>) {
        let (again, zoom) = {
            let scene = &mut *self.scene.borrow_mut();
            let renderer = &mut *self.renderer.borrow_mut();
            scene.update(markers);
            scene.advance(now_ms);
            let painted = renderer.paint(scene, markers, self.unit.get());
            self.legend.update(now_ms, scene, markers, self.unit.get());
            self.popup.update(scene, markers, self.unit.get());
            self.list.update(scene, markers, self.unit.get());
            self.tip.update(scene, markers, self.unit.get());
            (!painted || scene.is_moving(), scene.viewport().zoom())
        };
        self.load(Level::Coarse, now_ms);
        if zoom >= base::FINE_ZOOM {
            self.load(Level::Fine, now_ms);
        }
        if again {
            (self.events.request_frame)();
        }
    }

    /// Writes rates in that unit from the next frame on.
    pub fn set_unit(&self, unit: Unit) {
        if self.unit.replace(unit) != unit {
            (self.events.request_frame)();
        }
    }

    /// Reads the style sheet's colours again with the next frame.
    pub fn change_theme(&self) {
        self.renderer.borrow_mut().change_theme();
        (self.events.request_frame)();
    }

    /// Takes the container's size. The map also notices by itself when that changes.
    pub fn resize(&self) {
        let (width, height) = (f64::from(self.stage.client_width()), f64::from(self.stage.client_height()));
        let viewport = *self.scene.borrow().viewport();
        // A hidden container has no size; the view is kept until it is shown again.
        if width > 0.0 && height > 0.0 && (width, height) != (viewport.width(), viewport.height()) {
            self.scene.borrow_mut().resize(width, height);
            (self.events.request_frame)();
        }
    }

    /// Shows the whole fleet.
    pub fn fit(&self) {
        self.scene.borrow_mut().fit();
        (self.events.request_frame)();
    }

    /// The part of the world in view, for "in view" filters; none as long as the map has not been shown.
    pub fn bounds(&self) -> Option<Bounds> {
        let viewport = *self.scene.borrow().viewport();
        (viewport.width() > 0.0).then(|| viewport.bounds())
    }

    fn load(&self, level: Level, now_ms: f64) {
        let Some(url) = self.renderer.borrow_mut().base_mut().ask(level, now_ms) else { return };
        let this = Weak::clone(&self.this);
        let arrived = move |fetched| {
            let Some(view) = this.upgrade() else { return };
            view.renderer.borrow_mut().put_base(level, base::decoded(fetched));
            (view.events.request_frame)();
        };
        (self.events.fetch)(&url, Box::new(arrived));
    }

    /// Passes a reply on to the page. Never called while the scene is borrowed, because the page may draw at
    /// once.
    fn respond(&self, answer: Option<Answer>) {
        match answer {
            Some(Answer::Select(row)) => (self.events.on_select)(row),
            Some(Answer::Open(row)) => return (self.events.on_open)(row),
            Some(Answer::Redraw) => {}
            None => return,
        }
        (self.events.request_frame)();
    }
}

impl Drop for MapView {
    fn drop(&mut self) {
        self._observer.0.disconnect();
        self.root.remove();
    }
}

fn prefers_stillness() -> bool {
    let query = window().match_media("(prefers-reduced-motion: reduce)");
    query.ok().flatten().is_some_and(|query| query.matches())
}

/// Watches the stage's size.
fn observe(stage: &HtmlElement, this: Weak<MapView>) -> (ResizeObserver, Closure<dyn FnMut()>) {
    let resized = Closure::<dyn FnMut()>::new(move || {
        if let Some(view) = this.upgrade() {
            view.resize();
        }
    });
    let observer =
        ResizeObserver::new(resized.as_ref().unchecked_ref()).expect_throw("the observer takes any function");
    observer.observe(stage);
    (observer, resized)
}
