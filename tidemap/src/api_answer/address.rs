//! The way to an API: its address, with what it is trusted, and what it asks for.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use data_encoding::BASE64;
use tidemap_service::{cli::UsageError, text_file};
use ureq::{
    Agent,
    tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem},
};
use url::Url;

use crate::api_endpoint;

/// Where an API is unless something else is known.
const DEFAULT_URL: &str = "http://127.0.0.1:8080";

/// Where the API is, and how it lets us in.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct ApiAddressArgs {
    /// The API's address, of https:// as well as of http://; port 8080 of this host unless given, or that of
    /// the data folder's API.
    #[arg(long, visible_alias = "api", env = "TIDEMAP_API_URL", value_name = "URL")]
    url: Option<String>,
    /// The file with the API's token, which it asks for beyond loopback.
    #[arg(long, env = "TIDEMAP_API_TOKEN_FILE", value_name = "FILE")]
    api_token_file: Option<PathBuf>,
    /// The file with the name and the password that a proxy before the API asks for, as NAME:PASSWORD. A
    /// token then goes by a header of its own.
    #[arg(long, env = "TIDEMAP_API_PASSWORD_FILE", value_name = "FILE")]
    api_password_file: Option<PathBuf>,
    /// Certificate authority of the API's certificate (PEM); those that this system trusts, unless given.
    #[arg(long, env = "TIDEMAP_API_CA", value_name = "FILE")]
    api_ca: Option<PathBuf>,
}

impl ApiAddressArgs {
    /// The API that `tidemap up` runs with this folder, with its token, unless others are given.
    pub(crate) fn at(mut self, dir: &Path) -> Self {
        self.url = self.url.or_else(|| api_endpoint::here(dir));
        self.api_token_file = self.api_token_file.or_else(|| api_endpoint::token_file(dir));
        self
    }

    /// The address as it is given.
    pub(crate) fn address(&self) -> &str {
        self.url.as_deref().unwrap_or(DEFAULT_URL)
    }

    /// The checked address.
    pub(super) fn url(&self) -> Result<Url, UsageError> {
        let wrong = |problem: &str| UsageError(format!("--url {}: {problem}", self.address()));
        let url = Url::parse(self.address()).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        let url = url.ok_or_else(|| wrong("must begin with http:// or https://"))?;
        if !url.username().is_empty() || url.password().is_some() {
            // Not repeated: others may see what is printed.
            let problem = "--url: name and password belong into --api-password-file";
            return Err(UsageError(problem.to_owned()));
        }
        Ok(url)
    }

    /// The headers that let us in. Without a proxy's password, a token goes by the one that APIs of every
    /// version read.
    pub(super) fn keys(&self) -> Result<Vec<(&'static str, String)>, UsageError> {
        Ok(match (self.password()?, self.token()?) {
            (None, None) => Vec::new(),
            (None, Some(token)) => vec![("authorization", format!("Bearer {token}"))],
            (Some(password), token) => {
                let ours = token.map(|token| ("x-tidemap-token", token));
                [("authorization", password)].into_iter().chain(ours).collect()
            }
        })
    }

    fn token(&self) -> Result<Option<String>, UsageError> {
        let Some(path) = &self.api_token_file else { return Ok(None) };
        let token = text_file::read(path);
        let token = token.map_err(|error| UsageError::in_file("--api-token-file", path, error))?;
        Ok(Some(token.trim_end().to_owned()))
    }

    fn password(&self) -> Result<Option<String>, UsageError> {
        let Some(path) = &self.api_password_file else { return Ok(None) };
        let wrong =
            |problem: &dyn std::fmt::Display| UsageError::in_file("--api-password-file", path, problem);
        let text = text_file::read(path).map_err(|error| wrong(&error))?;
        let secret = text.trim_end_matches(['\r', '\n']);
        if !secret.contains(':') || secret.contains(char::is_control) {
            return Err(wrong(&"it must hold one line, NAME:PASSWORD"));
        }
        Ok(Some(format!("Basic {}", BASE64.encode(secret.as_bytes()))))
    }

