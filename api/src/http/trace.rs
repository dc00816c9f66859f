//! Requests in the log: one line each, within a span that carries the caller's trace (W3C Trace Context).
//!
//! Both are at the level `debug`, and cost nothing when that is off. What a request line never shows: the query, in
//! which a careless client may put a token, and headers.

use tracing::{Level, Span, field};
use warp::{
    filters::{log, trace},
    http::HeaderMap,
};

/// The header that names a request's place in a trace.
const TRACEPARENT: &str = "traceparent";

/// A request's place in a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Trace {
    id: u128,
    /// The caller's span; none when the trace begins here.
    parent: Option<u64>,
}

impl Trace {
    /// The caller's trace, or a new one when the caller names none that can be read.
    fn of(headers: &HeaderMap) -> Self {
        let mut named = headers.get_all(TRACEPARENT).into_iter();
        let alone = named.next().filter(|_| named.next().is_none());
        let parsed = alone.and_then(|value| Self::parse(value.to_str().ok()?));
        parsed.unwrap_or_else(|| Self { id: fastrand::u128(1..), parent: None })
    }

    /// Reads `version-trace-parent-flags`. Later versions may add fields at the end.
    fn parse(text: &str) -> Option<Self> {
        let mut fields = text.split('-');
        let version = hex(fields.next()?, 2)?;
        let (id, parent) = (hex(fields.next()?, 32)?, hex(fields.next()?, 16)?);
        hex(fields.next()?, 2)?;
        let complete = version != 0xff && (version != 0 || fields.next().is_none());
        let parent = u64::try_from(parent).ok().filter(|parent| *parent != 0)?;
        (complete && id != 0).then_some(Self { id, parent: Some(parent) })
    }
}

/// The span that a request is answered in.
pub(super) fn span(request: &trace::Info<'_>) -> Span {
    if !tracing::enabled!(Level::DEBUG) {
        return Span::none();
    }
    let trace = Trace::of(request.request_headers());
    let span = tracing::debug_span!(
        "request",
        method = %request.method(),
        path = request.path(),
        trace_id = format!("{:032x}", trace.id),
        parent_id = field::Empty,
    );
    if let Some(parent) = trace.parent {
        span.record("parent_id", format!("{parent:016x}"));
    }
    span
}

/// Tells how a request was answered; a stream is answered when it begins.
pub(super) fn answered(request: &log::Info<'_>) {
    let ms = request.elapsed().as_micros() as f64 / 1000.0;
    tracing::debug!(status = request.status().as_u16(), ms, "answered");
}

/// A number of just so many hexadecimal digits, in lower case as the standard wants them.
fn hex(text: &str, digits: usize) -> Option<u128> {
    let is_hex = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    u128::from_str_radix(text, 16).ok().filter(|_| is_hex && text.len() == digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

    fn headers(values: &[&str]) -> HeaderMap {
        values.iter().map(|value| (TRACEPARENT.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn a_callers_trace_goes_on() {
        let trace =
            Trace { id: 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736, parent: Some(0x00f0_67aa_0ba9_02b7) };
        assert_eq!(Trace::of(&headers(&[&format!("00-{ID}-00f067aa0ba902b7-01")])), trace);
        assert_eq!(Trace::of(&headers(&[&format!("cc-{ID}-00f067aa0ba902b7-01-more")])), trace);
    }

    #[test]
    fn what_is_no_trace_begins_a_new_one() {
        let good = format!("00-{ID}-00f067aa0ba902b7-01");
        let zero_id = format!("00-{:032}-00f067aa0ba902b7-01", 0);
        let zero_parent = format!("00-{ID}-0000000000000000-01");
        for wrong in [
            &[][..],
            &[""],
            &["00"],
            &[&zero_id],
            &[&zero_parent],
            &[&good.replace("4bf9", "4BF9")],
            &[&good.replace("00-", "ff-")],
            &[&good.replace("00-", "0-")],
            &[&good.replace("4bf9", "+bf9")],
            &[&format!("{good}-more")],
            &[&good[..good.len() - 1]],
            &[&good, &good],
        ] {
            let trace = Trace::of(&headers(wrong));
            assert!(trace.parent.is_none() && trace.id != 0, "{wrong:?}: {trace:?}");
            assert_ne!(trace, Trace::of(&headers(wrong)), "{wrong:?}");
        }
    }
}
