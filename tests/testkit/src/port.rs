//! Free ports.

use std::{
    fs::File,
    net::TcpListener,
    sync::{Mutex, PoisonError},
};

use anyhow::ensure;

/// The locks of all ports that this process has got, until it ends.
static RESERVED: Mutex<Vec<File>> = Mutex::new(Vec::new());

/// Finds free ports for servers that must know each other's ports before they start, and that keep theirs
/// while they are stopped. They are outside the range that the operating system uses for its own connections,
/// and no other test gets them, also none of another process.
pub fn free_ports(count: usize) -> anyhow::Result<Vec<u16>> {
    let mut ports = Vec::new();
    for _ in 0..10_000 {
        if ports.len() == count {
            break;
        }
        let port = fastrand::u16(10_000..32_000);
        ports.extend(reserve(port).then_some(port));
    }
    ensure!(ports.len() == count, "no free ports");
    Ok(ports)
}

/// Finds one free port.
pub fn free_port() -> anyhow::Result<u16> {
    Ok(free_ports(1)?[0])
}

/// Takes a port for this process's servers, unless it is in use or reserved.
pub fn reserve(port: u16) -> bool {
    TcpListener::bind(("127.0.0.1", port)).is_ok() && lock(port).is_ok()
}

/// The kernel gives the lock back when the process has ended.
fn lock(port: u16) -> anyhow::Result<()> {
    let user = rustix::process::getuid().as_raw();
    let folder = std::env::temp_dir().join(format!("tidemap-test-ports-{user}"));
    std::fs::create_dir_all(&folder)?;
    let file = File::create(folder.join(port.to_string()))?;
    file.try_lock()?;
    RESERVED.lock().unwrap_or_else(PoisonError::into_inner).push(file);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_gets_a_port_twice() {
        let ports = free_ports(3).unwrap();
        assert!(ports.iter().all(|port| !reserve(*port)), "{ports:?}");
    }
}
