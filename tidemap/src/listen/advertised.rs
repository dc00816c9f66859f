//! The name or address under which nodes reach this host's broker.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    str::FromStr,
};

use async_nats::rustls::pki_types::ServerName;
use url::Host;

/// Addresses that are in no network (documentation): a socket that is connected to one sends nothing, but
/// has the address with which this host reaches other hosts.
const ELSEWHERE: [(IpAddr, IpAddr); 2] = [
    (IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1))),
    (IpAddr::V6(Ipv6Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1))),
];

/// A host that can be in a URL and in a certificate, and the port where it is not the broker's own, as behind
/// a router that forwards one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Advertised {
    /// A DNS name in ASCII, or an IP address without brackets.
    host: String,
    port: Option<u16>,
}

impl Advertised {
    /// This host's name if it is one for DNS; else the address at which it listens, or that with which it
    /// reaches other hosts.
    pub(super) fn this_host(name: Option<String>, listen: IpAddr) -> Self {
        if let Some(Ok(known)) = name.as_deref().map(host) {
            return Self { host: known, port: None };
        }
        let address = if listen.is_unspecified() { outgoing(listen) } else { Some(listen) };
        let host = address.map_or_else(|| "localhost".to_owned(), |ip| ip.to_string());
        let name = name.unwrap_or_default();
        tracing::warn!(
            "this host's name {name:?} is no DNS name, so nodes reach it as {host}: choose with --advertise"
        );
        Self { host, port: None }
    }

    /// The host alone, as a certificate has it.
    pub(super) fn host(&self) -> &str {
        &self.host
    }

    /// The same without this port, which is the broker's own.
    pub(super) fn without_port(self, own: u16) -> Self {
        Self { port: self.port.filter(|port| *port != own), ..self }
    }

    /// The broker's URL for nodes, where `port` is its own.
    pub(super) fn url(&self, port: u16) -> String {
        tls_url(&self.host, self.port(port))
    }

    /// The port at which nodes look for it, likewise.
    pub(super) fn port(&self, own: u16) -> u16 {
        self.port.unwrap_or(own)
    }

    /// The same with its port, as in a URL.
    pub(super) fn with_port(&self, own: u16) -> Self {
        Self { port: Some(self.port(own)), ..self.clone() }
    }
}

/// As it is written after `--advertise`.
impl fmt::Display for Advertised {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.port, self.host.contains(':')) {
            (None, _) => f.write_str(&self.host),
            (Some(port), true) => write!(f, "[{}]:{port}", self.host),
            (Some(port), false) => write!(f, "{}:{port}", self.host),
        }
    }
}

/// The URL of a host's broker.
pub(super) fn tls_url(host: &str, port: u16) -> String {
    match host.parse::<IpAddr>() {
        Ok(ip) => format!("tls://{}", SocketAddr::new(ip, port)),
        Err(_) => format!("tls://{host}:{port}"),
    }
}

impl FromStr for Advertised {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if text.contains("://") {
            return Err("a host and perhaps a port, without a scheme, such as broker.example:4222".to_owned());
        }
        let (host_text, port) = split(text)?;
        Ok(Self { host: host(host_text)?, port })
    }
}

/// A host without brackets, and its port.
fn split(text: &str) -> Result<(&str, Option<u16>), String> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (ip, rest) = rest.split_once(']').ok_or("a bracket is missing, as in [2001:db8::7]:4222")?;
            ip.parse::<Ipv6Addr>().map_err(|_| no_address(ip))?;
            match rest.strip_prefix(':') {
                Some(port) => (ip, Some(port)),
                None if rest.is_empty() => (ip, None),
                None => return Err("only a port may follow the brackets".to_owned()),
            }
        }
        // More than one colon: an IPv6 address without brackets.
        None => match text.split_once(':') {
            Some((host, port)) if !port.contains(':') => (host, Some(port)),
            _ => (text, None),
        },
    };
    let number = |port: &str| match port.parse::<u16>() {
        Ok(number) if number > 0 => Ok(number),
        _ => Err(format!("{port:?} is no port")),
    };
    Ok((host, port.map(number).transpose()?))
}

/// The host as a certificate and a URL have it.
fn host(text: &str) -> Result<String, String> {
    if text.contains(':') {
        let ip = text.parse::<Ipv6Addr>().map_err(|_| no_address(text))?;
        return reachable(ip.into());
    }
    if text.is_empty() {
        return Err("it names no host".to_owned());
    }
    let name = match Host::parse(text).map_err(|_| no_name(text))? {
        Host::Domain(name) => name.trim_end_matches('.').to_owned(),
        // A URL may have 127.1 or 0x7f000001 for an address; a certificate may not.
        Host::Ipv4(ip) if text == ip.to_string() => return reachable(ip.into()),
        Host::Ipv4(_) | Host::Ipv6(_) => return Err(no_name(text)),
    };
    ServerName::try_from(name.as_str()).map(|_| name.clone()).map_err(|_| no_name(text))
}

