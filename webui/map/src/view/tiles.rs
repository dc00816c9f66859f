//! Tiles above the bundled map: fetched as the view needs them, painted as far as they have come.

use std::rc::Weak;

use wasm_bindgen::prelude::Closure;
use wasm_bindgen::{JsCast as _, UnwrapThrowExt as _};
use web_sys::{CanvasRenderingContext2d, HtmlElement, HtmlImageElement, HtmlMetaElement};

use super::MapView;
use super::dom::{create, document};
use crate::projection::Viewport;
use crate::tiles::{Tile, covering};

/// So many are kept: a few views of a large screen.
const MAX_KEPT: usize = 200;
/// A tile that did not come is asked for again, but not at once.
const ASK_AGAIN_MS: f64 = 30_000.0;

/// The tiles that the operator has chosen.
pub(super) struct Tiles {
    template: String,
    /// Coarser ones first.
    kept: Vec<Kept>,
    /// Called by the browser whenever one has come.
    arrived: Closure<dyn FnMut()>,
}

struct Kept {
    tile: Tile,
    asked_ms: f64,
    image: HtmlImageElement,
}

impl Tiles {
    /// The tiles that the page's head names, if any; shows their attribution.
    pub(super) fn read(root: &HtmlElement, map: Weak<MapView>) -> Option<Self> {
        let meta = document().query_selector("meta[name=tidemap-tiles]").ok()??;
        let credit = meta.get_attribute("data-attribution").unwrap_or_default();
        if !credit.is_empty() {
            create(root, "p", "map-legend map-credit").set_text_content(Some(&credit));
        }
        let arrived = Closure::new(move || {
            if let Some(map) = map.upgrade() {
                map.renderer.borrow_mut().repaint();
                (map.events.request_frame)();
            }
        });
        let template = meta.dyn_into::<HtmlMetaElement>().ok()?.content();
        Some(Self { template, kept: Vec::new(), arrived })
    }

    /// Asks for what a view needs and does not have.
    pub(super) fn ask(&mut self, viewport: &Viewport, now_ms: f64) {
        let wanted = covering(viewport);
        let is_lost =
            |kept: &Kept| kept.image.complete() && !kept.has_come() && now_ms - kept.asked_ms > ASK_AGAIN_MS;
        let is_full = self.kept.len() > MAX_KEPT;
        self.kept.retain(|kept| !is_lost(kept) && (!is_full || wanted.contains(&kept.tile)));
        for tile in wanted {
            if self.kept.iter().any(|kept| kept.tile == tile) {
                continue;
            }
            let image = HtmlImageElement::new().expect_throw("the page makes images");
            image.set_onload(Some(self.arrived.as_ref().unchecked_ref()));
            image.set_src(&tile.url(&self.template));
            let at = self.kept.partition_point(|kept| kept.tile.z <= tile.z);
            self.kept.insert(at, Kept { tile, asked_ms: now_ms, image });
        }
    }

    /// Paints the tiles that are loaded and not finer than the view. Where none is loaded, the layer below
    /// stays visible.
    pub(super) fn paint(&self, context: &CanvasRenderingContext2d, viewport: &Viewport, ratio: f64) {
        context.set_transform(1.0, 0.0, 0.0, 1.0, 0.0, 0.0).unwrap_throw();
        let finest = viewport.zoom().round();
        let kept = self.kept.iter().filter(|kept| f64::from(kept.tile.z) <= finest && kept.has_come());
        for Kept { tile, image, .. } in kept {
            for origin in viewport.origins() {
                if let Some([left, top, right, bottom]) = tile.edges(viewport, origin, ratio) {
                    let (width, height) = (right - left, bottom - top);
                    // An image that cannot be drawn is like one that did not come.
                    drop(
                        context.draw_image_with_html_image_element_and_dw_and_dh(
                            image, left, top, width, height,
                        ),
                    );
                }
            }
        }
    }
}

impl Kept {
    fn has_come(&self) -> bool {
        self.image.complete() && self.image.natural_width() > 0
    }
}