    /// A client. It follows no redirections, so that a token or a password goes nowhere else.
    pub(super) fn agent(&self, timeout: Duration) -> Result<Agent, UsageError> {
        let tls = TlsConfig::builder()
            .root_certs(RootCerts::Specific(Arc::new(self.authorities()?)))
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .build();
        let config = Agent::config_builder()
            .tls_config(tls)
            .max_redirects(0)
            .timeout_global(Some(timeout))
            .http_status_as_error(false);
        Ok(config.build().into())
    }

    fn authorities(&self) -> Result<Vec<Certificate<'static>>, UsageError> {
        let Some(path) = &self.api_ca else {
            let known = rustls_native_certs::load_native_certs().certs;
            return Ok(known.iter().map(|known| Certificate::from_der(known).to_owned()).collect());
        };
        let wrong = |problem: &dyn std::fmt::Display| UsageError::in_file("--api-ca", path, problem);
        let text = text_file::read(path).map_err(|error| wrong(&error))?;
        let items = parse_pem(text.as_bytes()).filter_map(Result::ok);
        let known: Vec<_> = items
            .filter_map(|item| match item {
                PemItem::Certificate(certificate) => Some(certificate),
                _ => None,
            })
            .collect();
        if known.is_empty() { Err(wrong(&"it holds no certificate (PEM)")) } else { Ok(known) }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn api(url: &str) -> ApiAddressArgs {
        ApiAddressArgs {
            url: Some(url.to_owned()),
            api_token_file: None,
            api_password_file: None,
            api_ca: None,
        }
    }

    #[test]
    fn an_address_may_be_of_https_and_below_a_prefix_and_holds_no_password() {
        for url in ["http://127.0.0.1:8080", "https://tidemap.example/fleet/", "https://[::1]:8443"] {
            api(url).url().unwrap();
            api(url).agent(Duration::from_secs(1)).unwrap();
        }
        for url in ["tidemap.example", "ftp://tidemap.example", "", "127.0.0.1:8080"] {
            let said = api(url).url().unwrap_err().to_string();
            assert_eq!(said, format!("--url {url}: must begin with http:// or https://"));
        }
        let said = api("https://me:hidden@tidemap.example").url().unwrap_err().to_string();
        assert_eq!(said, "--url: name and password belong into --api-password-file");
    }

    #[test]
    fn a_token_leaves_the_usual_header_to_a_proxys_password() {
        let file = |text: &str| {
            let mut file = tempfile::NamedTempFile::new().unwrap();
            file.write_all(text.as_bytes()).unwrap();
            file
        };
        let (token, password) = (file("a-secret-of-tests\n"), file("me:it\n"));
        let with = |token: Option<PathBuf>, password| {
            let api =
                ApiAddressArgs { api_token_file: token, api_password_file: password, ..api("https://a") };
            api.keys().unwrap()
        };
        let (token, password) = (Some(token.path().to_owned()), Some(password.path().to_owned()));
        let bearer = ("authorization", "Bearer a-secret-of-tests".to_owned());
        assert_eq!(with(token.clone(), None), [bearer]);
        let basic = ("authorization", "Basic bWU6aXQ=".to_owned());
        assert_eq!(with(token, password), [basic, ("x-tidemap-token", "a-secret-of-tests".to_owned())]);
        assert_eq!(with(None, None), []);
    }

    #[test]
    fn a_proxys_password_is_one_line_of_a_file() {
        for (text, key) in [("me:it\n", Some("Basic bWU6aXQ=")), ("me\n", None), ("me:it\nmore\n", None)] {
            let mut file = tempfile::NamedTempFile::new().unwrap();
            file.write_all(text.as_bytes()).unwrap();
            let path = Some(file.path().to_owned());
            let api = ApiAddressArgs { api_password_file: path.clone(), api_ca: path, ..api("https://a") };
            let keys = api.keys().ok().unwrap_or_default();
            assert_eq!(keys.first().map(|(_, value)| value.as_str()), key, "{text}");
            assert!(api.agent(Duration::from_secs(1)).is_err(), "it is no certificate");
        }
    }
}
