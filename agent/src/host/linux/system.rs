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
        let mut system = Self {
            loadavg: KeptFile::new(procfs.join("loadavg")),
            uptime: KeptFile::new(procfs.join("uptime")),
            procfs: procfs.to_owned(),
            processes: None,
            count_in_ms: 0,
            snmp: KeptFile::new(procfs.join("net/snmp")),
            retransmits: CountSinceStart::default(),
        };
        system.retransmits.read(system.snmp.text().and_then(retransmits));
        system
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

    /// Each process is a folder with a number as its name; counting them opens none.
    fn processes_now(&self) -> Option<u32> {
        let entries = fs::read_dir(&self.procfs).ok()?;
        let is_process = |name: &[u8]| name.first().is_some_and(u8::is_ascii_digit);
        let count =
            entries.flatten().filter(|entry| is_process(entry.file_name().as_encoded_bytes())).count();
        u32::try_from(count).ok().filter(|count| *count > 0)
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
    uptime.split_once('.')?.0.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn load_and_uptime_are_absent_when_they_make_no_sense() {
        assert_eq!(load("0.10 1.20 3.40 1/99 12345\n"), Some([0.1, 1.2, 3.4]));
        assert_eq!(load("0.1 x 3"), None);
        assert_eq!(uptime_s("12345.67 999.0\n"), Some(12_345));
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
