//! The system as a whole: load, uptime, processes.

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

/// Reads what is about no part of the host alone.
#[derive(Debug)]
pub(super) struct System {
    loadavg: KeptFile,
    uptime: KeptFile,
    procfs: PathBuf,
    processes: Option<u32>,
    /// Time until the processes are counted again.
    count_in_ms: u64,
}

impl System {
    pub(super) fn new(procfs: &Path) -> Self {
        Self {
            loadavg: KeptFile::new(procfs.join("loadavg")),
            uptime: KeptFile::new(procfs.join("uptime")),
            procfs: procfs.to_owned(),
            processes: None,
            count_in_ms: 0,
        }
    }

    pub(super) fn read(&mut self, host: &mut Host, elapsed_ms: u64) {
        if let Some([load_1, load_5, load_15]) = self.loadavg.text().and_then(load) {
            (host.load_1, host.load_5, host.load_15) = (Some(load_1), Some(load_5), Some(load_15));
        }
        host.uptime_s = self.uptime.text().and_then(uptime_s);
        self.count_processes(elapsed_ms);
        host.processes = self.processes;
    }

    /// Counts the processes when it is time to.
    fn count_processes(&mut self, elapsed_ms: u64) {
        self.count_in_ms = self.count_in_ms.saturating_sub(elapsed_ms);
        if self.count_in_ms == 0 {
            self.processes = self.processes_now();
            let by_number_ms = u64::from(self.processes.unwrap_or(0)) * COUNT_EVERY_MS_PER_PROCESS;
            self.count_in_ms = by_number_ms.max(COUNT_EVERY_MS);
        }
    }

    /// Each process is a folder named by its number; counting them costs no look into any.
    fn processes_now(&self) -> Option<u32> {
        let entries = fs::read_dir(&self.procfs).ok()?;
        let is_process = |name: &[u8]| name.first().is_some_and(u8::is_ascii_digit);
        let count =
            entries.flatten().filter(|entry| is_process(entry.file_name().as_encoded_bytes())).count();
        u32::try_from(count).ok().filter(|count| *count > 0)
    }
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
}
