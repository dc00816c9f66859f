//! Paints the map's canvases, but only those that have changed.

use std::rc::Weak;

use tidemap_format::Unit;
use wasm_bindgen::UnwrapThrowExt as _;
use web_sys::{HtmlElement, Performance};

use super::MapView;
use super::base::{Base, Level};
use super::brush::Brush;
use super::bubbles::Bubble;
use super::dom::window;
use super::layers::Layers;
use super::markers::MarkerPainter;
use super::theme::Theme;
use super::tiles::Tiles;
use crate::Markers;
use crate::projection::Viewport;
use crate::scene::{Opened, Scene};
use crate::world::BaseMap;

/// While the view moves, painting may take at most this share of the time; in between, the painted bitmaps
/// are moved.
const PAINTING_SHARE: f64 = 0.5;
/// Painting that takes less is done in every frame.
const CHEAP_MS: f64 = 6.0;

/// The canvases and what they show.
pub(super) struct Renderer {
    layers: Layers,
    base: Base,
    markers: MarkerPainter,
    /// The clusters that are painted.
    bubbles: Vec<Bubble>,
    /// Absent until the first painting and after a change of colours.
    theme: Option<Theme>,
    root: HtmlElement,
    /// What the bitmaps show; none when everything must be repainted.
    painted: Option<Painted>,
    cost: Cost,
}

/// All that decides what the bitmaps look like, but the theme and the base map.
#[derive(Debug, PartialEq)]
struct Painted {
    viewport: Viewport,
    generation: u64,
    changes: u64,
    selected: Option<usize>,
    opened: Option<Opened>,
    unit: Unit,
}

/// What the newest painting took.
struct Cost {
    clock: Performance,
    ended_ms: f64,
    took_ms: f64,
}

impl Renderer {
    pub(super) fn new(stage: &HtmlElement, root: &HtmlElement, map: Weak<MapView>) -> Self {
        Self {
            layers: Layers::new(stage),
            base: Base::new(Tiles::read(root, map)),
            markers: MarkerPainter::new(Theme::default().palette),
            bubbles: Vec::new(),
            theme: None,
            root: root.clone(),
            painted: None,
            cost: Cost::new(),
        }
    }

    pub(super) fn base_mut(&mut self) -> &mut Base {
        &mut self.base
    }

    /// Repaints everything with the next frame.
    pub(super) fn repaint(&mut self) {
        self.painted = None;
    }

    pub(super) fn put_base(&mut self, level: Level, map: Option<BaseMap>) {
        if let Some(map) = map {
            self.base.put(level, &map);
            self.painted = None;
        }
    }

    /// Reads the style sheet's colours again with the next frame.
    pub(super) fn change_theme(&mut self) {
        self.theme = None;
        self.painted = None;
    }

    /// Updates the canvases; returns whether they are painted, or only moved for now.
    pub(super) fn paint(&mut self, scene: &mut Scene, markers: &Markers<'_>, unit: Unit) -> bool {
        let viewport = *scene.viewport();
        if viewport.width() < 1.0 || viewport.height() < 1.0 {
            return true;
        }
        if let Some((width, height)) = self.layers.fit(&viewport) {
            self.markers.buffer.resize(width, height);
            self.painted = None;
        }
        let started_ms = self.cost.clock.now();
        let wanted = Painted {
            viewport,
            generation: markers.generation,
            changes: markers.changes,
            selected: markers.selected,
            opened: scene.opened().cloned(),
            unit,
        };
        // Most frames have other causes: a list that scrolls, a search, a pointer that rests on a marker.
        if self.painted.as_ref() == Some(&wanted) {
            self.layers.unshift();
            return true;
        }
        let before = self.painted.as_ref().map(|painted| painted.viewport);
        if let Some(before) = before
            && before != viewport
            && self.cost.is_too_soon(started_ms)
        {
            self.layers.shift(&before, &viewport);
            return false;
        }
        self.paint_all(scene, markers, &wanted, started_ms);
        self.layers.unshift();
        self.painted = Some(wanted);
        self.cost.note(started_ms);
        true
    }

    fn paint_all(&mut self, scene: &mut Scene, markers: &Markers<'_>, wanted: &Painted, now_ms: f64) {
        let Self { layers, base, root, .. } = self;
        let theme: &Theme = self.theme.get_or_insert_with(|| Theme::read(root));
        let (viewport, ratio) = (wanted.viewport, layers.ratio);
        scene.regroup();
        let has_moved = self.painted.as_ref().is_none_or(|painted| painted.viewport != viewport);
        if has_moved {
            if !scene.is_moving() {
                base.ask_tiles(&viewport, now_ms);
            }
            layers.tell(&viewport);
            layers.base.clear();
            base.paint(&layers.base.context, &viewport, ratio, theme);
        }
        if has_moved || self.painted.as_ref().is_none_or(|painted| painted.generation != wanted.generation) {
            self.markers.find_singles(scene, ratio);
        }
        self.markers.paint(&layers.markers.context, markers, theme.palette, ratio);

        let bubbles = Bubble::in_view(scene, markers);
        let buffer = &self.markers.buffer;
        // With a thousand and more of them, clusters take the longest to paint, and most ticks change nothing
        // in them.
        if self.painted.is_none() || !Bubble::look_alike(&bubbles, &self.bubbles) {
            layers.bubbles.clear();
            if !bubbles.is_empty() {
                Brush::new(&layers.bubbles.context, buffer, ratio, theme, wanted.unit).bubbles(&bubbles);
            }
        }
        layers.overlay.clear();
        Brush::new(&layers.overlay.context, buffer, ratio, theme, wanted.unit)
            .overlay(scene, markers, &bubbles);
        self.bubbles = bubbles;
    }
}

impl Cost {
    fn new() -> Self {
        let clock = window().performance().expect_throw("the browser has a clock");
        Self { clock, ended_ms: f64::NEG_INFINITY, took_ms: 0.0 }
    }

    fn note(&mut self, started_ms: f64) {
        self.ended_ms = self.clock.now();
        self.took_ms = self.ended_ms - started_ms;
    }

    /// Whether painting again would take more than its share of the time.
    fn is_too_soon(&self, now_ms: f64) -> bool {
        self.took_ms > CHEAP_MS && now_ms - self.ended_ms < self.took_ms / PAINTING_SHARE
    }
}
