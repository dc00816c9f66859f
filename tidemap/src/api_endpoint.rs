//! In the data folder: how hosts reach the API, for `tidemap invite`; and how commands on this host do, with
//! which token.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use tidemap_broker::{PathError, data_dir};

use crate::{listen::Listener, page_address};

/// A line for other hosts, and one for this host.
const FILE: &str = "api-endpoint";
/// The path of the file with the admin's token; empty when the token was given otherwise.
const TOKEN: &str = "api-token-file";

/// Writes it there. One that listens for other hosts is reached by the name of the broker.
pub(crate) fn publish(
    dir: &Path,
    http: SocketAddr,
    listener: &Listener,
    token_file: Option<&Path>,
) -> Result<(), PathError> {
    let there = url(http, || listener.host_there(http.ip()));
    data_dir::write(&dir.join(FILE), &format!("{there}\n{}\n", page_address::here(http)))?;
    let file = token_file.map(|file| std::path::absolute(file).unwrap_or_else(|_| file.to_owned()));
    data_dir::write(&dir.join(TOKEN), &file.map_or_else(String::new, |file| format!("{}\n", file.display())))
}

/// How other hosts reach it, as `tidemap up` has written it.
pub(crate) fn read(dir: &Path) -> Option<String> {
    line(dir, 0)
}

/// How this host reaches it.
pub(crate) fn here(dir: &Path) -> Option<String> {
    line(dir, 1)
}

fn line(dir: &Path, number: usize) -> Option<String> {
    fs::read_to_string(dir.join(FILE)).ok()?.lines().nth(number).map(str::to_owned)
}

/// The file with the token of the API that ran last; the one that `tidemap up` or `tidemap init` makes, when
/// none has been started since.
pub(crate) fn token_file(dir: &Path) -> Option<PathBuf> {
    match fs::read_to_string(dir.join(TOKEN)) {
        Ok(line) => Some(PathBuf::from(line.trim_end())).filter(|path| *path != Path::new("")),
        Err(_) => Some(dir.join("keys/api.token")).filter(|made| made.is_file()),
    }
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
    fn commands_take_the_token_in_use() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        let http: SocketAddr = ([0, 0, 0, 0], 8099).into();
        assert_eq!((token_file(dir), here(dir)), (None, None));
        let made = dir.join("keys/api.token");
        fs::create_dir(dir.join("keys")).unwrap();
        fs::write(&made, "of the first start").unwrap();
        assert_eq!(token_file(dir), Some(made));
        for file in [Some(Path::new("/etc/tidemap/api.token")), None] {
            publish(dir, http, &Listener::Loopback(None), file).unwrap();
            assert_eq!(token_file(dir).as_deref(), file);
        }
        assert_eq!(here(dir).unwrap(), "http://127.0.0.1:8099");
        assert!(read(dir).unwrap().ends_with(":8099"));
    }

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
