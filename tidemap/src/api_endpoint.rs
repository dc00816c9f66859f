//! In the data folder: the address under which hosts reach the API, for `tidemap invite`.

use std::{fs, net::SocketAddr, path::Path};

use tidemap_broker::{PathError, data_dir};

use crate::listen::Listener;

const FILE: &str = "api-endpoint";

/// Writes it there. One that listens for other hosts is reached by the name of the broker.
pub(crate) fn publish(dir: &Path, http: SocketAddr, listener: &Listener) -> Result<(), PathError> {
    data_dir::write(&dir.join(FILE), &url(http, || listener.host_there(http.ip())))
}

/// As `tidemap up` has written it.
pub(crate) fn read(dir: &Path) -> Option<String> {
    fs::read_to_string(dir.join(FILE)).ok()
}

fn url(http: SocketAddr, host: impl FnOnce() -> String) -> String {
    if !http.ip().is_unspecified() {
        return format!("http://{http}");
    }
    match host() {
        ip if ip.contains(':') => format!("http://[{ip}]:{}", http.port()),
        name => format!("http://{name}:{}", http.port()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_api_for_all_addresses_is_reached_by_a_name() {
        for (http, host, expected) in [
            ("127.0.0.1:8080", "a", "http://127.0.0.1:8080"),
            ("192.0.2.7:80", "a", "http://192.0.2.7:80"),
            ("[2001:db8::7]:80", "a", "http://[2001:db8::7]:80"),
            ("0.0.0.0:8080", "host.example", "http://host.example:8080"),
            ("[::]:8080", "192.0.2.7", "http://192.0.2.7:8080"),
            ("[::]:8080", "2001:db8::7", "http://[2001:db8::7]:8080"),
        ] {
            assert_eq!(url(http.parse().unwrap(), || host.to_owned()), expected);
        }
    }
}
