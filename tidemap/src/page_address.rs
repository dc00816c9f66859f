//! The addresses at which a browser finds the page.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use crate::listen::all_outgoing;

/// What `up` prints once the page is there. `answers` says whether the API answers by a name.
pub(crate) fn report(listen: SocketAddr, answers: impl Fn(&str) -> bool) -> String {
    let mut text = format!("Tidemap is up: {}  (Ctrl-C stops it)", here(listen));
    let name = tidemap_agent::host_name().filter(|name| answers(name));
    let others = elsewhere(listen, name, all_outgoing(listen.ip()));
    if !others.is_empty() {
        text += &format!("\nFrom other hosts: {}", others.join("  "));
    }
    text
}

/// The address for a browser on this host.
pub(crate) fn here(listen: SocketAddr) -> String {
    let ip = if listen.ip().is_unspecified() { Ipv4Addr::LOCALHOST.into() } else { listen.ip() };
    format!("http://{}", SocketAddr::new(ip, listen.port()))
}

/// Those for other hosts, where all addresses of this one are listened at.
fn elsewhere(
    listen: SocketAddr,
    name: Option<String>,
    addresses: impl Iterator<Item = IpAddr>,
) -> Vec<String> {
    if !listen.ip().is_unspecified() {
        return Vec::new();
    }
    let of_dns =
        |name: &String| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(&byte));
    let name = name.filter(|name| !name.is_empty() && name != "localhost").filter(of_dns);
    let addresses = addresses.filter(|ip| !ip.is_loopback()).map(|ip| SocketAddr::new(ip, listen.port()));
    let name = name.map(|name| format!("http://{name}:{}", listen.port()));
    addresses.map(|address| format!("http://{address}")).chain(name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_means_all_is_printed_as_those_that_a_browser_can_open() {
        let any: SocketAddr = "0.0.0.0:8080".parse().unwrap();
        assert_eq!(here(any), "http://127.0.0.1:8080");
        assert_eq!(here("[::]:80".parse().unwrap()), "http://127.0.0.1:80");
        assert_eq!(here("192.0.2.7:80".parse().unwrap()), "http://192.0.2.7:80");
        let found: [IpAddr; 2] = ["192.0.2.7".parse().unwrap(), "2001:db8::7".parse().unwrap()];
        let found_at = |listen, name: &str| elsewhere(listen, Some(name.to_owned()), found.into_iter());
        let addresses = ["http://192.0.2.7:8080", "http://[2001:db8::7]:8080"];
        assert_eq!(found_at(any, "web-01"), [&addresses[..], &["http://web-01:8080"]].concat());
        assert_eq!(found_at(any, "Büro 1"), addresses);
        assert!(found_at("192.0.2.7:80".parse().unwrap(), "web-01").is_empty());
        assert!(found_at("127.0.0.1:80".parse().unwrap(), "web-01").is_empty());
    }
}
