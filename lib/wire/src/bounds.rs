//! The most that a node may report of itself. Agents keep within these bounds, and workers hold every report
//! against them, because what one agent reports is repeated to every reader of the fleet.

use crate::{Bps, Capacity, Hello, Host, Interface, InterfaceRate, MetricUnit, Probe};

/// Bytes of a text: a name, a label's key or value, a reason.
pub const TEXT_BYTES: usize = 255;
/// Labels of a node.
pub const LABELS: usize = 64;
/// Interfaces of a node, in its hello and in each sample.
pub const INTERFACES: usize = 64;
/// Addresses of a node.
pub const ADDRESSES: usize = 16;
/// Addresses of an interface.
pub const INTERFACE_ADDRESSES: usize = 8;
/// Bytes of an address: the longest of IPv6, with its zone.
pub const ADDRESS_BYTES: usize = 64;
/// Targets that an agent probes.
pub const PROBES: usize = 8;
/// Bytes of a probe's target.
pub const PROBE_TARGET_BYTES: usize = 100;
/// Bytes of the reason why it cannot be probed.
pub const PROBE_FAILURE_BYTES: usize = 120;
/// Samples in a report: as many as an agent keeps.
pub const SAMPLES: usize = 600;
/// Milliseconds that a sample covers at most. One that covers more is a gap.
pub const SAMPLE_MS: u32 = u16::MAX as u32;
/// Bytes that a run has counted: a year at 290 Gbit/s. Sums of two counters are far from overflowing.
pub const COUNTED_BYTES: u64 = 1 << 60;

/// Milliseconds that a minute's samples cover: the minute, and what the first one covers before it.
pub const MINUTE_MS: u32 = 60_000 + SAMPLE_MS;
/// Bytes that a host moves each way in a minute: 9 Tbit/s. A minute of 100,000 such hosts, or a month of 20
/// of them, is a number of 64 bits.
pub const MINUTE_BYTES: u64 = 1 << 46;
/// Runs of an agent whose counters a minute's row has: more than the service manager starts, which waits 2 s.
/// Of more runs, the lowest numbers are kept, so that the order of joining does not matter. What other runs
/// moved is in the row's bytes.
pub const RUNS: usize = 32;
/// A share of a whole in a minute's row, tenths of a percent. It is computed from two counters that are not
/// read at the same instant.
pub const SHARE: u16 = 1_010;
/// A load average in a minute's row, hundredths.
pub const LOAD: u32 = 100_000_000;
/// The first minute of 2020, counted from the epoch. There was no Tidemap before.
pub const FIRST_MINUTE: u32 = 26_297_280;
/// Minutes by which a row may be ahead of the broker's clock.
pub const AHEAD_MINUTES: u32 = 60;
/// Groups of one kind, such as the values of a label, of which sums are kept: a label with more says
/// something about single nodes.
pub const GROUPS_OF_A_KIND: u32 = 1_000;

/// What stands for a control character, which no text may contain: readers of JSON and of terminals receive
/// it as six characters, or as a command.
const REPLACEMENT: char = char::REPLACEMENT_CHARACTER;

impl Hello {
    /// Cuts off what is beyond the bounds. Returns whether anything was.
    pub fn bound(&mut self) -> bool {
        let Self {
            hostname,
            internal_ip,
            external_ip,
            addresses,
            os,
            kernel,
            arch,
            agent_version,
            interval_ms: _,
            location,
            provider,
            labels,
            interfaces,
            unlisted_interfaces: _,
            lost_samples: _,
            disk_path,
            display_name,
            cap,
            link_speed_mbps: _,
        } = self;
        let place = location.as_mut().and_then(|location| location.label.as_mut());
        let texts = [internal_ip, external_ip, os, kernel, arch, provider, disk_path, display_name];
        let texts = texts.into_iter().flatten();
        let mut is_cut = cap.take_if(|cap| !Capacity::is_plausible(cap)).is_some();
        for text in texts.chain([hostname, agent_version]).chain(place) {
            is_cut |= bound_text(text);
        }
        is_cut |= bound_list(addresses, ADDRESSES, bound_address);
        is_cut |= bound_list(interfaces, INTERFACES, Interface::bound);
        let is_label_within =
            |(key, value): (&String, &String)| is_within(TEXT_BYTES, key) && is_within(TEXT_BYTES, value);
        if labels.len() > LABELS || !labels.iter().all(is_label_within) {
            let all = std::mem::take(labels).into_iter().take(LABELS);
            labels.extend(all.map(|(mut key, mut value)| {
                bound_text(&mut key);
                bound_text(&mut value);
                (key, value)
            }));
            is_cut = true;
        }
        is_cut
    }
}

