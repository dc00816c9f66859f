//! Linux: the far ends of the tunnels in which programs carry PPP, as their sockets show.
//!
//! PPTP has a connection of TCP to port 1723 and a socket of GRE, L2TP a socket of UDP to port 1701. A route
//! to a single host shows none: it may be anything.

use std::path::Path;

use super::tables::{lines, word};

/// `TCP_ESTABLISHED`.
const ESTABLISHED: &str = "01";
const PPTP_PORT: &str = "06BB";
const L2TP_PORT: &str = "06A5";
/// `IPPROTO_GRE` and `IPPROTO_L2TP`, which raw sockets have in the place of a port.
const PROTOCOLS: [&str; 2] = ["002F", "0073"];

/// The addresses of the far ends, as the tables have them; `None` where the kernel does not list sockets.
pub(super) fn far_ends(net: &Path) -> Option<Vec<u32>> {
    let tcp = lines(&net.join("tcp"))?;
    let [udp, raw] = ["udp", "raw"].map(|file| lines(&net.join(file)).unwrap_or_default());
    let tcp = tcp.iter().filter(|line| word(line, 3).as_deref() == Some(ESTABLISHED));
    let pptp = tcp.filter_map(|line| remote(line, |_, port| port == PPTP_PORT));
    let l2tp = udp.iter().filter_map(|line| remote(line, |_, port| port == L2TP_PORT));
    let gre = raw.iter().filter_map(|line| remote(line, |own_port, _| PROTOCOLS.contains(&own_port)));
    let mut found: Vec<u32> = pptp.chain(l2tp).chain(gre).filter(|address| *address != 0).collect();
    found.sort_unstable();
    found.dedup();
    Some(found)
}

/// The other end of a socket whose own and other port are as wanted.
fn remote(line: &str, is_wanted: impl Fn(&str, &str) -> bool) -> Option<u32> {
    let (own, other) = (word(line, 1)?, word(line, 2)?);
    let ((_, own_port), (address, port)) = (own.split_once(':')?, other.split_once(':')?);
    is_wanted(own_port, port).then(|| u32::from_str_radix(address, 16).ok())?
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_sockets_of_pptp_and_l2tp_show_their_far_ends() {
        let net = tempfile::tempdir().unwrap();
        assert_eq!(far_ends(net.path()), None);
        let table = |lines: &[&str]| {
            lines
                .iter()
                .fold("sl local_address rem_address st\n".to_owned(), |table, line| table + line + "\n")
        };
        let write = |file: &str, lines: &[&str]| fs::write(net.path().join(file), table(lines)).unwrap();
        write(
            "tcp",
            &[
                "0: 0502000A:9000 0100000A:06BB 01",
                "1: 0502000A:9001 0200000A:06BB 06",
                "2: 0:06BB 0:0000 0A",
            ],
        );
        assert_eq!(far_ends(net.path()), Some(vec![0x0100_000A]));
        write("udp", &["0: 00000000:06A5 00000000:0000 07", "1: 0502000A:06A5 0300000A:06A5 01"]);
        write("raw", &["47: 00000000:002F 0400000A:0000 01", "1: 00000000:0001 0500000A:0000 01"]);
        assert_eq!(far_ends(net.path()), Some(vec![0x0100_000A, 0x0300_000A, 0x0400_000A]));
    }
}
