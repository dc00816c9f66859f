//! Requests to other programs by HTTP and HTTPS, one after the other on a thread that may block.
//!
//! A client trusts the certificates that this system trusts, goes there directly, and follows no
//! redirections, so that what requests are signed with goes nowhere else. Its own log of bytes is off at
//! every level ([`crate::logging`]), and so are addresses in its log, because some of them are secrets.

use std::{io::Read, sync::Arc, time::Duration};

use ureq::{
    Agent, Body, Error, RequestBuilder,
    http::{Response, header},
    tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem},
};

/// An answer.
#[derive(Clone, Debug, Default)]
pub struct WebAnswer {
    /// The status, such as 200.
    pub status: u16,
    /// The header `retry-after`.
    pub retry_after: Option<String>,
    /// The body, as text.
    pub body: String,
}

/// How long an exchange may take, and how much of an answer is read.
#[derive(Clone, Copy, Debug)]
pub struct ExchangeLimits {
    /// For a connection to be made.
    pub connect: Duration,
    /// For all of it.
    pub whole: Duration,
    /// The most bytes of an answer's body.
    pub body_bytes: u64,
    /// Whether what is beyond them is left out; otherwise such an answer is an error.
    pub cuts: bool,
}

/// A client. Connections are kept open. A clone has the same ones.
#[derive(Clone, Debug)]
pub struct WebClient(Agent);

impl WebClient {
    /// A client that names itself `tidemap/VERSION`.
    pub fn new() -> Self {
        let known = rustls_native_certs::load_native_certs();
        Self::with(known.certs.iter().map(|known| Certificate::from_der(known).to_owned()).collect())
    }

    /// A client that trusts these authorities (PEM) alone; `None` when there are none in the text.
    pub fn trusting(pem: &str) -> Option<Self> {
        let items = parse_pem(pem.as_bytes()).filter_map(Result::ok);
        let known: Vec<_> = items
            .filter_map(|item| match item {
                PemItem::Certificate(certificate) => Some(certificate),
                _ => None,
            })
            .collect();
        (!known.is_empty()).then(|| Self::with(known))
    }

    fn with(known: Vec<Certificate<'static>>) -> Self {
        let tls = TlsConfig::builder()
            .root_certs(RootCerts::Specific(Arc::new(known)))
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .build();
        let config = Agent::config_builder()
            .tls_config(tls)
            .proxy(None)
            .max_redirects(0)
            .http_status_as_error(false)
            .user_agent(concat!("tidemap/", env!("CARGO_PKG_VERSION")))
            .build();
        Self(config.into())
    }

    /// Gets what is at an address.
    ///
    /// # Errors
    ///
    /// When no answer comes; says why without the address.
    pub fn get(
        &self,
        url: &str,
        headers: &[(&str, &str)],
        limits: ExchangeLimits,
    ) -> Result<WebAnswer, String> {
        let request = with(self.0.get(url), headers, limits);
        request.call().and_then(|answer| read(answer, limits)).map_err(|error| why(&error))
    }

    /// Sends a body.
    ///
    /// # Errors
    ///
    /// When no answer comes; says why without the address.
    pub fn post(
        &self,
        url: &str,
        headers: &[(&str, &str)],
        body: &[u8],
        limits: ExchangeLimits,
    ) -> Result<WebAnswer, String> {
        let request = with(self.0.post(url), headers, limits);
        request.send(body).and_then(|answer| read(answer, limits)).map_err(|error| why(&error))
    }
}

impl Default for WebClient {
    fn default() -> Self {
        Self::new()
    }
}

fn with<B>(
    mut request: RequestBuilder<B>,
    headers: &[(&str, &str)],
    limits: ExchangeLimits,
) -> RequestBuilder<B> {
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let ExchangeLimits { connect, whole, .. } = limits;
    request.config().timeout_connect(Some(connect)).timeout_global(Some(whole)).build()
}

fn read(mut answer: Response<Body>, limits: ExchangeLimits) -> Result<WebAnswer, Error> {
    let retry_after = answer.headers().get(header::RETRY_AFTER).and_then(|value| value.to_str().ok());
    let retry_after = retry_after.map(str::to_owned);
    let status = answer.status().as_u16();
    let body = answer.body_mut();
    let body = if limits.cuts {
        let mut bytes = Vec::new();
        // The status is the answer. A body that breaks off only says less.
        drop(body.as_reader().take(limits.body_bytes).read_to_end(&mut bytes));
        String::from_utf8_lossy(&bytes).into_owned()
    } else {
        body.with_config().limit(limits.body_bytes).lossy_utf8(true).read_to_string()?
    };
    Ok(WebAnswer { status, retry_after, body })
}

/// Addresses and values of headers may be secrets.
fn why(error: &Error) -> String {
    match error {
        Error::BadUri(_) | Error::RequireHttpsOnly(_) => "the address is not one of HTTP".to_owned(),
        Error::Http(_) => "the address or a header has letters that HTTP does not allow".to_owned(),
        error => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_does_not_repeat_the_address() {
        let whole = Duration::from_secs(1);
        let limits = ExchangeLimits { connect: whole, whole, body_bytes: 1, cuts: true };
        let client = WebClient::new();
        for url in ["hunter2", "ftp://hunter2/x", "http://hunter2:hunter2/", "http://127.0.0.1:1/hunter2"] {
            let said = client.get(url, &[], limits).unwrap_err();
            assert!(!said.contains("hunter2"), "{url}: {said}");
        }
        let said = client.post("http://127.0.0.1:1/", &[("x", "hunter2\n")], b"", limits).unwrap_err();
        assert!(!said.contains("hunter2"), "{said}");
    }
}
