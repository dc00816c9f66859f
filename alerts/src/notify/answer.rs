//! What an answer of HTTP means for a notice. Pure.

use std::time::Duration;

use jiff::fmt::rfc2822;
use serde_json::Value;
use tidemap_service::web_client::WebAnswer;

use super::{Delivered, SendFailure};

/// What people are shown of an answer, in letters.
const SHOWN: usize = 200;

/// Judges an answer that came at `now_s`, Unix seconds.
pub(super) fn judge(answer: &WebAnswer, now_s: i64) -> Result<Delivered, SendFailure> {
    let said = said(answer);
    match answer.status {
        200..=299 => Ok(Delivered { answer: said }),
        300..=399 => {
            Err(SendFailure::refused(format!("{said}, a redirection: set the address that it leads to")))
        }
        408 | 425 | 429 | 500..=599 => Err(SendFailure::Retry { after: after(answer, now_s), reason: said }),
        _ => Err(SendFailure::refused(said)),
    }
}

/// The status, and the begin of the text in one line.
fn said(answer: &WebAnswer) -> String {
    let words = answer.body.split(|letter: char| letter.is_whitespace() || letter.is_control());
    let text = words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
    let mut shown: String = text.chars().take(SHOWN).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    let status = answer.status;
    if shown.is_empty() {
        format!("the answer is {status}")
    } else {
        format!("the answer is {status}: {shown}")
    }
}

/// How long to wait: seconds or a date in the header, or what Telegram writes into the body.
fn after(answer: &WebAnswer, now_s: i64) -> Option<Duration> {
    let header = answer.retry_after.as_deref().map(str::trim).and_then(|text| {
        // Discord has decimals.
        let seconds = text.parse::<f64>().ok().filter(|seconds| seconds.is_finite() && *seconds >= 0.0);
        let date = || Some((rfc2822::parse(text).ok()?.timestamp().as_second() - now_s).max(0) as f64);
        seconds.or_else(date)
    });
    let body = || {
        let body: Value = serde_json::from_str(&answer.body).ok()?;
        body.get("parameters")?.get("retry_after")?.as_f64()
    };
    let seconds = header.or_else(body)?;
    Duration::try_from_secs_f64(seconds).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, retry_after: Option<&str>, body: &str) -> WebAnswer {
        WebAnswer { status, retry_after: retry_after.map(str::to_owned), body: body.to_owned() }
    }

    #[test]
    fn an_answer_is_final_or_asks_for_another_attempt() {
        for status in [200, 201, 204, 299] {
            judge(&answer(status, None, ""), 0).unwrap();
        }
        for status in [301, 307, 400, 401, 403, 404, 410, 413] {
            let refused = judge(&answer(status, Some("1"), "no"), 0).unwrap_err();
            assert!(matches!(refused, SendFailure::Refused { .. }), "{status}");
        }
        for status in [408, 425, 429, 500, 502, 503, 504] {
            let retry = judge(&answer(status, None, ""), 0).unwrap_err();
            assert!(matches!(retry, SendFailure::Retry { after: None, .. }), "{status}");
        }
    }

    #[test]
    fn the_other_side_says_how_long_to_wait() {
        // 6 November 1994, 08:49:37 GMT, from RFC 9110.
        let date = "Sun, 06 Nov 1994 08:49:37 GMT";
        let telegram = r#"{"ok":false,"error_code":429,"parameters":{"retry_after":7}}"#;
        for (header, body, seconds) in [
            (Some("120"), "", Some(120.0)),
            (Some(" 0 "), "", Some(0.0)),
            (Some("1.25"), "", Some(1.25)),
            (Some(date), "", Some(37.0)),
            (Some("Sun, 06 Nov 1994 08:00:00 GMT"), "", Some(0.0)),
            (Some("soon"), "", None),
            (Some("-1"), "", None),
            (Some("1e999"), "", None),
            (Some("1e300"), "", None),
            (None, telegram, Some(7.0)),
            (Some("2"), telegram, Some(2.0)),
            (None, "{}", None),
        ] {
            let retry = judge(&answer(429, header, body), 784_111_740).unwrap_err();
            let SendFailure::Retry { after, .. } = retry else { panic!("{retry:?}") };
            assert_eq!(after.map(|after| after.as_secs_f64()), seconds, "{header:?} {body}");
        }
    }

    #[test]
    fn what_is_shown_of_an_answer_is_one_short_line() {
        let long = format!("a\r\n\u{1b}[31mb {}", "ö".repeat(500));
        let refused = judge(&answer(400, None, &long), 0).unwrap_err().to_string();
        assert!(refused.starts_with("the answer is 400: a [31mb ö") && refused.ends_with("ö…"), "{refused}");
        assert!(refused.chars().count() < 230 && !refused.contains(char::is_control), "{refused}");
    }
}
