//! Requests to the other database.

use std::{path::PathBuf, sync::Arc, time::Duration};

use data_encoding::BASE64;
use tidemap_service::text_file;
use ureq::{
    Agent, Body,
    http::{Response, header},
    tls::{Certificate, RootCerts, TlsConfig},
};
use url::Url;

/// An answer to a question is read up to here: 20,000 steps of nine columns take 10 MB.
const MOST_BYTES: u64 = 64 << 20;

/// A file with what requests are signed with.
#[derive(Clone, Debug)]
pub(crate) enum Key {
    /// A token.
    Token(PathBuf),
    /// A name and a password.
    Password(PathBuf),
}

impl Key {
    /// The option that names the file.
    pub(super) fn flag(&self) -> &'static str {
        match self {
            Self::Token(_) => "--remote-token-file",
            Self::Password(_) => "--remote-password-file",
        }
    }

    /// The value of the header `authorization`. The file is read each time, so that what is in it may change.
    pub(super) fn header(&self) -> Result<String, String> {
        let (Self::Token(file) | Self::Password(file)) = self;
        let wrong = |problem: &str| format!("{} {}: {problem}", self.flag(), file.display());
        let text = text_file::read(file).map_err(|error| wrong(&error.to_string()))?;
        let secret = text.trim_end_matches(['\r', '\n']);
        if secret.is_empty() || secret.contains(char::is_control) {
            return Err(wrong("it must hold one line"));
        }
        match self {
            Self::Token(_) if secret.bytes().all(|byte| byte.is_ascii_graphic()) => {
                Ok(format!("Bearer {secret}"))
            }
            Self::Token(_) => Err(wrong("a token has no blanks, and letters of ASCII only")),
            Self::Password(_) if secret.contains(':') => {
                Ok(format!("Basic {}", BASE64.encode(secret.as_bytes())))
            }
            Self::Password(_) => Err(wrong("it must be NAME:PASSWORD")),
        }
    }
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub status: u16,
    /// The header `retry-after`.
    pub retry_after: Option<String>,
    pub body: String,
}

/// A client. One connection is kept open.
#[derive(Clone, Debug)]
pub(crate) struct Http {
    agent: Agent,
    key: Option<Key>,
}

impl Http {
    /// Trusts the certificates that this system trusts. Goes there directly, and follows no redirections, so
    /// that what requests are signed with goes nowhere else.
    pub(crate) fn new(key: Option<Key>) -> Self {
        let known = rustls_native_certs::load_native_certs();
        let known: Vec<_> = known.certs.iter().map(|known| Certificate::from_der(known).to_owned()).collect();
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
        Self { agent: config.into(), key }
    }

    /// Sends a body.
    pub(crate) fn post(
        &self,
        url: &Url,
        headers: &[(&str, &str)],
        body: &[u8],
        limit: Duration,
    ) -> Result<Answer, String> {
        let mut request = self.agent.post(url.as_str());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(key) = &self.key {
            request = request.header(header::AUTHORIZATION, key.header()?);
        }
        let answer = request.config().timeout_global(Some(limit)).build().send(body);
        answer.and_then(read).map_err(|error| error.to_string())
    }
}

fn read(mut answer: Response<Body>) -> Result<Answer, ureq::Error> {
    let retry_after = answer.headers().get(header::RETRY_AFTER).and_then(|value| value.to_str().ok());
    Ok(Answer {
        status: answer.status().as_u16(),
        retry_after: retry_after.map(str::to_owned),
        body: answer.body_mut().with_config().limit(MOST_BYTES).lossy_utf8(true).read_to_string()?,
    })
}
