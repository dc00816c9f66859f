//! Where a station listens, as an operator gives it.

use std::{
    io::{self, ErrorKind},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs},
    str::FromStr,
};

use crate::cli::UsageError;

/// A host's name or address and a port, such as `127.0.0.1:8080`, `[::1]:8080` or `localhost:8080`.
///
/// A port alone, as `8080` or `:8080`, means all IPv4 addresses of this host, as it does to nginx and Docker.
/// The port may be left out where there is a usual one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenAddress {
    /// A name, or an address without brackets.
    host: String,
    port: Option<u16>,
}

impl FromStr for ListenAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if let Some((scheme, rest)) = text.split_once("://") {
            let host = rest.split(['/', '?']).next().unwrap_or_default();
            return Err(format!("an address without a scheme ({scheme}://), such as {host}"));
        }
        let (host, port) = split(text)?;
        let is_known = |c: char| c.is_ascii_alphanumeric() || ".-_:%".contains(c);
        if !host.chars().all(is_known) {
            return Err(format!("{host:?} is no host: write HOST:PORT, such as 127.0.0.1:8080"));
        }
        let host = if host.is_empty() { Ipv4Addr::UNSPECIFIED.to_string() } else { host.to_owned() };
        Ok(Self { host, port: port.map(number).transpose()? })
    }
}

/// The host, empty for all addresses, and the port.
fn split(text: &str) -> Result<(&str, Option<&str>), String> {
    if let Some(rest) = text.strip_prefix('[') {
        let (ip, rest) = rest.split_once(']').ok_or("a bracket is missing, as in [::1]:8080")?;
        return match rest.strip_prefix(':') {
            Some(port) => Ok((ip, Some(port))),
            None if rest.is_empty() => Ok((ip, None)),
            None => Err("only a port may follow the brackets, as in [::1]:8080".to_owned()),
        };
    }
    match text.split_once(':') {
        Some(("*", port)) => Ok(("", Some(port))),
        Some((host, port)) if !port.contains(':') => Ok((host, Some(port))),
        Some(_) if text.parse::<Ipv6Addr>().is_ok() => Ok((text, None)),
        Some(_) => Err("an IPv6 address is in brackets before a port, as in [::1]:8080".to_owned()),
        None if text.is_empty() => Err("no address".to_owned()),
        None if text.bytes().all(|byte| byte.is_ascii_digit()) => Ok(("", Some(text))),
        None => Ok((if text == "*" { "" } else { text }, None)),
    }
}

fn number(port: &str) -> Result<u16, String> {
    let digits = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    let number = digits.then(|| port.parse().ok()).flatten();
    number.ok_or_else(|| format!("{port:?} is no port, which is a number up to 65535"))
}

impl ListenAddress {
    /// The address to bind, with the `usual` port where none was given. A name is looked up now; of several
    /// addresses the first of IPv4 is taken, as most programs do.
    ///
    /// # Errors
    ///
    /// When there is no port, or no address is known for the name. The error names `flag`.
    pub fn resolve(&self, flag: &str, usual: Option<u16>) -> Result<SocketAddr, UsageError> {
        let Self { host, port } = self;
        let port = port.or(usual).ok_or_else(|| {
            let with_port =
                if host.contains(':') { format!("[{host}]:9100") } else { format!("{host}:9100") };
            UsageError(format!("{flag} {host}: the port is missing, such as {with_port}"))
        })?;
        if let Ok(ip) = host.parse::<IpAddr>() {
            return Ok(SocketAddr::new(ip, port));
        }
        let unknown =
            |why: String| UsageError(format!("{flag} {host}: no address is known for this name{why}"));
        let known =
            (host.as_str(), port).to_socket_addrs().map_err(|error| unknown(format!(" ({error})")))?;
        let mut known: Vec<SocketAddr> = known.collect();
        known.sort_by_key(SocketAddr::is_ipv6);
        known.first().copied().ok_or_else(|| unknown(String::new()))
    }
}