impl Interface {
    fn bound(&mut self) -> bool {
        let Self { name, counted: _, reason, speed_mbps: _, addresses } = self;
        let texts = [name, reason].map(bound_text);
        bound_list(addresses, INTERFACE_ADDRESSES, bound_address) | texts.contains(&true)
    }
}

impl InterfaceRate {
    /// Cuts off what is beyond the bounds of a sample's interfaces. Returns whether anything was.
    pub fn bound_all(interfaces: &mut Vec<Self>) -> bool {
        let before = interfaces.len();
        interfaces.retain(|interface| {
            interface.rx_bps.get() <= Bps::MAX_PLAUSIBLE && interface.tx_bps.get() <= Bps::MAX_PLAUSIBLE
        });
        let are_some_gone = interfaces.len() < before;
        bound_list(interfaces, INTERFACES, |interface| bound_text(&mut interface.name)) | are_some_gone
    }
}

impl Probe {
    /// Cuts off what is beyond the bounds of a sample's probes, and drops what no round trip can be. Returns
    /// whether anything was.
    pub fn bound_all(probes: &mut Vec<Self>) -> bool {
        bound_list(probes, PROBES, Self::bound)
    }

    fn bound(&mut self) -> bool {
        let Self { target, sent, lost, min_ms, median_ms, max_ms, jitter_ms, failure } = self;
        let mut is_cut = bound_to(PROBE_TARGET_BYTES, target);
        is_cut |= failure.as_mut().is_some_and(|failure| bound_to(PROBE_FAILURE_BYTES, failure));
        is_cut |= *lost > *sent;
        *lost = (*lost).min(*sent);
        let is_plausible = |ms: &f64| MetricUnit::Milliseconds.plausible().contains(ms);
        let has_answers = *lost < *sent;
        for time in [min_ms, median_ms, max_ms, jitter_ms] {
            is_cut |= time.take_if(|ms| !(has_answers && is_plausible(ms))).is_some();
        }
        is_cut
    }
}

impl Host {
    /// Drops the metrics that no host can have, and cuts a part that is larger than its whole. Returns
    /// whether any was dropped.
    pub fn bound(&mut self) -> bool {
        let is_out_of_range = self.drop_out_of_range();
        let parts = [
            (&mut self.memory_used_bytes, self.memory_total_bytes),
            (&mut self.swap_used_bytes, self.swap_total_bytes),
            (&mut self.disk_used_bytes, self.disk_total_bytes),
        ];
        // The two are read one after the other, so an honest part may be a little larger.
        for (part, whole) in parts {
            *part = part.map(|part| whole.map_or(part, |whole| part.min(whole)));
        }
        is_out_of_range
    }
}

/// Whether a row of this minute can be right in a message that the broker stored at `stored_ms`.
pub fn is_plausible_minute(minute: u32, stored_ms: i64) -> bool {
    let latest = stored_ms.div_euclid(60_000) + i64::from(AHEAD_MINUTES);
    minute >= FIRST_MINUTE && i64::from(minute) <= latest
}

fn bound_list<T>(list: &mut Vec<T>, limit: usize, mut bound: impl FnMut(&mut T) -> bool) -> bool {
    let is_longer = list.len() > limit;
    if is_longer {
        list.truncate(limit);
        list.shrink_to_fit();
    }
    list.iter_mut().fold(is_longer, |is_cut, item| bound(item) | is_cut)
}

fn bound_text(text: &mut String) -> bool {
    bound_to(TEXT_BYTES, text)
}

fn bound_address(text: &mut String) -> bool {
    bound_to(ADDRESS_BYTES, text)
}

fn bound_to(limit: usize, text: &mut String) -> bool {
    if is_within(limit, text) {
        return false;
    }
    let shown = |character: char| if character.is_control() { REPLACEMENT } else { character };
    // Every character takes at least one byte.
    let mut within: String = text.chars().map(shown).take(limit).collect();
    within.truncate(within.floor_char_boundary(limit));
    *text = within;
    true
}

