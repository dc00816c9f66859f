//! The names under which the API answers, and the origins whose pages may read it.
//!
//! A page of any site can make its own name resolve to 127.0.0.1 (DNS rebinding), and then shares an origin
//! with an API on loopback. Such a request still carries the site's name as `Host`, so on loopback only known
//! names are answered. An IP address cannot be rebound.

use std::{collections::BTreeSet, fs, net::IpAddr};

use warp::http::{HeaderMap, HeaderName, HeaderValue, Request, header, uri::Authority};

/// Names by which containers reach their host's loopback. Nobody else can own them: `internal` is reserved.
const FROM_CONTAINERS: [&str; 2] = ["host.docker.internal", "host.containers.internal"];
/// Any origin, in `--allow-origin`.
const ANY: &str = "*";

/// The options about names and origins.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct NameArgs {
    /// A name under which the page is reached, as behind a reverse proxy; may be repeated. With a name, or on
    /// loopback, requests for other names are refused, except localhost, this host's own name and addresses.
    #[arg(long = "host", env = "TIDEMAP_HOSTS", value_delimiter = ',', value_name = "NAME", value_parser = host_name)]
    hosts: Vec<String>,
    /// An origin whose pages may read the API, such as `https://wiki.example`; `*` for all. May be repeated.
    #[arg(
        long = "allow-origin",
        env = "TIDEMAP_ALLOW_ORIGINS",
        value_delimiter = ',',
        value_name = "ORIGIN",
        value_parser = origin
    )]
    origins: Vec<String>,
}

/// The names and origins that requests are checked against.
#[derive(Clone, Debug, Default)]
pub(crate) struct Names {
    /// `None`: every name is answered.
    hosts: Option<BTreeSet<String>>,
    given: BTreeSet<String>,
    origins: BTreeSet<String>,
}

impl NameArgs {
    /// Beyond loopback names are checked only when some are given: other hosts reach the API by names that
    /// it cannot know, and there the token protects it.
    pub(crate) fn names(self, on_loopback: bool) -> Names {
        let given: BTreeSet<String> = self.hosts.into_iter().collect();
        let always = || ["localhost"].into_iter().chain(FROM_CONTAINERS).map(str::to_owned);
        let known = || given.iter().cloned().chain(own_name()).chain(always()).collect();
        let hosts = (on_loopback || !given.is_empty()).then(known);
        Names { hosts, given, origins: self.origins.into_iter().collect() }
    }
}

impl Names {
    /// The name that a request is for, if it is not one of the API's.
    pub(crate) fn unknown_host(&self, headers: &HeaderMap) -> Option<String> {
        let hosts = self.hosts.as_ref()?;
        // Browsers always send one. Of several, a proxy may have looked at any.
        headers.get_all(header::HOST).iter().find_map(|host| {
            let Some(name) = host.to_str().ok().and_then(name_of) else {
                return Some(String::from_utf8_lossy(host.as_bytes()).into_owned());
            };
            let is_address = name.trim_matches(['[', ']']).parse::<IpAddr>().is_ok();
            // No such name is ever delegated, and browsers take it for loopback.
            let is_local = name.ends_with(".localhost");
            (!is_address && !is_local && !hosts.contains(&name)).then_some(name)
        })
    }

    /// Whether a name is answered, such as one that is to be printed.
    pub(crate) fn answers(&self, name: &str) -> bool {
        self.hosts.as_ref().is_none_or(|hosts| hosts.contains(&name.to_ascii_lowercase()))
    }

    /// Whether a change is requested by a page of another origin. Other programs send no origin.
    pub(crate) fn is_foreign_change(&self, headers: &HeaderMap) -> bool {
        let Some(origin) = headers.get(header::ORIGIN) else { return false };
        // A proxy may pass on another `Host` than the page's; a browser says itself whose page asks.
        if headers.get("sec-fetch-site").is_some_and(|site| site == "same-origin") {
            return false;
        }
        let Ok(origin) = origin.to_str() else { return true };
        let Some((_, authority)) = origin.split_once("://") else { return true };
        let is_own = headers
            .get(header::HOST)
            .is_some_and(|host| host.as_bytes().eq_ignore_ascii_case(authority.as_bytes()));
        let is_given = name_of(authority).is_some_and(|name| self.given.contains(&name));
        !is_own && !is_given && !self.origins.contains(origin)
    }

