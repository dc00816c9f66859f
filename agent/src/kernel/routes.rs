//! Linux: which interface the default route leads through.

use std::io::BufRead;

/// `RTF_UP` and `RTF_REJECT` of the kernel.
const UP: u32 = 1;
const REJECT: u32 = 0x200;

/// The interface of the best IPv4 default route in `/proc/net/route`.
///
/// The kernel lists default routes first, so reading stops early even if a router's table holds the whole
/// internet.
pub(crate) fn ipv4_default(table: impl BufRead) -> Option<String> {
    let route = |line: String| {
        let fields: Vec<_> = line.split_ascii_whitespace().collect();
        let [name, destination, _, flags, _, _, metric, mask, ..] = fields[..] else { return None };
        let usable = destination == "00000000" && mask == "00000000" && is_usable(flags)?;
        usable.then_some((metric.parse::<u32>().ok()?, name.to_owned()))
    };
    let leads_anywhere = |line: &String| line.split_ascii_whitespace().nth(1) == Some("00000000");
    best(lines(table).skip(1).take_while(leads_anywhere).filter_map(route))
}

/// The interface of the best IPv6 default route in `/proc/net/ipv6_route`, whose routes are in no such order.
pub(crate) fn ipv6_default(table: impl BufRead) -> Option<String> {
    let route = |line: String| {
        let fields: Vec<_> = line.split_ascii_whitespace().collect();
        let [destination, length, _, _, _, metric, _, _, flags, name] = fields[..] else { return None };
        let usable = destination.bytes().all(|digit| digit == b'0') && length == "00" && is_usable(flags)?;
        usable.then_some((u32::from_str_radix(metric, 16).ok()?, name.to_owned()))
    };
    best(lines(table).filter_map(route))
}

fn lines(table: impl BufRead) -> impl Iterator<Item = String> {
    table.lines().map_while(Result::ok)
}

fn is_usable(flags: &str) -> Option<bool> {
    let flags = u32::from_str_radix(flags, 16).ok()?;
    Some(flags & UP != 0 && flags & REJECT == 0)
}

fn best(routes: impl Iterator<Item = (u32, String)>) -> Option<String> {
    routes.min_by_key(|(metric, _)| *metric).map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_route_with_the_lowest_metric_wins() {
        let table = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n\
                     wlan0\t00000000\t0102A8C0\t0003\t0\t0\t600\t00000000\t0\t0\t0\n\
                     eth0\t00000000\t010200C0\t0003\t0\t0\t100\t00000000\t0\t0\t0\n\
                     tun0\t00000000\t010200C0\t0003\t0\t0\t0\t00000080\t0\t0\t0\n\
                     dead0\t00000000\t00000000\t0203\t0\t0\t0\t00000000\t0\t0\t0\n";
        assert_eq!(ipv4_default(table.as_bytes()).as_deref(), Some("eth0"));
        assert_eq!(ipv4_default(&b"Iface\tDestination\n"[..]), None);
        assert_eq!(ipv4_default(&b""[..]), None);
    }

    #[test]
    fn the_kernels_own_unreachable_ipv6_route_is_no_way_out() {
        let zero = "00000000000000000000000000000000";
        let unreachable =
            format!("{zero} 00 {zero} 00 {zero} ffffffff 00000001 00000000 00200200       lo\n");
        let gateway =
            format!("{zero} 00 {zero} 00 fd{} 00000400 00000002 00000000 00000003     eth0\n", &zero[2..]);
        assert_eq!(ipv6_default(unreachable.as_bytes()), None);
        assert_eq!(ipv6_default(format!("{unreachable}{gateway}").as_bytes()).as_deref(), Some("eth0"));
    }
}