fn is_within(limit: usize, text: &str) -> bool {
    text.len() <= limit && !text.contains(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encode;

    fn long() -> String {
        "ü\u{1b}".repeat(20_000)
    }

    #[test]
    fn a_hello_is_cut_to_its_bounds_once() {
        let interface =
            Interface { name: long(), reason: long(), addresses: vec![long(); 100], ..Interface::default() };
        let mut hello = Hello {
            hostname: long(),
            provider: Some(long()),
            addresses: vec![long(); 1_000],
            labels: (0..1_000).map(|number| (format!("{number} {}", long()), long())).collect(),
            interfaces: vec![interface; 1_000],
            cap: Some(Capacity { rx_bps: Bps::ZERO, tx_bps: Bps::ZERO }),
            ..Hello::default()
        };
        assert!(hello.bound());
        assert_eq!(hello.cap, None);
        assert_eq!((hello.addresses.len(), hello.interfaces.len()), (ADDRESSES, INTERFACES));
        assert_eq!((hello.labels.len(), hello.interfaces[0].addresses.len()), (LABELS, INTERFACE_ADDRESSES));
        assert!(hello.hostname.starts_with("ü\u{fffd}ü") && hello.hostname.len() > TEXT_BYTES - 4);
        assert!(encode(&hello).len() < 128 * 1024, "{}", encode(&hello).len());
        assert!(!hello.bound(), "what was cut is within the bounds");
    }

    #[test]
    fn what_agents_report_is_within_the_bounds() {
        let mut hello = Hello {
            hostname: "web-01".to_owned(),
            provider: Some("Hetzner 🇩🇪".to_owned()),
            labels: [("site".to_owned(), "香港".to_owned())].into(),
            interfaces: vec![Interface::default(); INTERFACES],
            ..Hello::default()
        };
        let before = hello.clone();
        assert!(!hello.bound() && hello == before);
    }

    #[test]
    fn rates_that_no_interface_has_are_dropped() {
        let rate = |bps| InterfaceRate {
            name: "eth0".to_owned(),
            rx_bps: Bps::new(bps).unwrap(),
            tx_bps: Bps::ZERO,
        };
        let mut interfaces = vec![rate(1e9), rate(1e300), rate(Bps::MAX_PLAUSIBLE)];
        assert!(InterfaceRate::bound_all(&mut interfaces));
        assert_eq!(interfaces, [rate(1e9), rate(Bps::MAX_PLAUSIBLE)]);
        let mut many = vec![rate(1.0); 30_000];
        assert!(InterfaceRate::bound_all(&mut many) && many.len() == INTERFACES);
        assert!(!InterfaceRate::bound_all(&mut many));
    }

    #[test]
    fn probes_are_bounded_and_times_without_an_answer_dropped() {
        let probe = Probe {
            target: "icmp://web-01".to_owned(),
            sent: 6,
            lost: 1,
            min_ms: Some(0.4),
            median_ms: Some(1.0),
            max_ms: Some(60_000.0),
            jitter_ms: Some(0.0),
            failure: None,
        };
        let mut good = vec![probe.clone(); PROBES];
        assert!(!Probe::bound_all(&mut good) && good == vec![probe.clone(); PROBES]);
        let wrong = Probe { lost: 7, target: long(), failure: Some(long()), ..probe.clone() };
        let absurd = Probe { min_ms: Some(-1.0), median_ms: Some(f64::NAN), max_ms: Some(1e300), ..probe };
        let mut bad = vec![wrong, absurd];
        bad.resize(1_000, Probe::default());
        assert!(Probe::bound_all(&mut bad) && bad.len() == PROBES);
        assert!(bad[0].target.len() <= PROBE_TARGET_BYTES);
        assert_eq!((bad[0].lost, bad[0].median_ms, bad[0].max_ms), (6, None, None), "nothing was answered");
        assert_eq!((bad[1].min_ms, bad[1].median_ms, bad[1].max_ms), (None, None, None));
        assert_eq!(bad[1].jitter_ms, Some(0.0));
        assert!(!Probe::bound_all(&mut bad), "what was cut is within the bounds");
    }

    #[test]
    fn minutes_are_from_2020_until_an_hour_after_the_message() {
        let stored_ms = 1_700_000_000_000;
        let now = 28_333_333;
        for (minute, expected) in [
            (0, false),
            (FIRST_MINUTE - 1, false),
            (FIRST_MINUTE, true),
            (now, true),
            (now + 60, true),
            (now + 61, false),
            (u32::MAX, false),
        ] {
            assert_eq!(is_plausible_minute(minute, stored_ms), expected, "{minute}");
        }
        assert!(!is_plausible_minute(now, i64::MIN) && !is_plausible_minute(now, 0));
    }

    #[test]
    fn metrics_that_no_host_has_are_dropped() {
        let mut host = Host {
            cpu_percent: Some(1.9e306),
            temperature_c: Some(-76.0),
            load_1: Some(-1.0),
            memory_used_bytes: Some(2),
            memory_total_bytes: Some(1),
            uptime_s: Some(u64::MAX),
            processes: Some(200),
            ..Host::default()
        };
        assert!(host.bound());
        let left = Host {
            temperature_c: Some(-76.0),
            memory_used_bytes: Some(1),
            memory_total_bytes: Some(1),
            processes: Some(200),
            ..Host::default()
        };
        assert_eq!(host, left);
        assert!(!host.bound());
    }
}
