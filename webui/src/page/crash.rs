//! What happens when the page's program panics: it throws, and the boot script shows an overlay of plain
//! elements, because nothing else works any more.

use std::panic;

/// Makes a panic report its message and place.
pub(super) fn install() {
    panic::set_hook(Box::new(|panic| {
        let payload = panic.payload();
        let message = payload.downcast_ref::<&str>().copied();
        let message = message.or_else(|| payload.downcast_ref::<String>().map(|text| &**text));
        let (file, line) = panic.location().map_or(("", 0), |place| (place.file(), place.line()));
        let message = message.unwrap_or("the program stopped");
        wasm_bindgen::throw_str(&[message, " at ", file, ":", &line.to_string()].concat());
    }));
}

/// Lets a test see what happens then: only on a page that was opened with `?debug`, and only when its script
/// says so.
#[expect(clippy::panic, reason = "it is there to panic")]
pub(super) fn on_request() {
    super::dom::listen(&super::dom::document(), "tidemap-crash", |_: web_sys::Event| {
        panic!("this crash was asked for");
    });
}
