//! The signature of a webhook: HMAC-SHA256 of `TIMESTAMP.BODY`, in hexadecimal.

use data_encoding::HEXLOWER;
use ring::hmac;

/// The headers that say when a body was sent, and prove who has sent it.
pub(super) fn headers(secret: &str, now_ms: i64, body: &str) -> [(String, String); 2] {
    let timestamp = now_ms.div_euclid(1_000);
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let tag = hmac::sign(&key, format!("{timestamp}.{body}").as_bytes());
    [
        ("x-tidemap-timestamp".to_owned(), timestamp.to_string()),
        ("x-tidemap-signature".to_owned(), format!("sha256={}", HEXLOWER.encode(tag.as_ref()))),
    ]
}
