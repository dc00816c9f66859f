//! Free ports.

use std::net::TcpListener;

use anyhow::ensure;

/// Finds free ports for servers that must know each other's ports before they start, and that keep theirs
/// while they are stopped. They are outside the range that the operating system uses for its own connections.
pub fn free_ports(count: usize) -> anyhow::Result<Vec<u16>> {
    let mut held: Vec<(TcpListener, u16)> = Vec::new();
    for _ in 0..10_000 {
        if held.len() == count {
            break;
        }
        let port = fastrand::u16(10_000..32_000);
        held.extend(TcpListener::bind(("127.0.0.1", port)).map(|listener| (listener, port)));
    }
    ensure!(held.len() == count, "no free ports");
    Ok(held.into_iter().map(|(_, port)| port).collect())
}

/// Finds one free port.
pub fn free_port() -> anyhow::Result<u16> {
    Ok(free_ports(1)?[0])
}
