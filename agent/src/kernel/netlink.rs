//! Linux: what the kernel answers about this process's own network, where no file tells it.
//!
//! The kernel works on a request while it is sent, so nothing here waits for anything. Where netlink is
//! forbidden or missing, nothing is known.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use netlink_packet_core::{
    NLM_F_DUMP, NLM_F_MULTIPART, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload,
};
use netlink_packet_route::{
    AddressFamily, RouteNetlinkMessage,
    address::{AddressAttribute, AddressMessage},
    link::{LinkAttribute, LinkInfo, LinkMessage, Prop},
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

/// An interface as netlink describes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Described {
    pub(super) index: u32,
    /// The usual name first, then the alternatives, which may be longer.
    pub(super) names: Vec<String>,
    pub(super) hardware_type: u32,
    pub(super) flags: u32,
    pub(super) lower_index: u32,
    pub(super) kind: Option<String>,
}

/// All interfaces. One whose name is no text is left out.
pub(super) fn links() -> Vec<Described> {
    let request = RouteNetlinkMessage::GetLink(LinkMessage::default());
    let answers = open().and_then(|socket| ask(&socket, NLM_F_DUMP, request)).unwrap_or_default();
    let link = |answer| match answer {
        RouteNetlinkMessage::NewLink(link) => Some(described(&link)),
        _ => None,
    };
    answers.into_iter().filter_map(link).collect()
}

fn described(link: &LinkMessage) -> Described {
    let index = link.header.index;
    let mut described = Described {
        index,
        hardware_type: u16::from(link.header.link_layer_type).into(),
        flags: link.header.flags.bits(),
        lower_index: index,
        ..Described::default()
    };
    let mut others = Vec::new();
    for attribute in &link.attributes {
        match attribute {
            LinkAttribute::IfName(name) => described.names.push(name.clone()),
            LinkAttribute::Link(lower) => described.lower_index = *lower,
            LinkAttribute::LinkInfo(infos) => {
                described.kind = infos.iter().find_map(|info| match info {
                    LinkInfo::Kind(kind) => Some(kind.to_string()),
                    _ => None,
                });
            }
            LinkAttribute::PropList(props) => others.extend(props.iter().filter_map(|prop| match prop {
                Prop::AltIfName(name) => Some(name.clone()),
                _ => None,
            })),
            _ => {}
        }
    }
    described.names.append(&mut others);
    described
}

/// All addresses, by the number of the interface.
pub(super) fn addresses() -> Vec<(u32, IpAddr)> {
    let request = RouteNetlinkMessage::GetAddress(AddressMessage::default());
    let answers = open().and_then(|socket| ask(&socket, NLM_F_DUMP, request)).unwrap_or_default();
    let address = |answer| match answer {
        RouteNetlinkMessage::NewAddress(message) => Some((message.header.index, own_address(&message)?)),
        _ => None,
    };
    answers.into_iter().filter_map(address).collect()
}

/// On a line between two, `Address` is the other end's.
fn own_address(message: &AddressMessage) -> Option<IpAddr> {
    let local = message.attributes.iter().find_map(|attribute| match attribute {
        AddressAttribute::Local(address) => Some(*address),
        _ => None,
    });
    local.or_else(|| {
        message.attributes.iter().find_map(|attribute| match attribute {
            AddressAttribute::Address(address) => Some(*address),
            _ => None,
        })
    })
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
        let Some(length) = bytes.first_chunk().map(|length| u32::from_ne_bytes(*length) as usize) else {
            break;
        };
        let message = NetlinkMessage::<RouteNetlinkMessage>::deserialize(bytes);
        bytes = bytes.get(length.next_multiple_of(4)..).filter(|_| length > 0).unwrap_or_default();
        // A message that cannot be read is one of many.
        let Ok(message) = message else {
            more = true;
            continue;
        };
        more = message.header.flags & NLM_F_MULTIPART != 0;
        match message.payload {
            NetlinkPayload::InnerMessage(answer) => answers.push(answer),
            NetlinkPayload::Error(error) => return Err(error.to_io()),
            NetlinkPayload::Done(_) => return Ok(false),
            _ => {}
        }
    }
    Ok(more)
}
