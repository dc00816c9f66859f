//! The system as a whole: load, uptime, processes, TCP.

use std::{
    fs,
    path::{Path, PathBuf},
};

use tidemap_wire::Host;

use super::KeptFile;

/// Listing the processes costs microseconds for each: up to a thousand are counted every 15 s, ten thousand
/// every 150 s.
const COUNT_EVERY_MS: u64 = 15_000;
const COUNT_EVERY_MS_PER_PROCESS: u64 = 15;

/// The first namespace of processes: its inode is the same constant on every Linux (`PROC_PID_INIT_INO`).
const HOSTS_PROCESSES: &str = "pid:[4026531836]";

/// Reads metrics of the system as a whole.
#[derive(Debug)]
pub(super) struct System {
    loadavg: KeptFile,
    uptime: KeptFile,
    procfs: PathBuf,
    processes: Option<u32>,
    /// Time until the processes are counted again.
    count_in_ms: u64,
    snmp: KeptFile,
    retransmits: CountSinceStart,
}

/// A counter of the kernel, as its increase since the first reading.
#[derive(Debug, Default)]
struct CountSinceStart {
    before: Option<u64>,
    count: u64,
}

impl System {
    pub(super) fn new(procfs: &Path) -> Self {
        Self {
            loadavg: KeptFile::new(procfs.join("loadavg")),
            uptime: KeptFile::new(procfs.join("uptime")),
            procfs: procfs.to_owned(),
            processes: None,
            count_in_ms: 0,
            snmp: KeptFile::new(procfs.join("net/snmp")),
            retransmits: CountSinceStart::default(),
        }
    }

    pub(super) fn read(&mut self, host: &mut Host, elapsed_ms: u64) {
        if let Some([load_1, load_5, load_15]) = self.loadavg.text().and_then(load) {
            (host.load_1, host.load_5, host.load_15) = (Some(load_1), Some(load_5), Some(load_15));
        }
        host.uptime_s = self.uptime.text().and_then(uptime_s);
        self.count_processes(elapsed_ms);
        host.processes = self.processes;
        host.tcp_retransmits = self.retransmits.read(self.snmp.text().and_then(retransmits));
    }

    /// Counts the processes if that is due.
    fn count_processes(&mut self, elapsed_ms: u64) {
        self.count_in_ms = self.count_in_ms.saturating_sub(elapsed_ms);
        if self.count_in_ms == 0 {
            self.processes = self.processes_now();
            let by_number_ms = u64::from(self.processes.unwrap_or(0)) * COUNT_EVERY_MS_PER_PROCESS;
            self.count_in_ms = by_number_ms.max(COUNT_EVERY_MS);
        }
    }

    /// Each process is a folder with a number as its name; counting them opens none. Unknown when some are
    /// not listed.
    fn processes_now(&self) -> Option<u32> {
        if !self.lists_the_hosts() {
            return None;
        }
        let (mut count, mut lists_first) = (0, false);
        for entry in fs::read_dir(&self.procfs).ok()?.flatten() {
            let name = entry.file_name();
            count += u32::from(name.as_encoded_bytes().first().is_some_and(u8::is_ascii_digit));
            lists_first |= name == "1";
        }
        // Every host and every container has a first process, and nobody may see it where procfs hides the
        // processes of others (`hidepid`).
        lists_first.then_some(count)
    }

    /// Whether the processes are the host's, not only those of a container.
    fn lists_the_hosts(&self) -> bool {
        let own = fs::read_link(self.procfs.join("self/ns/pid"));
        let is_in_container = own.is_ok_and(|name| name.as_os_str() != HOSTS_PROCESSES);
        // A container may have been given the host's procfs.
        !is_in_container || super::text(&self.procfs.join("2/comm")).as_deref() == Some("kthreadd")
    }
}

impl CountSinceStart {
    /// Takes a reading; `None` when there is none. The count never falls: the increase between the last
    /// reading and a reset is not known, and not added.
    fn read(&mut self, now: Option<u64>) -> Option<u64> {
        let now = now?;
        let before = self.before.replace(now).unwrap_or(now);
        self.count += now.saturating_sub(before);
        Some(self.count)
    }
}

/// `/proc/net/snmp`: the number of TCP segments sent again. Each protocol has a line of names and a line of
/// values.
fn retransmits(snmp: &str) -> Option<u64> {
    let mut lines = snmp.lines().filter_map(|line| line.strip_prefix("Tcp: "));
    let (names, values) = (lines.next()?, lines.next()?);
    let place = names.split_ascii_whitespace().position(|name| name == "RetransSegs")?;
    values.split_ascii_whitespace().nth(place)?.parse().ok()
}

/// `/proc/loadavg`: over 1, 5 and 15 minutes.
fn load(loadavg: &str) -> Option<[f64; 3]> {
    let mut fields = loadavg.split_ascii_whitespace();
    let mut next = || fields.next()?.parse::<f64>().ok().filter(|load| load.is_finite());
    Some([next()?, next()?, next()?])
}

/// `/proc/uptime`: seconds since the host booted.
fn uptime_s(uptime: &str) -> Option<u64> {
    uptime.split(['.', ' ']).next()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn load_and_uptime_are_absent_when_they_make_no_sense() {
        assert_eq!(load("0.10 1.20 3.40 1/99 12345\n"), Some([0.1, 1.2, 3.4]));
        assert_eq!(load("0.1 x 3"), None);
        assert_eq!(uptime_s("12345.67 999.0\n"), Some(12_345));
        assert_eq!(uptime_s("12345 999\n"), Some(12_345));
        assert_eq!(uptime_s("-1.00 0.00\n"), None);
        assert_eq!(uptime_s(""), None);
    }

    #[test]
    fn retransmits_are_found_by_their_name() {
        let snmp = "Ip: Forwarding RetransSegs\nIp: 1 99\nTcp: RtoMin MaxConn OutSegs RetransSegs InErrs\n\
                    Tcp: 200 -1 5000 17 0\nUdp: InDatagrams\nUdp: 3\n";
        assert_eq!(retransmits(snmp), Some(17));
        assert_eq!(retransmits("Tcp: RtoMin OutSegs\nTcp: 200 5000\n"), None);
        assert_eq!(retransmits("Tcp: RtoMin RetransSegs\nTcp: 200\n"), None);
        assert_eq!(retransmits(""), None);
    }

    #[test]
    fn a_count_begins_at_the_first_reading_and_survives_a_reset() {
        let mut count = CountSinceStart::default();
        let readings = [None, Some(100), Some(103), None, Some(105), Some(2), Some(9)];
        let counts = readings.map(|now| count.read(now));
        assert_eq!(counts, [None, Some(0), Some(3), None, Some(5), Some(5), Some(12)]);
    }
}
