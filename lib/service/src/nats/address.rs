//! The broker's addresses, as an operator gives them.

use async_nats::ServerAddr;

use crate::cli::UsageError;

/// Several addresses, separated by commas.
///
/// # Errors
///
/// When one of them is not `nats://HOST[:PORT]` or `tls://HOST[:PORT]`, where `nats://` may be left out. The
/// client would take others without a word, and speak to them in clear text.
pub fn addresses(flag: &str, text: &str) -> Result<Vec<ServerAddr>, UsageError> {
    let given: Vec<&str> = text.split(',').map(str::trim).filter(|address| !address.is_empty()).collect();
    if given.is_empty() {
        return Err(UsageError(format!("{flag}: no address")));
    }
    let wrong = |shown: &str, problem: &str| UsageError(format!("{flag} {shown}: {problem}"));
    given
        .into_iter()
        .map(|text| address(text).map_err(|problem| wrong(&without_secret(text), &problem)))
        .collect()
}

fn address(text: &str) -> Result<ServerAddr, String> {
    let scheme = text.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
    match scheme.as_deref() {
        Some("nats" | "tls") => {}
        Some("ws" | "wss") => {
            return Err("the broker is not reached by WebSocket: write tls://HOST:4222".to_owned());
        }
        None if !text.contains('/') => {}
        _ => return Err("not of the form nats://HOST:4222 or tls://HOST:4222".to_owned()),
    }
    let host = text.split_once("://").map_or(text, |(_, host)| host);
    // As a URL, a number would be an address: 4222 is 0.0.16.126.
    if host.starts_with(':') || (!host.is_empty() && host.bytes().all(|byte| byte.is_ascii_digit())) {
        return Err(format!("it names no host: write nats://HOST:{}", host.trim_start_matches(':')));
    }
    let address: ServerAddr = text.parse().map_err(|error: std::io::Error| error.to_string())?;
    if address.host().is_empty() { Err("it names no host".to_owned()) } else { Ok(address) }
}

/// The address without a user's name and password.
fn without_secret(text: &str) -> String {
    let (scheme, rest) = text.split_once("://").map_or(("", text), |(scheme, rest)| (scheme, rest));
    match rest.rsplit_once('@') {
        Some((_, host)) if scheme.is_empty() => host.to_owned(),
        Some((_, host)) => format!("{scheme}://{host}"),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_nats_are_taken() {
        for (text, count) in [
            ("nats://b:4222", 1),
            ("tls://b", 1),
            ("TLS://b:1", 1),
            ("b", 1),
            ("127.0.0.1:4222", 1),
            ("[::1]:1", 1),
            ("tls://u:p@b, nats://c/ ,", 2),
        ] {
            assert_eq!(addresses("--nats-url", text).unwrap().len(), count, "{text}");
        }
    }

    #[test]
    fn what_would_be_spoken_to_in_clear_text_is_refused_without_its_secrets() {
        let refusal = |text: &str| addresses("--nats-url", text).unwrap_err().to_string();
        for scheme in ["ws", "wss", "WSS"] {
            let words = refusal(&format!("nats://a,{scheme}://user:secret@b:443"));
            let begin = format!("--nats-url {scheme}://b:443: the broker is not reached by WebSocket");
            assert!(words.starts_with(&begin), "{words}");
        }
        for text in ["http://b", "https://b", "redis://b", "nats//b", "b/c", "://b"] {
            assert!(
                refusal(text).starts_with(&format!("--nats-url {text}: not of the form nats://")),
                "{text}"
            );
        }
        for (text, words) in [
            ("", "--nats-url: no address"),
            (" , ", "--nats-url: no address"),
            ("nats://", "--nats-url nats://: it names no host"),
            ("4222", "--nats-url 4222: it names no host: write nats://HOST:4222"),
            (":4222", "--nats-url :4222: it names no host: write nats://HOST:4222"),
            ("tls://:4222", "--nats-url tls://:4222: it names no host: write nats://HOST:4222"),
            ("b:99999", "--nats-url b:99999: NATS server URL is invalid: invalid port number"),
        ] {
            assert_eq!(refusal(text), words);
        }
    }
}