/// Why `address`, which was given with `flag`, could not be bound, and what to do.
pub fn bind_failure(flag: &str, address: SocketAddr, error: &io::Error) -> UsageError {
    let what = match error.kind() {
        ErrorKind::AddrInUse => {
            return UsageError(format!("{address} is taken: choose another with {flag} ({error})"));
        }
        ErrorKind::AddrNotAvailable => {
            "this host has no such address: give one of its own, or 0.0.0.0 for all"
        }
        ErrorKind::PermissionDenied => "this user may not listen there: choose a port above 1023",
        _ => "cannot listen there",
    };
    UsageError(format!("{flag} {address}: {what} ({error})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(text: &str, usual: Option<u16>) -> Result<String, String> {
        let address: ListenAddress = text.parse()?;
        address.resolve("--http", usual).map(|address| address.to_string()).map_err(|error| error.to_string())
    }

    #[test]
    fn what_other_programs_take_is_taken() {
        for (text, address) in [
            ("127.0.0.1:9000", "127.0.0.1:9000"),
            (" 0.0.0.0:9000 ", "0.0.0.0:9000"),
            ("[::1]:9000", "[::1]:9000"),
            ("[::]:0", "[::]:0"),
            ("[fe80::1%1]:9000", "[fe80::1%1]:9000"),
            ("localhost:9000", "127.0.0.1:9000"),
            (":9000", "0.0.0.0:9000"),
            ("*:9000", "0.0.0.0:9000"),
            ("9000", "0.0.0.0:9000"),
            (":0", "0.0.0.0:0"),
            ("0.0.0.0", "0.0.0.0:8080"),
            ("*", "0.0.0.0:8080"),
            ("localhost", "127.0.0.1:8080"),
            ("fd00::2", "[fd00::2]:8080"),
            ("[fd00::2]", "[fd00::2]:8080"),
        ] {
            assert_eq!(resolved(text, Some(8080)).as_deref(), Ok(address), "{text}");
        }
    }

    #[test]
    fn what_means_nothing_is_refused_with_what_to_write() {
        for (text, words) in [
            ("", "no address"),
            ("http://x:8080/", "an address without a scheme (http://), such as x:8080"),
            ("[::1", "a bracket is missing"),
            ("[::1]8080", "only a port may follow the brackets"),
            ("a:b:c", "in brackets before a port"),
            ("127.0.0.1:", "\"\" is no port"),
            ("127.0.0.1:http", "\"http\" is no port"),
            ("127.0.0.1:+80", "\"+80\" is no port"),
            ("127.0.0.1:65536", "\"65536\" is no port"),
            ("70000", "\"70000\" is no port"),
            ("127.0.0.1:80/x", "is no port"),
            ("a b:80", "\"a b\" is no host"),
            ("u@h:80", "\"u@h\" is no host"),
            ("no-such-name.invalid:80", "--http no-such-name.invalid: no address is known for this name"),
        ] {
            let refused = resolved(text, Some(8080)).unwrap_err();
            assert!(refused.contains(words), "{text}: {refused}");
        }
        let without = |text| resolved(text, None).unwrap_err();
        assert_eq!(without("127.0.0.1"), "--http 127.0.0.1: the port is missing, such as 127.0.0.1:9100");
        assert_eq!(without("::1"), "--http ::1: the port is missing, such as [::1]:9100");
    }

    #[test]
    fn a_failure_to_bind_says_what_to_do() {
        let address: SocketAddr = ([192, 0, 2, 7], 80).into();
        for (kind, words) in [
            (ErrorKind::AddrInUse, "192.0.2.7:80 is taken: choose another with --metrics"),
            (ErrorKind::AddrNotAvailable, "--metrics 192.0.2.7:80: this host has no such address"),
            (ErrorKind::PermissionDenied, "--metrics 192.0.2.7:80: this user may not listen there"),
            (ErrorKind::Other, "--metrics 192.0.2.7:80: cannot listen there"),
        ] {
            let said = bind_failure("--metrics", address, &kind.into()).to_string();
            assert!(said.starts_with(words), "{said}");
        }
    }
}
