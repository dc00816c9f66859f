//! The port that was free at the first start. Agents know it, so it stays the same.

use std::{
    net::{IpAddr, TcpListener},
    path::{Path, PathBuf},
};

use crate::files::{self, PathError};

/// The port of the start before; 0 (any free port) where there was none, or another program has taken it.
pub(super) fn kept(dir: &Path, ip: IpAddr) -> u16 {
    let Some(port) = read(dir) else { return 0 };
    match TcpListener::bind((ip, port)) {
        Ok(_free) => port,
        Err(error) => {
            tracing::warn!(
                "the broker listens on another port than before: {port} cannot be had ({error}). Agents that use \
                 it have to be enrolled again, or free it and start again; --nats-url and --listen choose a port"
            );
            0
        }
    }
}

/// Keeps a port for later starts, unless one is kept: agents look for the broker there, and it may be free
/// again.
pub(super) fn keep(dir: &Path, port: u16) -> Result<(), PathError> {
    if read(dir).is_some() {
        return Ok(());
    }
    files::write_atomically(&path(dir), &format!("{port}\n"))
}

fn read(dir: &Path) -> Option<u16> {
    files::read(&path(dir)).ok().flatten()?.trim().parse().ok()
}

fn path(dir: &Path) -> PathBuf {
    dir.join("port")
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn a_kept_port_is_used_again_unless_it_is_taken() {
        let dir = tempfile::tempdir().unwrap();
        let ip = IpAddr::V4(Ipv4Addr::LOCALHOST);
        assert_eq!(kept(dir.path(), ip), 0);
        let other = TcpListener::bind((ip, 0)).unwrap();
        let port = other.local_addr().unwrap().port();
        keep(dir.path(), port).unwrap();
        assert_eq!(kept(dir.path(), ip), 0, "another program has it");
        keep(dir.path(), 1).unwrap();
        drop(other);
        assert_eq!(kept(dir.path(), ip), port);
    }
}