    /// The headers by which a browser learns which other origin may read the answer to `request`.
    pub(crate) fn sharing(&self, request: &HeaderMap) -> Vec<(HeaderName, HeaderValue)> {
        let allow = |origin| (header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        if self.origins.contains(ANY) {
            return vec![allow(HeaderValue::from_static(ANY))];
        }
        let origin = request.get(header::ORIGIN);
        let allowed =
            origin.filter(|origin| origin.to_str().is_ok_and(|origin| self.origins.contains(origin)));
        // Caches must not give one origin's answer to another.
        let vary = || (header::VARY, HeaderValue::from_static("origin"));
        (!self.origins.is_empty()).then(vary).into_iter().chain(allowed.cloned().map(allow)).collect()
    }
}

/// A target that names a host (`GET http://name/path`) is for that host, whatever `Host` says.
pub(crate) fn take_host_from_target<B>(request: &mut Request<B>) {
    let host = request.uri().authority().and_then(|host| HeaderValue::from_str(host.as_str()).ok());
    if let Some(host) = host {
        request.headers_mut().insert(header::HOST, host);
    }
}

/// A host's name without its port, in lower case. Nothing else may be there, such as a user's name.
fn name_of(authority: &str) -> Option<String> {
    let authority: Authority = authority.parse().ok()?;
    let port = authority.as_str().strip_prefix(authority.host())?;
    let is_port = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    (port.is_empty() || port.strip_prefix(':').is_some_and(is_port))
        .then(|| authority.host().trim_end_matches('.').to_ascii_lowercase())
}

/// This host's own name.
fn own_name() -> Option<String> {
    name_of(fs::read_to_string("/proc/sys/kernel/hostname").ok()?.trim())
}

fn host_name(text: &str) -> Result<String, String> {
    if text.contains('*') {
        return Err(
            "there are no patterns here: give each name by itself, such as tidemap.example".to_owned()
        );
    }
    let name = name_of(text).filter(|name| !name.is_empty() && name.eq_ignore_ascii_case(text));
    name.ok_or_else(|| "a host's name without a port, such as tidemap.example".to_owned())
}

fn origin(text: &str) -> Result<String, String> {
    let (scheme, authority) = text.split_once("://").unwrap_or_default();
    let is_origin = ["http", "https"].contains(&scheme)
        && name_of(authority).is_some()
        && text == text.to_ascii_lowercase();
    let error =
        "an origin as browsers send it, such as https://wiki.example or http://wiki.example:8000, or *";
    (is_origin || text == ANY).then(|| text.to_owned()).ok_or_else(|| error.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(hosts: &[&str], origins: &[&str], on_loopback: bool) -> Names {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        NameArgs { hosts: texts(hosts), origins: texts(origins) }.names(on_loopback)
    }

    fn request(host: &str, origin: Option<&str>) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, host.parse().unwrap());
        headers.extend(origin.map(|origin| (header::ORIGIN, origin.parse().unwrap())));
        headers
    }

    #[test]
    fn a_name_that_was_made_to_point_here_is_refused() {
        let loopback = names(&[], &[], true);
        let own = own_name().unwrap_or_else(|| "localhost".to_owned());
        for known in [
            "localhost",
            "LOCALHOST:8080",
            "localhost.:1",
            "127.0.0.1:8080",
            "[::1]:8080",
            "192.0.2.7",
            "[2001:db8::7]",
            "tidemap.localhost:8080",
            &own,
        ] {
            assert_eq!(loopback.unknown_host(&request(known, None)), None, "{known}");
        }
        for foreign in [
            "evil.example:8080",
            "127.0.0.1.evil.example",
            "localhost.evil.example",
            "127.0.0.1@evil.example",
            "evil.example@127.0.0.1",
            "localhost:80@localhost",
            "[::1].evil.example",
            "localhost:80.evil.example",
            "evillocalhost",
            "",
        ] {
            assert!(loopback.unknown_host(&request(foreign, None)).is_some(), "{foreign}");
        }
        assert_eq!(loopback.unknown_host(&HeaderMap::new()), None, "HTTP/1.0");
    }

    #[test]
    fn beyond_loopback_names_are_checked_when_some_are_given() {
        let api = request("api:8080", None);
        assert_eq!(names(&[], &[], false).unknown_host(&api), None);
        let given = names(&["tidemap.example"], &[], false);
        assert_eq!(given.unknown_host(&api), Some("api".to_owned()));
        assert_eq!(given.unknown_host(&request("Tidemap.example:443", None)), None);
    }

    #[test]
    fn only_the_own_origin_and_those_allowed_may_change_something() {
        let names = names(&["tidemap.example"], &["https://wiki.example", "*"], true);
        for own in [
            None,
            Some("http://127.0.0.1:8080"),
            Some("https://tidemap.example"),
            Some("https://wiki.example"),
        ] {
            assert!(!names.is_foreign_change(&request("127.0.0.1:8080", own)), "{own:?}");
        }
        for foreign in ["null", "https://evil.example", "http://127.0.0.1:8081", "*"] {
            assert!(names.is_foreign_change(&request("127.0.0.1:8080", Some(foreign))), "{foreign}");
        }
        // The page itself, behind a proxy that passes on the name by which it reaches the API.
        let mut proxied = request("api:8080", Some("https://fleet.example"));
        proxied.insert("sec-fetch-site", HeaderValue::from_static("same-origin"));
        assert!(!names.is_foreign_change(&proxied));
        proxied.insert("sec-fetch-site", HeaderValue::from_static("cross-site"));
        assert!(names.is_foreign_change(&proxied));
    }

    #[test]
    fn an_answer_is_shared_with_allowed_origins() {
        let shared = |names: &Names, origin: &str| names.sharing(&request("localhost", Some(origin)));
        assert_eq!(shared(&names(&[], &[], true), "https://wiki.example"), []);
        let wiki = names(&[], &["https://wiki.example"], true);
        let vary = (header::VARY, HeaderValue::from_static("origin"));
        let allow = |origin| (header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static(origin));
        assert_eq!(shared(&wiki, "https://wiki.example"), [vary.clone(), allow("https://wiki.example")]);
        assert_eq!(shared(&wiki, "https://evil.example"), [vary]);
        assert_eq!(shared(&names(&[], &["*"], true), "https://evil.example"), [allow("*")]);
    }

    #[test]
    fn what_is_no_name_and_no_origin_is_refused() {
        for wrong in ["", "a:80", "http://a", "a/b", "a@b", "*", "*.example"] {
            assert!(host_name(wrong).is_err(), "{wrong}");
        }
        for wrong in ["", "wiki.example", "https://wiki.example/", "ftp://a", "https://A.example", "https://"]
        {
            assert!(origin(wrong).is_err(), "{wrong}");
        }
    }
}