fn reachable(ip: IpAddr) -> Result<String, String> {
    if ip.is_unspecified() {
        return Err("nodes cannot reach this address: name one of this host's".to_owned());
    }
    Ok(ip.to_string())
}

fn no_address(text: &str) -> String {
    match text.split_once('%') {
        Some((_, zone)) => format!("an address with a zone (%{zone}) has a meaning on one host only"),
        None => format!("{text} is neither a DNS name nor an address"),
    }
}

fn no_name(text: &str) -> String {
    format!("{text:?} is neither a DNS name nor an address, such as broker.example or 192.0.2.7")
}

/// The address with which this host reaches others; nothing is sent. `[::]` is reached by IPv4, too.
fn outgoing(listen: IpAddr) -> Option<IpAddr> {
    all_outgoing(listen).next()
}

/// The same of IPv4 and of IPv6, as far as what listens there is reached by them.
pub(crate) fn all_outgoing(listen: IpAddr) -> impl Iterator<Item = IpAddr> {
    let usable = move |(any, _): &&(IpAddr, IpAddr)| listen.is_ipv6() || any.is_ipv4();
    ELSEWHERE.iter().filter(usable).filter_map(|(any, other)| {
        let socket = UdpSocket::bind((*any, 0)).ok()?;
        socket.connect((*other, 9)).ok()?;
        let ip = socket.local_addr().ok()?.ip();
        (!ip.is_unspecified()).then_some(ip)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_or_an_address_and_perhaps_a_port_make_a_url() {
        for (text, host, url) in [
            ("host.example", "host.example", "tls://host.example:4222"),
            (" Host.example. ", "host.example", "tls://host.example:4222"),
            ("host.example:24334", "host.example", "tls://host.example:24334"),
            ("web_01", "web_01", "tls://web_01:4222"),
            ("Zürich.example", "xn--zrich-kva.example", "tls://xn--zrich-kva.example:4222"),
            ("192.0.2.7", "192.0.2.7", "tls://192.0.2.7:4222"),
            ("192.0.2.7:1", "192.0.2.7", "tls://192.0.2.7:1"),
            ("fd00::2", "fd00::2", "tls://[fd00::2]:4222"),
            ("[fd00::2]", "fd00::2", "tls://[fd00::2]:4222"),
            ("[FD00:0::2]:24334", "fd00::2", "tls://[fd00::2]:24334"),
        ] {
            let advertised: Advertised = text.parse().unwrap();
            assert_eq!((advertised.host(), advertised.url(4222).as_str()), (host, url), "{text}");
            tidemap_service::nats::addresses("--nats-url", url).unwrap();
            assert_eq!(advertised.to_string().parse::<Advertised>().unwrap(), advertised, "{text}");
        }
    }

    #[test]
    fn what_nodes_could_not_reach_is_refused() {
        for (text, why) in [
            ("", "it names no host"),
            (":4222", "it names no host"),
            ("tls://a.example", "without a scheme"),
            ("a b", "neither a DNS name"),
            ("a/b", "neither a DNS name"),
            ("u@a", "neither a DNS name"),
            ("*.example", "neither a DNS name"),
            ("a..b", "neither a DNS name"),
            ("127.1", "neither a DNS name"),
            ("1234", "neither a DNS name"),
            ("a:b:c", "neither a DNS name"),
            ("fe80::fc:ff:fe00:1%eth0", "a zone (%eth0)"),
            ("[fe80::1%eth0]:1", "a zone (%eth0)"),
            ("[fd00::2", "bracket is missing"),
            ("[fd00::2]x", "only a port"),
            ("[a.example]:1", "neither a DNS name"),
            ("a.example:0", "no port"),
            ("a.example:", "no port"),
            ("a.example:65536", "no port"),
            ("0.0.0.0", "cannot reach"),
            ("[::]:1", "cannot reach"),
        ] {
            let refused = text.parse::<Advertised>().unwrap_err();
            assert!(refused.contains(why), "{text}: {refused}");
        }
    }

    #[test]
    fn a_host_whose_name_is_none_for_dns_is_known_by_an_address() {
        let here: IpAddr = [192, 0, 2, 7].into();
        let known = |name: Option<&str>, listen| Advertised::this_host(name.map(str::to_owned), listen);
        assert_eq!(known(Some("web-01"), here).host(), "web-01");
        for name in [None, Some("Wäb (none)"), Some("a b")] {
            assert_eq!(known(name, here).host(), "192.0.2.7", "{name:?}");
            let any = known(name, Ipv4Addr::UNSPECIFIED.into());
            assert!(any.host() == "localhost" || any.host().parse::<Ipv4Addr>().is_ok(), "{any:?}");
        }
    }
}
