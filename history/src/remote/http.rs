//! Requests to the other database.

use std::{path::PathBuf, time::Duration};

use data_encoding::BASE64;
use tidemap_service::{
    text_file,
    web_client::{ExchangeLimits, WebAnswer, WebClient},
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

/// A client. One connection is kept open.
#[derive(Clone, Debug)]
pub(crate) struct Http {
    client: WebClient,
    key: Option<Key>,
}

impl Http {
    /// A client that signs each request.
    pub(crate) fn new(key: Option<Key>) -> Self {
        Self { client: WebClient::new(), key }
    }

    /// Sends a body.
    pub(crate) fn post(
        &self,
        url: &Url,
        headers: &[(&str, &str)],
        body: &[u8],
        limit: Duration,
    ) -> Result<WebAnswer, String> {
        let signed = self.key.as_ref().map(Key::header).transpose()?;
        let mut headers = headers.to_vec();
        headers.extend(signed.as_ref().map(|signed| ("authorization", signed.as_str())));
        let limits = ExchangeLimits { connect: limit, whole: limit, body_bytes: MOST_BYTES, cuts: false };
        self.client.post(url.as_str(), &headers, body, limits)
    }
}
