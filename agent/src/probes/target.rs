//! What is probed, as the operator writes it.

use tidemap_wire::bounds;

/// A host, and how it is probed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// As the operator wrote it.
    pub(crate) text: String,
    pub(super) method: Method,
    /// A name or an address, without brackets.
    pub(super) host: String,
}

/// How a host is probed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    /// An echo request.
    Icmp,
    /// A connection to this port, closed at once.
    Tcp(u16),
}

impl Target {
    /// Reads `icmp://host` or `tcp://host:port`. An IPv6 address may be in brackets; before a port it must.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        const FORM: &str = "not of the form icmp://host or tcp://host:port";
        let text = text.trim();
        let (host, method) = match text.split_once("://").ok_or(FORM)? {
            ("icmp", host) => (host, Method::Icmp),
            ("tcp", address) => {
                let (host, port) = address.rsplit_once(':').ok_or("a tcp probe needs a port")?;
                let port = port.parse().ok().filter(|port| *port > 0).ok_or("the port is not 1 to 65535")?;
                (host, Method::Tcp(port))
            }
            _ => return Err(FORM.to_owned()),
        };
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let is_address = bare.parse::<std::net::Ipv6Addr>().is_ok();
        let is_name =
            !bare.is_empty() && bare.chars().all(|c| c.is_alphanumeric() || matches!(c, '.' | '-' | '_'));
        let has_brackets = bare.len() < host.len();
        let needs_brackets = method != Method::Icmp;
        if !(is_name && !has_brackets || is_address && (has_brackets || !needs_brackets)) {
            return Err("its host is neither a name nor an address; IPv6 is written in brackets".to_owned());
        }
        if text.len() > bounds::PROBE_TARGET_BYTES {
            return Err(format!("longer than {} bytes", bounds::PROBE_TARGET_BYTES));
        }
        Ok(Self { text: text.to_owned(), method, host: bare.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_a_method_and_a_host() {
        for (text, method, host) in [
            ("icmp://fra-1.example.com", Method::Icmp, "fra-1.example.com"),
            (" icmp://192.0.2.7 ", Method::Icmp, "192.0.2.7"),
            ("icmp://[2001:db8::7]", Method::Icmp, "2001:db8::7"),
            ("icmp://2001:db8::7", Method::Icmp, "2001:db8::7"),
            ("tcp://db_1:5432", Method::Tcp(5432), "db_1"),
            ("tcp://[::1]:443", Method::Tcp(443), "::1"),
        ] {
            let target = Target::parse(text).unwrap();
            assert_eq!((target.method, &*target.host, &*target.text), (method, host, text.trim()));
        }
    }

    #[test]
    fn anything_else_is_refused() {
        let long = format!("icmp://{}", "a".repeat(300));
        for text in [
            "",
            "host",
            "icmp://",
            "tcp://host",
            "tcp://host:0",
            "tcp://host:65536",
            "tcp://:80",
            "tcp://::1:443",
            "http://host",
            "icmp://a b",
            "icmp://user@host",
            "icmp://host/path",
            "icmp://[host]",
            "icmp://a:1",
            &long,
        ] {
            assert!(Target::parse(text).is_err(), "{text}");
        }
    }
}
