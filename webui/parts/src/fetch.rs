//! Requests to the server.
//!
//! With one callback: futures would add 5 KB to the page, for three requests that are never awaited together.

use js_sys::Uint8Array;
use wasm_bindgen::JsCast;
use wasm_bindgen::prelude::{Closure, JsValue};
use web_sys::{XmlHttpRequest, XmlHttpRequestResponseType};

/// The server's answer.
pub struct Answer {
    /// The status; 0 when no answer came.
    pub status: u16,
    /// The body: a text or an array buffer, as was asked for.
    pub body: JsValue,
}

impl Answer {
    /// The body of a good answer to a request for an array buffer, else the status.
    ///
    /// # Errors
    ///
    /// The status of any other answer.
    pub fn bytes(&self) -> Result<Vec<u8>, u16> {
        if self.status == 200 { Ok(Uint8Array::new(&self.body).to_vec()) } else { Err(self.status) }
    }
}

/// Asks, and calls `then` with the answer.
pub fn get(url: &str, kind: XmlHttpRequestResponseType, then: impl FnOnce(Answer) + 'static) {
    // What cannot even be asked gets no answer: the page asks again in its own time.
    let Ok(request) = XmlHttpRequest::new() else { return };
    request.set_response_type(kind);
    let answered = {
        let request = request.clone();
        move || {
            let body = request.response().unwrap_or(JsValue::NULL);
            then(Answer { status: request.status().unwrap_or(0), body });
        }
    };
    let answered = Closure::once_into_js(answered);
    request.set_onloadend(Some(answered.unchecked_ref()));
    if request.open("GET", url).is_ok() {
        let _asked = request.send();
    }
}
