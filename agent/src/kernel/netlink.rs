//! Linux: what the kernel answers about this process's own network, where no file tells it.
//!
//! The kernel works on a request while it is sent, so nothing here waits for anything. Where netlink is
//! forbidden or missing, nothing is known.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use netlink_packet_core::{NLM_F_DUMP, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload};
use netlink_packet_route::{
    AddressFamily, RouteNetlinkMessage,
    link::{LinkAttribute, LinkMessage, Prop},
    route::{RouteAddress, RouteAttribute, RouteFlags, RouteMessage},
};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};

/// Addresses all over the internet. Nothing is sent to them: the kernel is asked which way it would go.
const ANYWHERE: [IpAddr; 8] = [
    IpAddr::V4(Ipv4Addr::new(1, 0, 0, 1)),
    IpAddr::V4(Ipv4Addr::new(80, 0, 0, 1)),
    IpAddr::V4(Ipv4Addr::new(150, 0, 0, 1)),
    IpAddr::V4(Ipv4Addr::new(210, 0, 0, 1)),
    IpAddr::V6(Ipv6Addr::new(0x2001, 0x200, 0, 0, 0, 0, 0, 1)),
    IpAddr::V6(Ipv6Addr::new(0x2400, 0, 0, 0, 0, 0, 0, 1)),
    IpAddr::V6(Ipv6Addr::new(0x2600, 0, 0, 0, 0, 0, 0, 1)),
    IpAddr::V6(Ipv6Addr::new(0x2a00, 0, 0, 0, 0, 0, 0, 1)),
];
/// No answer of the kernel is longer.
const LONGEST_ANSWER: usize = 64 << 10;

/// The numbers of the interfaces through which the kernel would send to anywhere, in all tables and over all
/// next hops of a route.
pub(super) fn ways_to_anywhere() -> Vec<u32> {
    let Ok(socket) = open() else { return Vec::new() };
    let mut found: Vec<u32> =
        ANYWHERE.iter().flat_map(|address| way_to(&socket, *address)).flatten().collect();
    found.sort_unstable();
    found.dedup();
    found
}

/// The names of each interface by number: the usual one first, then the alternatives, which may be longer.
pub(super) fn names() -> Vec<(u32, Vec<String>)> {
    let request = RouteNetlinkMessage::GetLink(LinkMessage::default());
    let answers = open().and_then(|socket| ask(&socket, NLM_F_DUMP, request)).unwrap_or_default();
    let names = |answer| match answer {
        RouteNetlinkMessage::NewLink(link) => Some((link.header.index, names_of(&link))),
        _ => None,
    };
    answers.into_iter().filter_map(names).collect()
}

fn names_of(link: &LinkMessage) -> Vec<String> {
    let (mut usual, mut others) = (Vec::new(), Vec::new());
    for attribute in &link.attributes {
        match attribute {
            LinkAttribute::IfName(name) => usual.push(name.clone()),
            LinkAttribute::PropList(props) => others.extend(props.iter().filter_map(|prop| match prop {
                Prop::AltIfName(name) => Some(name.clone()),
                _ => None,
            })),
            _ => {}
        }
    }
    usual.append(&mut others);
    usual
}

fn way_to(socket: &Socket, address: IpAddr) -> io::Result<Vec<u32>> {
    let mut request = RouteMessage::default();
    let (family, prefix, destination) = match address {
        IpAddr::V4(address) => (AddressFamily::Inet, 32, RouteAddress::Inet(address)),
        IpAddr::V6(address) => (AddressFamily::Inet6, 128, RouteAddress::Inet6(address)),
    };
    request.header.address_family = family;
    request.header.destination_prefix_length = prefix;
    // The route itself, with all its next hops, instead of the one that is chosen.
    request.header.flags = RouteFlags::FibMatch;
    request.attributes.push(RouteAttribute::Destination(destination));
    let answers = ask(socket, 0, RouteNetlinkMessage::GetRoute(request))?;
    let interfaces = |answer: RouteNetlinkMessage| match answer {
        RouteNetlinkMessage::NewRoute(route) => interfaces_of(&route),
        _ => Vec::new(),
    };
    Ok(answers.into_iter().flat_map(interfaces).collect())
}

fn interfaces_of(route: &RouteMessage) -> Vec<u32> {
    let of_attribute = |attribute: &RouteAttribute| match attribute {
        RouteAttribute::Oif(index) => vec![*index],
        RouteAttribute::MultiPath(hops) => hops.iter().map(|hop| hop.interface_index).collect(),
        _ => Vec::new(),
    };
    route.attributes.iter().flat_map(of_attribute).collect()
}

fn open() -> io::Result<Socket> {
    let mut socket = Socket::new(NETLINK_ROUTE)?;
    socket.bind_auto()?;
    socket.connect(&SocketAddr::new(0, 0))?;
    socket.set_non_blocking(true)?;
    Ok(socket)
}

/// Sends a request and takes the answers that are there when it has been sent.
fn ask(socket: &Socket, flags: u16, request: RouteNetlinkMessage) -> io::Result<Vec<RouteNetlinkMessage>> {
    let mut header = NetlinkHeader::default();
    header.flags = NLM_F_REQUEST | flags;
    let mut message = NetlinkMessage::new(header, NetlinkPayload::from(request));
    message.finalize();
    let mut bytes = vec![0; message.buffer_len()];
    message.serialize(&mut bytes);
    socket.send(&bytes, 0)?;
    let mut answers = Vec::new();
    let mut buffer = Vec::with_capacity(LONGEST_ANSWER);
    loop {
        buffer.clear();
        socket.recv(&mut buffer, 0)?;
        if !take(&buffer, &mut answers)? {
            return Ok(answers);
        }
    }
}

/// Reads the messages of one datagram; returns whether more datagrams follow.
fn take(mut bytes: &[u8], answers: &mut Vec<RouteNetlinkMessage>) -> io::Result<bool> {
    let mut more = false;
    while !bytes.is_empty() {
        let message = NetlinkMessage::<RouteNetlinkMessage>::deserialize(bytes)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.to_string()))?;
        more = message.header.flags & netlink_packet_core::NLM_F_MULTIPART != 0;
        match message.payload {
            NetlinkPayload::InnerMessage(answer) => answers.push(answer),
            NetlinkPayload::Error(error) => return Err(error.to_io()),
            NetlinkPayload::Done(_) => return Ok(false),
            _ => {}
        }
        let length = message.header.length as usize;
        bytes = bytes
            .get(length.next_multiple_of(4).min(bytes.len())..)
            .filter(|_| length > 0)
            .unwrap_or_default();
    }
    Ok(more)
}
