//! An echo request by a datagram socket, which needs no privilege where the host permits it: the kernel
//! writes checksum and identifier, and gives each socket the replies to its own requests only.

use std::{
    io::{self, ErrorKind},
    net::{IpAddr, SocketAddr},
};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::{
    net::UdpSocket,
    time::{Instant, timeout_at},
};

use super::outcome::Outcome;

/// Type, code, checksum, identifier, sequence number.
const HEADER_BYTES: usize = 8;
/// What tells the replies to one request from others, whatever the kernel does.
const TOKEN_BYTES: usize = 16;

/// Sends a request, and waits for its reply until `deadline`.
pub(super) async fn echo(address: IpAddr, sequence: u16, deadline: Instant) -> Outcome {
    let socket = match open(address) {
        Ok(socket) => socket,
        Err(error) => return Outcome::NotPossible(why_not(&error)),
    };
    match timeout_at(deadline, exchange(&socket, address, sequence)).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(error)) => Outcome::of_error(&error),
        Err(_) => Outcome::Lost,
    }
}

fn open(address: IpAddr) -> io::Result<UdpSocket> {
    let (domain, protocol) = match address {
        IpAddr::V4(_) => (Domain::IPV4, Protocol::ICMPV4),
        IpAddr::V6(_) => (Domain::IPV6, Protocol::ICMPV6),
    };
    let socket = Socket::new(domain, Type::DGRAM, Some(protocol))?;
    socket.set_nonblocking(true)?;
    // It is a datagram socket like any other from here on.
    UdpSocket::from_std(socket.into())
}

fn why_not(error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::PermissionDenied => {
            "this host does not let the agent send echo requests: net.ipv4.ping_group_range does not include its group"
                .to_owned()
        }
        _ => format!("no echo requests on this host: {error}"),
    }
}

async fn exchange(socket: &UdpSocket, address: IpAddr, sequence: u16) -> io::Result<Outcome> {
    socket.connect(SocketAddr::new(address, 0)).await?;
    let token: [u8; TOKEN_BYTES] = std::array::from_fn(|_| fastrand::u8(..));
    let sent = Instant::now();
    socket.send(&request(address, sequence, &token)).await?;
    let mut buffer = [0; 256];
    loop {
        let length = socket.recv(&mut buffer).await?;
        let time = sent.elapsed();
        if is_reply(address, buffer.get(..length).unwrap_or_default(), sequence, &token) {
            return Ok(Outcome::Answered(time));
        }
    }
}

fn request(address: IpAddr, sequence: u16, token: &[u8; TOKEN_BYTES]) -> Vec<u8> {
    let kind = if address.is_ipv4() { 8 } else { 128 };
    let mut packet = vec![kind, 0, 0, 0, 0, 0];
    packet.extend(sequence.to_be_bytes());
    packet.extend(token);
    packet
}

fn is_reply(address: IpAddr, packet: &[u8], sequence: u16, token: &[u8]) -> bool {
    // Some systems leave the header of IPv4 before it, which begins with its version and length.
    let header = match packet.first() {
        Some(first) if address.is_ipv4() && first >> 4 == 4 => usize::from(first & 15) * 4,
        _ => 0,
    };
    let Some((icmp, data)) = packet.get(header..).and_then(|icmp| icmp.split_at_checked(HEADER_BYTES)) else {
        return false;
    };
    let kind = if address.is_ipv4() { 0 } else { 129 };
    icmp[0] == kind && icmp[6..] == sequence.to_be_bytes() && data == token
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_is_known_by_its_number_and_token() {
        let token = [7; TOKEN_BYTES];
        for (address, reply) in [("192.0.2.1", 0), ("2001:db8::1", 129)] {
            let address: IpAddr = address.parse().unwrap();
            let sent = request(address, 258, &token);
            assert_eq!(sent[6..8], [1, 2]);
            assert!(!is_reply(address, &sent, 258, &token), "the request itself");
            let mut packet = sent;
            packet[0] = reply;
            assert!(is_reply(address, &packet, 258, &token));
            assert!(!is_reply(address, &packet, 257, &token));
            assert!(!is_reply(address, &packet, 258, &[8; TOKEN_BYTES]));
            let with_header = [&[0x45; 20][..], &packet].concat();
            assert_eq!(is_reply(address, &with_header, 258, &token), address.is_ipv4());
            for length in 0..packet.len() {
                assert!(!is_reply(address, &packet[..length], 258, &token));
            }
        }
    }
}
