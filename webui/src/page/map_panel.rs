//! The region of the map. What is in it is the map's own.

use std::rc::Rc;

use sycamore::prelude::*;

use crate::map::{MapEvents, MapView};

use super::Page;
use super::dom;

/// The region.
#[component]
pub(super) fn MapPanel() -> View {
    let Page { board, engine } = use_context();
    let container = create_node_ref();
    let scope = use_current_scope();
    on_mount(move || {
        let Some(element) = dom::element(container) else { return };
        let (picker, opener, drawer) = (Rc::clone(&engine), Rc::clone(&engine), Rc::clone(&engine));
        let lister = Rc::clone(&engine);
        let map = MapView::new(
            element.clone(),
            MapEvents {
                on_select: Box::new(move |row| {
                    scope.run_in(|| board.selected.set(row.and_then(|row| picker.name_of(row))));
                    picker.show_selected();
                }),
                on_open: Box::new(move |row| {
                    if let Some(name) = opener.name_of(row) {
                        scope.run_in(|| board.open(name));
                        opener.request_frame();
                    }
                }),
                on_nowhere: Box::new(move || {
                    scope.run_in(|| board.list_nowhere());
                    lister.focus_first();
                }),
                request_frame: Box::new(move || drawer.request_frame()),
            },
        );
        engine.attach_map(Rc::clone(&map));
        dom::on_resize(&element, move || map.resize());
    });
    view! {
        section(class="region region-map panel", aria-label="Map") {
            div(id="map", r#ref=container)
        }
    }
}
