//! What a host needs to join: the script that installs an agent, the agents' programs, and their unit. None
//! of it is secret, so it is handed out without the token; an invite is what lets a host join.

use std::{collections::BTreeMap, fs, io, path::PathBuf, time::SystemTime};

use bytes::Bytes;
use sha2::{Digest, Sha256};
use tokio::sync::Mutex;
use warp::{
    http::{HeaderMap, HeaderValue, header},
    reply::Response,
};

use crate::http::{Asked, Site, errors::ApiError};

/// It stands in for the API's own address.
const PLACEHOLDER: &str = "@URL@";
const SCRIPT: &str = include_str!("../../../deploy/install.sh");
const UNIT: &str = include_str!("../../../deploy/systemd/tidemap-agent.service");
/// The processors for which there are agents.
const ARCHITECTURES: [&str; 2] = ["x86_64", "aarch64"];
/// No agent is larger.
const MAX_BYTES: u64 = 64 << 20;

/// The agents' programs in a folder. Each is read when it is first asked for, and kept.
#[derive(Debug)]
pub(super) struct AgentPrograms {
    folder: Option<PathBuf>,
    /// Locked while a file is read, so that a hundred hosts that join at once have it read once.
    kept: Mutex<BTreeMap<&'static str, Program>>,
}

#[derive(Clone, Debug)]
struct Program {
    /// Which file it was.
    stamp: (SystemTime, u64),
    bytes: Bytes,
    sha256: String,
}

impl AgentPrograms {
    pub(super) fn new(folder: Option<PathBuf>) -> Self {
        Self { folder, kept: Mutex::default() }
    }

    async fn get(&self, architecture: &'static str) -> Result<Program, ApiError> {
        let missing = || {
            ApiError::NotFound(format!(
                "agent for {architecture} here: put tidemap-agent-{architecture} into a folder and name it with --agents-dir"
            ))
        };
        let path = self.folder.as_ref().ok_or_else(missing)?.join(format!("tidemap-agent-{architecture}"));
        let mut kept = self.kept.lock().await;
        let before = kept.get(architecture).cloned();
        let read = tokio::task::spawn_blocking(move || {
            let found = fs::metadata(&path)?;
            let stamp = (found.modified()?, found.len());
            match before {
                Some(before) if before.stamp == stamp => Ok(before),
                _ if !found.is_file() || found.len() > MAX_BYTES => Err(io::ErrorKind::InvalidData.into()),
                _ => {
                    let bytes: Bytes = fs::read(&path)?.into();
                    let sha256 = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
                    io::Result::Ok(Program { stamp, bytes, sha256 })
                }
            }
        });
        let program = read.await.ok().and_then(Result::ok).ok_or_else(missing)?;
        kept.insert(architecture, program.clone());
        Ok(program)
    }
}

/// `GET /install.sh`
pub(super) fn script(asked: &Asked) -> Response {
    let url = own_url(&asked.headers).unwrap_or_else(|| PLACEHOLDER.to_owned());
    said(SCRIPT.replacen(PLACEHOLDER, &url, 1).into(), "text/x-shellscript; charset=utf-8")
}

/// `GET /agents/{file}`: `tidemap-agent-{architecture}`, the same with `.sha256`, `tidemap-agent.service`
pub(super) async fn agent(asked: &Asked, site: &Site, file: &str) -> Result<Response, ApiError> {
    asked.get()?;
    if file == "tidemap-agent.service" {
        return Ok(said(Bytes::from_static(UNIT.as_bytes()), "text/plain; charset=utf-8"));
    }
    let of = |architecture: &&&str| {
        let rest = file.strip_prefix("tidemap-agent-").and_then(|rest| rest.strip_prefix(**architecture));
        matches!(rest, Some("" | ".sha256"))
    };
    let architecture = ARCHITECTURES.iter().find(of).ok_or(ApiError::UnknownPath)?;
    let program = site.agents.get(architecture).await?;
    if file.ends_with(".sha256") {
        let line = format!("{}  tidemap-agent-{architecture}\n", program.sha256);
        return Ok(said(line.into(), "text/plain; charset=utf-8"));
    }
    Ok(said(program.bytes, "application/octet-stream"))
}

/// The file in `/agents/{file}`.
pub(super) fn file(path: &str) -> Option<&str> {
    path.strip_prefix("/agents/")
}

/// The address by which this request reached the API, as it says itself, or a proxy. It becomes part of a
/// script, so it holds nothing that a shell reads as more than a word.
fn own_url(headers: &HeaderMap) -> Option<String> {
    let first = |name: &str| headers.get(name)?.to_str().ok()?.split(',').next().map(str::trim);
    let is_made_of = |text: &str, signs: &str| {
        text.chars().all(|letter| letter.is_ascii_alphanumeric() || signs.contains(letter))
    };
    let scheme = first("x-forwarded-proto").unwrap_or("http");
    let host = first("x-forwarded-host").or_else(|| first("host"))?;
    let prefix = first("x-forwarded-prefix").unwrap_or_default().trim_end_matches('/');
    let fits = matches!(scheme, "http" | "https")
        && !host.is_empty()
        && is_made_of(host, ".-_:[]")
        && (prefix.is_empty() || prefix.starts_with('/'))
        && is_made_of(prefix, "/.-_~");
    fits.then(|| format!("{scheme}://{host}{prefix}"))
}

/// Never kept by caches: the script differs with the way to it, and a program with the version.
fn said(body: Bytes, content_type: &'static str) -> Response {
    let mut response = Response::new(body.into());
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(headers: &[(&'static str, &str)]) -> Option<String> {
        let pairs = headers.iter().map(|(name, value)| {
            (header::HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())
        });
        own_url(&pairs.collect())
    }

    #[test]
    fn the_address_is_that_of_the_request_also_behind_a_proxy() {
        let host = ("host", "api:8080");
        assert_eq!(url(&[host]).as_deref(), Some("http://api:8080"));
        assert_eq!(url(&[("host", "[2001:db8::7]:80")]).as_deref(), Some("http://[2001:db8::7]:80"));
        let proxied = [
            host,
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "a.example, b.example"),
            ("x-forwarded-prefix", "/fleet/"),
        ];
        assert_eq!(url(&proxied).as_deref(), Some("https://a.example/fleet"));
    }

    #[test]
    fn nothing_in_the_address_is_more_than_a_word_for_a_shell() {
        assert_eq!(url(&[]), None);
        for evil in ["a'b", "a b", "$(id)", "a;b", "a`b`", "a\"b", "a\\b", "a/b", "a@b", "a&b", "", "a\tb"] {
            assert_eq!(url(&[("host", evil)]), None, "{evil}");
        }
        for evil in ["x", "/a'b", "/$(id)", "//a b"] {
            assert_eq!(url(&[("host", "a"), ("x-forwarded-prefix", evil)]), None, "{evil}");
        }
        assert_eq!(url(&[("host", "a"), ("x-forwarded-proto", "javascript")]), None);
    }

    #[test]
    fn the_script_has_one_place_for_the_address() {
        assert_eq!(SCRIPT.matches(PLACEHOLDER).count(), 1);
    }
}
